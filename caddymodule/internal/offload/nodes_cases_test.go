package offload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// putObject stores an object as another program would.
func (s *site) putObject(key, content string) {
	s.t.Helper()
	s.putObjectOf("", key, content)
}

// putObjectOf stores an object as a node does; "" is a stranger.
func (s *site) putObjectOf(node, key, content string) {
	s.t.Helper()
	store := s.open()
	defer store.Close()
	var opts bucket.PutOptions
	if node != "" {
		opts.Meta = map[string]string{metaNode: node}
	}
	if _, err := store.Put(s.t.Context(), key, strings.NewReader(content), int64(len(content)), opts); err != nil {
		s.t.Fatal(err)
	}
}

// Promise 2: "Nothing is lost." A collision that no lease prevented keeps both
// contents.
func TestCollisionKeepsBothContents(t *testing.T) { onEveryStore(t, collisionKeepsBothContents) }

func collisionKeepsBothContents(t *testing.T, newNodes func(int) nodes) {
	ns := newNodes(2).ready()
	a, b := ns[0], ns[1]
	// B is cut off while A stores the file, so that neither knows of the other's.
	b.faults.SetHook(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}))
	a.mustUpload(func() { a.write("x.jpg", "a's picture") })
	b.write("x.jpg", "b's picture")
	if got := b.read("x.jpg"); got != "b's picture" {
		t.Fatalf("b has %q", got)
	}
	b.faults.SetHook(nil)
	ns.agree()
	if got := b.read("x.jpg"); got != "a's picture" {
		t.Errorf("the bucket's keeps the name: b has %q", got)
	}
	if got := a.conflicts(); len(got) != 1 || got[0] != "b's picture" {
		t.Errorf("kept aside: %q", got)
	}
	if n := b.e.Stats().Conflicts; n != 1 || b.logs.count("two nodes stored different files") != 1 {
		t.Errorf("%d conflicts counted", n)
	}
}

func TestSameContentIsNoCollision(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	b.faults.SetHook(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}))
	a.mustUpload(func() { a.write("x.jpg", "the picture") })
	b.write("x.jpg", "the picture")
	b.until("the failure", func() bool { return b.e.Stats().Retries > 0 })
	b.faults.SetHook(nil)
	b.idle()
	ns.agree()
	if got := a.conflicts(); len(got) != 0 {
		t.Errorf("kept aside: %q", got)
	}
}

