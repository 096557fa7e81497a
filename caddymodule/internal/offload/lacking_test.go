package offload

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
)

// removeObjects takes objects out of the bucket as an admin or an attacker would: the
// change log tells of none.
func (s *site) removeObjects(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		if err := s.faults.Delete(s.t.Context(), "media/"+key); err != nil {
			s.t.Fatal(err)
		}
	}
}

// compareNow has the node compare disk and bucket as it does each day.
func (s *site) compareNow() {
	s.t.Helper()
	before := s.logs.count("disk and bucket compared")
	s.e.recon.want(everything, window{})
	s.until("the comparison", func() bool { return s.logs.count("disk and bucket compared") > before })
}

func shortLostAfter(c *Config) { c.LostAfter = 50 * time.Millisecond }

// An object that somebody removed from the bucket by hand was deleted by no server, as
// each knows that has read the change log: it is stored again, one or all of them.
//
// Promise 2: "Nothing is lost."
func TestRemovedObjectIsStoredAgain(t *testing.T) {
	t.Parallel()
	for name, compare := range map[string]func(*site){
		"each day":      (*site).compareNow,
		"at a start":    func(s *site) { s.stop(); s.start() },
		"after a kill":  func(s *site) { s.kill(); s.start() },
		"after an hour": func(s *site) { s.stop(); s.start(); s.compareNow() },
	} {
		for how, n := range map[string]int{"a few": 3, "all": 30} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				ns := newNodes(t, 2, shortLostAfter).ready()
				keys := ns.haveFiles(30)
				ns[0].idle()
				ns[0].until("its place in the log to be noted", func() bool { return ns[0].hasNotedItsPlace() })
				ns[0].removeObjects(keys[:n]...)
				compare(ns[0])
				ns[0].until("the objects", func() bool { return len(ns[0].objects()) == 30 })
				ns.agree()
				if got := len(ns[0].disk()); got != 30 || ns[0].logs.count("removing files") > 0 {
					t.Errorf("%d files are left", got)
				}
			})
		}
	}
}

// hasNotedItsPlace reports whether the place in the change log stands on the root.
func (s *site) hasNotedItsPlace() bool {
	position := s.e.team.log.Stats().Position
	noted := strings.Fields(local.NewTree(s.dir).DirNote("", local.AttrBucket))
	return position > 0 && len(noted) > 4 && noted[4] == strconv.FormatUint(position, 10)
}

// What the log may not have told is taken for another server's delete, as long as the
// comparison has not settled it.
//
// Promise 8: "A deleted file does not come back by itself."
func TestUnreadLogIsNoProofOfLoss(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(a, b *site){
		"entries were missed": func(_, b *site) {
			b.e.lost()
		},
		"the place is not known": func(_, b *site) {
			b.stop()
			mustDo(b.t, local.NewTree(b.dir).SetDirNote("", local.AttrBucket, ""))
			b.start()
		},
		"a server worked as the only one": func(a, b *site) {
			b.stop()
			a.changeIdentity(func(f *identity.File) { f.Writes++ })
			b.start()
		},
		"a server was killed before it told": func(a, _ *site) {
			r := a.e.beginRunning(a.t.Context(), "")
			a.kill()
			r.End()
			for _, key := range names(3) { // what it had deleted, and not told
				a.remove(key)
			}
			a.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 2, shortLostAfter).ready()
			keys := ns.haveFiles(30)
			ns[1].removeObjects(keys[:3]...)
			lose(ns[0], ns[1])
			for _, key := range keys[:3] {
				ns[1].until("the file to go", func() bool { return ns[1].read(key) == "" })
			}
		})
	}
}

// What is taken for another server's delete, though none has told of it, may have been
// lost all the same, and each server in turn may come to that: it is kept before it goes.
//
// Promise 2: "Nothing is lost."
func TestWhatIsTakenForDeletedIsInTheTrash(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2, shortLostAfter).ready()
	a, b := ns[0], ns[1]
	keys := ns.haveFiles(30)
	a.removeObjects(keys[0])
	for _, s := range ns {
		s.e.lost()
		s.until("the file to go", func() bool { return s.read(keys[0]) == "" })
	}
	a.idle()
	b.idle()
	kept := a.inTrash()
	if len(kept) == 0 || kept[0] != keys[0]+" untold" {
		t.Fatalf("in the trash: %q", kept)
	}
	mustDo(t, a.takeBack(keys[0]))
	ns.untilRead(keys[0], "content of "+keys[0])
	if got := a.readObject(keys[0]); got != "content of "+keys[0] {
		t.Errorf("the object is %q", got)
	}
	a.mustUpload(func() { a.remove(keys[1]) })
	a.gone(ns[1:], keys[1])
	ns.agree()
	if got := a.inTrash(); len(got) >= len(kept) {
		t.Errorf("what a server did delete is in the trash, too: %q", got)
	}
}

// Where too much is missing to be settled, a later comparison and a restart know no
// more than the first.
//
// Promise 8: "a reconcile never deletes more than a small share of either side: it
// stops and says so."
func TestWhatWasNotSettledStaysSo(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2, shortLostAfter).ready()
	a, b := ns[0], ns[1]
	ns.haveFiles(30)
	b.stop()
	mustDo(t, local.NewTree(b.dir).SetDirNote("", local.AttrBucket, ""))
	a.mustUpload(func() { a.remove("2026") })
	b.start()
	b.until("the comparison", func() bool { return b.logs.count("no file is removed") == 1 })
	a.mustUpload(func() { a.write("new.jpg", "new") })
	b.until("the new file", func() bool { return b.read("new.jpg") == "new" })
	b.compareNow()
	b.stop()
	b.start()
	b.until("the comparison", func() bool { return b.logs.count("no file is removed") == 3 })
	b.idle()
	if n := len(b.disk()); n != 31 {
		t.Errorf("%d files are left on the disk", n)
	}
	if n := len(a.objects()); n != 1 {
		t.Errorf("%d objects: some came back", n)
	}
}

// A server compares just when another one has deleted an object and not told yet.
//
// Promise 8: "A deleted file does not come back by itself."
func TestDeleteThatIsToldLateIsNoLoss(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2, func(c *Config) { c.LostAfter = 2 * time.Second }).ready()
	a, b := ns[0], ns[1]
	keys := ns.haveFiles(30)
	a.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if c.Op == buckettest.OpPut && strings.HasPrefix(c.Key, "offload/log/") {
			return buckettest.Fault{Before: errors.New("not now")}
		}
		return buckettest.Fault{}
	})
	deleted := make(chan error, 1)
	go func() { deleted <- a.upload(func() { a.remove(keys[0]) }) }()
	b.until("the object to go", func() bool { return b.readObject(keys[0]) == "" })
	b.compareNow()
	a.faults.SetHook(nil)
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	b.until("the file to go", func() bool { return b.read(keys[0]) == "" })
	b.until("that to be settled", func() bool { return b.logs.count("are gone from the bucket") == 1 })
	b.idle()
	if b.readObject(keys[0]) != "" || a.read(keys[0]) != "" {
		t.Error("it came back")
	}
}
