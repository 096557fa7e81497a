package offload

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
)

// A delete that is made after a start without the bucket is of the version that was here
// before: one that another server stored, say, of which this process has asked nobody yet.
//
// Promise 8: "A deleted file does not come back by itself." docs/deletes.md: "A delete that
// waits for a bucket that is away outlasts a restart".
func TestDeleteAfterAStartWithoutTheBucket(t *testing.T) {
	t.Parallel()
	for _, how := range waitingDeletes() {
		for _, ends := range []string{"runs on", "stopped", "killed"} {
			t.Run(fmt.Sprintf("%s/%s", how.name, ends), func(t *testing.T) {
				t.Parallel()
				testDeleteAfterAStartWithoutTheBucket(t, how, ends)
			})
		}
	}
}

func testDeleteAfterAStartWithoutTheBucket(t *testing.T, how waitingDelete, ends string) {
	ns := newNodes(t, 2, func(c *Config) { c.Look = 20 * time.Millisecond }).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.writeAll(append(names(3), "other.jpg")) })
	ns.agree()
	b.stop()
	aside := a.setAside()
	b.startWithoutTheBucket()

	if how.inRequest {
		if err := b.giveUp(func() { how.do(b) }, always); err == nil {
			t.Fatal("the delete came through")
		}
	} else {
		how.do(b)
	}
	b.barrier()
	switch ends {
	case "stopped":
		b.stop()
	case "killed":
		b.e.noteDeletes() // a note of a part may be there
		b.kill()
	}
	a.putBack(aside)
	if ends != "runs on" {
		b.start()
	}
	for _, s := range ns {
		s.until("the bucket to be back", func() bool { return s.e.Stats().State == "running" })
	}
	ns.agree()
	for _, key := range how.gone {
		if a.readObject(key) != "" || a.read(key) != "" || b.read(key) != "" {
			t.Errorf("%s is there again", key)
		}
	}
	if a.readObject("other.jpg") == "" {
		t.Error("a file that nobody deleted is gone")
	}
	if got := a.inTrash(); how.trashed != (len(got) > 0) {
		t.Errorf("the trash has %q", got)
	}
	if got := a.conflicts(); len(got) > 0 {
		t.Errorf("kept aside: %q", got)
	}
}

// startWithoutTheBucket starts a server whose bucket is away, and waits until it has looked
// at its files.
func (s *site) startWithoutTheBucket() {
	s.t.Helper()
	s.write("unstored.jpg", "a file that it counts")
	s.start()
	s.until("the files to be counted", func() bool { return s.e.unstored.Load() > 0 })
}

// A file that goes before the server has learned which version it was, as the bucket does
// not answer, is of what the change log says that was here. The object goes to the trash:
// the log need not know all. What another server has stored meanwhile stays.
//
// Promise 8: "A deleted file does not come back by itself." Promise 2: "Nothing is lost."
func TestDeleteOfAVersionThatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	const key = "2026/a.jpg"
	for _, c := range []struct {
		name    string
		before  func(a, b *site) // while b is stopped
		atShell bool
		gone    string // "": the file
		want    string // of the file
		trash   []string
		said    bool
	}{
		{name: "by a request", trash: []string{as(key, trash.Unsure)}},
		{name: "a directory by a request", gone: "2026", trash: []string{as(key, trash.Unsure)}},
		{name: "outside", atShell: true, trash: []string{as(key, trash.Outside)}},
		{name: "stored by another server", before: func(a, _ *site) {
			a.mustUpload(func() { a.write(key, "new") })
		}, want: "new"},
		{name: "without a place in the change log", before: func(_, b *site) {
			mustDo(t, local.NewTree(b.dir).SetDirNote("", local.AttrBucket, ""))
		}, want: "old", said: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 2).ready()
			a, b := ns[0], ns[1]
			a.mustUpload(func() { a.write(key, "old") })
			ns.agree()
			b.stop()
			if c.before != nil {
				c.before(a, b)
			}
			answers := make(chan struct{})
			b.hook = func(buckettest.Call) buckettest.Fault { return buckettest.Fault{Hang: answers} }
			b.start()
			b.barrier()
			if c.atShell {
				b.remove(cmp.Or(c.gone, key))
			} else if err := b.giveUp(func() { b.remove(cmp.Or(c.gone, key)) }, always); err == nil {
				t.Fatal("the delete came through")
			}
			b.barrier()
			b.hook = nil
			close(answers)
			b.until("the first comparison", func() bool { return !b.e.Stats().Reconciled.IsZero() })
			ns.agree()
			if got := b.read(key); got != c.want {
				t.Errorf("the file is %q, want %q", got, c.want)
			}
			if got := a.inTrash(); !slices.Equal(got, c.trash) {
				t.Errorf("the trash has %q, want %q", got, c.trash)
			}
			if got := b.logs.count("delete them once more"); (got > 0) != c.said {
				t.Errorf("%d lines in the log", got)
			}
		})
	}
}