// Uploads of one name at once on all nodes: the app looks for a free name, as
// WordPress does.
func TestUploadsOfOneName(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 3).ready()
	const each = 8
	var uploads sync.WaitGroup
	for n, s := range ns {
		for i := range each {
			content := fmt.Sprintf("content %d of node %d", i, n)
			uploads.Go(func() {
				err := s.upload(func() {
					name := "image.jpg"
					for k := 1; ; k++ {
						if _, err := os.Stat(s.path(name)); os.IsNotExist(err) {
							break
						}
						name = fmt.Sprintf("image-%d.jpg", k)
					}
					s.write(name, content)
				}, "image.jpg")
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	uploads.Wait()
	ns.agree()
	if got := ns[0].objects(); len(got) != 3*each {
		t.Errorf("%d files of %d uploads", len(got), 3*each)
	}
	if got := ns[0].conflicts(); len(got) > 0 {
		t.Errorf("kept aside: %q", got)
	}
}

// Requests of one node with the same name follow one another, also with
// `local own`, and leave nothing in the bucket but media.
func TestNamesOfOneNode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	first := s.e.beginRunning(t.Context(), "")
	first.Name("a.jpg")
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := s.e.beginRunning(t.Context(), "")
	defer second.End()
	second.Name("A.jpg")
	got := make(chan error, 1)
	go func() { got <- second.Ready(t.Context()) }()
	select {
	case err := <-got:
		t.Fatalf("both have the name: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	first.End()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Join(s.bucket, "offload")); err == nil && len(entries) > 0 {
		for _, e := range entries {
			if e.Name() == "log" || e.Name() == "lease" {
				t.Errorf("%s in the bucket of one node", e.Name())
			}
		}
	}
}

// Start of a node with whatever its disk has.
func TestNodeStarts(t *testing.T) { onEveryStore(t, nodeStarts) }

func nodeStarts(t *testing.T, newNodes func(int) nodes) {
	ns := newNodes(2)
	a, b := ns[0], ns[1]
	a.ready()
	keys := names(30)
	a.mustUpload(func() { a.writeAll(keys) })

	// An empty disk.
	b.ready()
	ns.agree()

	// A stale disk: what others wrote, overwrote and deleted meanwhile, and what
	// changed here meanwhile.
	b.stop()
	a.mustUpload(func() {
		a.write(keys[0], "overwritten elsewhere")
		a.remove(keys[1])
		a.write("new.jpg", "new elsewhere")
		a.write(keys[3], "changed on both, a")
	})
	b.write(keys[2], "changed here")
	b.write(keys[3], "changed on both, b")
	b.write("own.jpg", "new here")
	b.ready()
	ns.agree()
	for key, want := range map[string]string{
		keys[0]: "overwritten elsewhere", keys[1]: "", "new.jpg": "new elsewhere",
		keys[2]: "changed here", keys[3]: "changed on both, a", "own.jpg": "new here",
	} {
		if got := b.read(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if got := a.conflicts(); len(got) != 1 || got[0] != "changed on both, b" {
		t.Errorf("kept aside: %q", got)
	}

	// A wiped disk.
	want := a.disk()
	b.stop()
	for _, e := range []string{"2026", "new.jpg", "own.jpg"} {
		b.remove(e)
	}
	b.ready()
	ns.agree()
	compare(t, want, b.disk())
}

// Promise 8: "a reconcile never deletes more than a small share of either side:
// it stops and says so."
func TestTooManyRemovalsStop(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	ns.haveFiles(30)
	b.stop()
	// It is no longer known how far this disk had come in the change log, which so
	// tells nothing of the deletes.
	mustDo(t, local.NewTree(b.dir).SetDirNote("", local.AttrBucket, ""))
	a.mustUpload(func() { a.remove("2026") })
	if len(a.objects()) != 0 {
		t.Fatal("objects are left")
	}
	b.start()
	b.until("the comparison", func() bool { return !b.e.Stats().Reconciled.IsZero() })
	b.idle()
	if n := len(b.disk()); n != 30 {
		t.Errorf("%d files are left on the disk", n)
	}
	if len(a.objects()) != 0 || b.logs.count("no file is removed") != 1 {
		t.Errorf("%d objects came back", len(a.objects()))
	}
}

// What other nodes stored while this one was down is not missing here; what its
// own app deleted when it was killed is.
//
// Promise 8: "a reconcile never deletes more than a small share of either side:
// it stops and says so."
func TestStoredElsewhereIsNotMissing(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write("2026/11/own.jpg", "own"); a.write("2026/11/other.jpg", "other") })
	ns.agree()
	r := a.e.beginRunning(t.Context(), "")
	a.kill()
	r.End()
	b.mustUpload(func() { b.writeAll(names(30)) })
	a.remove("2026/11/own.jpg") // PHP goes on for a while
	a.ready()
	ns.agree()
	if got := a.disk(); len(got) != 31 || got["2026/11/own.jpg"] != "" {
		t.Errorf("%d files of 31: %v", len(got), got)
	}
	if a.logs.count("too many files are missing") > 0 {
		t.Error("what was never on this disk is called missing")
	}
}

// A bucket that was emptied, log and all, gets back what the disk has.
func TestEmptiedBucketIsFilledAgain(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 1).ready()
	a := ns[0]
	a.mustUpload(func() {
		for _, key := range names(30) {
			a.write(key, key)
		}
	})
	a.stop()
	a.bucket = t.TempDir()
	a.ready()
	ns.agree()
	if len(a.objects()) != 30 {
		t.Errorf("%d objects", len(a.objects()))
	}
}

// What was brought from another node is no change of the app's: no Put, no
// entry in the log, no delete.
func TestNoEcho(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	b.calls.reset()
	// A request runs on B all the time, so that every delete seen would count.
	r := b.e.beginRunning(t.Context(), "")
	defer r.End()
	for round := range 3 {
		a.mustUpload(func() {
			for _, key := range names(10) {
				a.write(key, fmt.Sprint(round, " ", key))
			}
		})
		ns.agree()
		a.mustUpload(func() { a.remove(names(10)[round]); a.remove("2026/11/photo-9.jpg") })
		ns.agree()
	}
	b.idle()
	puts, deletes, _ := b.calls.did()
	if puts != 0 || deletes != 0 || b.e.Stats().Log.Appended != 0 {
		t.Errorf("%d puts, %d deletes, %d changes told", puts, deletes, b.e.Stats().Log.Appended)
	}
	if note := local.NewTree(b.dir).DirNote("2026/11", local.AttrBucketOnly); note != "" {
		t.Error("the directory is noted as having objects without files")
	}
}

// A delete here of an older version than the bucket's does not delete that.
func TestDeleteOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write("x.jpg", "old") })
	ns.agree()
	b.faults.SetHook(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}))
	a.mustUpload(func() { a.write("x.jpg", "new") })
	r := b.e.beginRunning(t.Context(), "")
	b.remove("x.jpg")
	b.until("the failure", func() bool { return b.e.Stats().Retries > 0 })
	r.End()
	b.faults.SetHook(nil)
	ns.agree()
	if got := b.read("x.jpg"); got != "new" {
		t.Errorf("x.jpg is %q", got)
	}
}

