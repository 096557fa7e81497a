package offload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
)

// waitingDelete is a way in which files go while the bucket is away.
type waitingDelete struct {
	name      string
	inRequest bool
	do        func(s *site)
	gone      []string // objects that are to go
	trashed   bool
}

func waitingDeletes() []waitingDelete {
	rm := func(keys ...string) func(*site) {
		return func(s *site) {
			for _, key := range keys {
				s.remove(key)
			}
		}
	}
	below := []string{"2026/11/photo-0.jpg", "2026/11/photo-1.jpg", "2026/11/photo-2.jpg"}
	return []waitingDelete{
		{name: "a file in a request", inRequest: true, do: rm("2026/11/photo-0.jpg"), gone: below[:1]},
		{name: "a directory in a request", inRequest: true, do: rm("2026/11"), gone: below},
		{name: "a file outside", do: rm("2026/11/photo-0.jpg"), gone: below[:1], trashed: true},
		{name: "a directory outside", do: rm("2026"), gone: below, trashed: true},
		{name: "a renamed file", do: func(s *site) { s.rename("2026/11/photo-0.jpg", "2026/11/moved.jpg") }, gone: below[:1]},
		{name: "a renamed directory", do: func(s *site) { s.rename("2026/11", "2026/moved") }, gone: below},
	}
}

// A delete that waits for a bucket that is away is not forgotten by a restart.
//
// Promise 8: "A deleted file does not come back by itself."
func TestWaitingDeleteOutlastsARestart(t *testing.T) {
	t.Parallel()
	for _, how := range waitingDeletes() {
		for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
			for _, ends := range []string{"stopped", "killed"} {
				t.Run(fmt.Sprintf("%s/%s/%s", how.name, policy, ends), func(t *testing.T) {
					t.Parallel()
					testWaitingDelete(t, how, policy, ends == "killed")
				})
			}
		}
	}
}

func testWaitingDelete(t *testing.T, how waitingDelete, policy LocalPolicy, killed bool) {
	s := newSite(t, func(c *Config) {
		c.Local, c.Look, c.Poll, c.LeaseTTL = policy, 20*time.Millisecond, 20*time.Millisecond, 3*time.Second
	})
	s.bucket = t.TempDir() + "/bucket"
	s.ready()
	keys := append(names(3), "other.jpg")
	s.mustUpload(func() { s.writeAll(keys) })
	s.idle()
	// Files were missing there before: that says nothing of those that go now.
	for _, dir := range []string{"", "2026", "2026/11"} {
		mustDo(t, local.NewTree(s.dir).SetDirNote(dir, local.AttrBucketOnly, "1"))
	}

	aside := s.setAside()
	s.until("the bucket to be away", func() bool { return s.e.Stats().State == "degraded" })
	if how.inRequest {
		if err := s.giveUp(func() { how.do(s) }, always); err == nil {
			t.Fatal("the delete came through")
		}
	} else {
		how.do(s)
		if killed {
			s.barrier()
			s.e.noteDeletes() // a note of a part may be there
		}
	}
	if killed {
		s.kill()
	} else {
		s.stop()
	}
	s.start()
	s.until("the bucket to be away", func() bool { return s.e.Stats().State == "degraded" })
	s.putBack(aside)
	s.until("the bucket to be back", func() bool { return s.e.Stats().State == "running" })
	s.idle()
	s.until("what was deleted to be gone", func() bool {
		for _, key := range how.gone {
			if s.readObject(key) != "" || s.read(key) != "" {
				return false
			}
		}
		return true
	})
	s.idle()
	if got := s.readObject("other.jpg"); got == "" {
		t.Error("a file that nobody deleted is gone")
	}
	s.equal()
	trash := s.inTrash()
	if how.trashed != (len(trash) > 0) {
		t.Errorf("the trash has %q", trash)
	}
	s.until("the note to be gone", func() bool { return s.noted() == nil })
}

// noted is the file of noted deletes.
func (s *site) noted() []byte {
	data, err := os.ReadFile(filepath.Join(s.dir, ".media-offload-deletes"))
	if err != nil {
		return nil
	}
	return data
}

// What was written again before the restart was noticed is not deleted, nor what
// another node stored under the name meanwhile.
//
// Promise 2: "Nothing is lost."
func TestNotedDeleteIsOfOneVersion(t *testing.T) {
	t.Parallel()
	t.Run("written again", func(t *testing.T) {
		onBothModes(t, func(t *testing.T, s *site, _ nodes) {
			s.mustUpload(func() { s.write("a.jpg", "old") })
			s.idle()
			s.noteOf("a.jpg")
			s.write("a.jpg", "new")
			s.ready()
			s.until("the new file", func() bool { return s.readObject("a.jpg") == "new" })
			s.equal()
		})
	})
	t.Run("by another node", func(t *testing.T) {
		t.Parallel()
		ns := newNodes(t, 2).ready()
		a, b := ns[0], ns[1]
		a.mustUpload(func() { a.write("a.jpg", "old") })
		ns.agree()
		a.noteOf("a.jpg")
		b.mustUpload(func() { b.write("a.jpg", "new") })
		a.ready()
		ns.agree()
		if got := a.read("a.jpg"); got != "new" {
			t.Errorf("the file is %q", got)
		}
	})
}

// noteOf stops the site with a delete of a file that has not come to the bucket.
func (s *site) noteOf(key string) {
	s.t.Helper()
	s.calls.set(func(c *calls) { c.onDelete = func([]string) error { return os.ErrDeadlineExceeded } })
	if err := s.giveUp(func() { s.remove(key) }, always); err == nil {
		s.t.Fatal("the delete came through")
	}
	s.stop()
	s.calls.set(func(c *calls) { c.onDelete = nil })
	if s.noted() == nil {
		s.t.Fatal("the delete is not noted")
	}
}