// Ready says soon that the bucket cannot be reached.
func TestReadyWithoutTheBucket(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 1)
	s := ns[0]
	s.start()
	s.until("the first comparison", func() bool { _, up, _ := s.e.Ready(); return up })
	s.faults.SetHook(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}))
	s.write("x.jpg", "x")
	s.until("it to be noticed", func() bool { return s.e.health.IsDown() })
	if reads, uploads, reason := s.e.Ready(); !reads || uploads || reason == "" {
		t.Errorf("reads %v, uploads %v, reason %q", reads, uploads, reason)
	}
	r := s.e.beginRunning(t.Context(), "")
	defer r.End()
	r.Name("y.jpg")
	began := time.Now()
	if err := r.Ready(t.Context()); err == nil || time.Since(began) > patience/4 {
		t.Errorf("Ready: %v after %v", err, time.Since(began))
	}
	s.faults.SetHook(nil)
	s.idle()
}

// Promise 7: "Private stays private." A file that one node keeps private by an
// .htaccess, which never leaves its disk, is private on all.
func TestPrivateOnAllNodes(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() {
		a.write("shop/.htaccess", "deny from all")
		a.write("shop/ebook.pdf", "secret")
	})
	b.until("the file", func() bool { return b.read("shop/ebook.pdf") == "secret" })
	b.mustUpload(func() { b.write("shop/other.pdf", "secret too") })
	ns.agree()
	if got := a.objects(); len(got) != 0 {
		t.Errorf("public: %v", got)
	}
	if got := a.private(); len(got) != 2 {
		t.Errorf("private: %v", got)
	}
}

// Entries that name what is no media cannot harm a disk.
func TestHostileObjects(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	b.putObject("media/shell.php", "<?php evil();")
	b.putObject("media/x/.htaccess", "evil")
	b.stop()
	b.ready()
	a.mustUpload(func() { a.write("x/fine.jpg", "fine") })
	b.until("the file", func() bool { return b.read("x/fine.jpg") == "fine" })
	for _, key := range []string{"shell.php", "x/.htaccess"} {
		if _, err := os.Stat(b.path(key)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is on the disk: %v", key, err)
		}
	}
}

// A new node with a large backlog lets uploads begin when it knows all names,
// and fetches what resembles theirs first.
func TestBootstrapWithALargeBacklog(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2)
	a, b := ns[0], ns[1]
	for i := range work.MaxBackground + 200 {
		a.write(fmt.Sprintf("2025/%04d.jpg", i), "x")
	}
	a.write("2025/zebra.jpg", "the zebra")
	a.ready()
	// Fetches of anything but the zebra hang.
	stuck := make(chan struct{})
	release := sync.OnceFunc(func() { close(stuck) })
	defer release()
	b.start()
	b.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if c.Op == buckettest.OpGet && strings.HasPrefix(c.Key, "media/") && !strings.Contains(c.Key, "zebra") {
			return buckettest.Fault{Hang: stuck}
		}
		return buckettest.Fault{}
	})
	b.mustUpload(func() {
		if got := b.read("2025/zebra.jpg"); got != "the zebra" {
			t.Errorf("the app sees %q", got)
		}
	}, "zebra.jpg")
	release()
	ns.agree()
}