// Many deletes outside requests wait for the admin's word, whether noted or not; the
// share counts by what the bucket has.
func TestNotedDeletesAreWithheldByTheirShare(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		s.stop()
		s.cfg.MaxDeleteShare = 0.5
		s.ready()
		keys := names(40)
		s.mustUpload(func() { s.writeAll(keys) })
		s.idle()
		s.stop()
		s.ready() // it knows how many there are
		s.calls.set(func(c *calls) { c.onDelete = func([]string) error { return os.ErrDeadlineExceeded } })
		for _, key := range keys[:15] {
			s.remove(key)
		}
		s.until("the deletes to be noted", func() bool { return len(s.noted()) > 0 })
		s.stop()
		s.calls.set(func(c *calls) { c.onDelete = nil })
		s.ready()
		s.until("the objects to go", func() bool { return len(s.objects()) == 25 })
		// The stop may have come in the middle of a try, and another process makes a copy again.
		if s.e.Stats().Withheld != 0 || len(slices.Compact(slices.Sorted(slices.Values(s.inTrash())))) != 15 {
			t.Errorf("%d withheld, the trash has %q", s.e.Stats().Withheld, s.inTrash())
		}
	})
}

// A copy of a media directory in another place has no say in what is deleted.
func TestNotedDeletesOfACopy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustRequest(func() { s.write("a.jpg", "a"); s.write("b.jpg", "b") })
	s.idle()
	s.noteOf("a.jpg")
	copied := t.TempDir()
	s.sh(`cp -a "$1/." "$2"`, s.dir, copied)
	s.dir = copied
	s.setNote("") // that requests ran says something of the copy, too
	s.ready()
	s.idle()
	if got := s.objects(); len(got) != 2 {
		t.Errorf("a copy of the directory deleted: the bucket has %v", got)
	}
}

// A delete of a request that waits for the bucket says nothing of what is deleted at
// the shell after a restart.
//
// Promise 8: "much at once outside requests waits for the admin's word."
func TestWaitingDeleteOfARequestLeavesTheTrash(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		keys := names(40)
		s.mustUpload(func() { s.writeAll(keys) })
		s.idle()
		s.noteOf(keys[0])
		if note := s.note(); note != "" {
			t.Errorf("a clean stop leaves the note %q", note)
		}
		s.ready()
		s.until("the delete to come through", func() bool { return s.readObject(keys[0]) == "" })
		s.idle()
		s.removeAtOnce(keys[1:21])
		s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
	})
}

// While the deletes of requests cannot be noted in the file, the note that requests
// run stands for them.
func TestDeletesThatCannotBeNoted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustUpload(func() { s.write("a.jpg", "a") })
	s.idle()
	inTheWay := filepath.Join(s.dir, ".media-offload-deletes")
	mustDo(t, os.MkdirAll(filepath.Join(inTheWay, "a directory"), 0o755))
	s.calls.set(func(c *calls) { c.onDelete = func([]string) error { return os.ErrDeadlineExceeded } })
	if err := s.giveUp(func() { s.remove("a.jpg") }, always); err == nil {
		t.Fatal("the delete came through")
	}
	s.stop()
	if s.note() == "" {
		t.Error("no note says that something was deleted")
	}
	s.calls.set(func(c *calls) { c.onDelete = nil })
	mustDo(t, os.RemoveAll(inTheWay))
	s.ready()
	s.until("the delete to come through", func() bool { return s.readObject("a.jpg") == "" })
}

// removeAtOnce removes files in such a way that their deletes are seen together,
// however slow the machine is.
func (s *site) removeAtOnce(keys []string) {
	s.t.Helper()
	s.e.queue.Lock()
	defer s.e.queue.Unlock()
	for _, key := range keys {
		if err := os.Remove(s.path(key)); err != nil {
			s.t.Error(err)
		}
	}
}

// Promise 7: "Private and ignored files, control objects and the app's code are
// never readable through the public URL or the module."
func TestNotedDeletesAreNotReadable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustRequest(func() { s.write("a.jpg", "a") })
	s.idle()
	s.noteOf("a.jpg")
	s.start()
	if !s.e.Closed(".media-offload-deletes") {
		t.Error("the names of deleted files can be read")
	}
}

// What the app has deleted is gone at its own URL at once, also while the bucket deletes
// nothing.
//
// Promise 8: "What a process deletes while the module watches is deleted".
func TestDeletedFileIsNotServed(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, others nodes) {
		s.mustUpload(func() { s.writeAll([]string{"2026/a.jpg", "2026/folder/b.jpg"}) })
		append(nodes{s}, others...).agree()
		s.calls.set(func(c *calls) { c.onDelete = func([]string) error { return os.ErrDeadlineExceeded } })
		if err := s.giveUp(func() { s.remove("2026/a.jpg"); mustDo(t, os.RemoveAll(filepath.Join(s.dir, "2026/folder"))) }, always); err == nil {
			t.Fatal("the deletes came through")
		}
		for _, key := range []string{"2026/a.jpg", "2026/folder/b.jpg"} {
			if o, err := s.e.Open(t.Context(), key, bucket.GetOptions{}); !errors.Is(err, bucket.ErrNotFound) {
				t.Errorf("%s is read: %v, %v", key, o, err)
			}
			if _, err := s.e.Stat(t.Context(), key); !errors.Is(err, bucket.ErrNotFound) {
				t.Errorf("%s is there: %v", key, err)
			}
		}
		s.calls.set(func(c *calls) { c.onDelete = nil })
	})
}
