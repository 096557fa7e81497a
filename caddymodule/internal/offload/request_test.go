package offload

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// Promise 1: "Durable before visible. When the client has the last byte of the
// answer to a request […] wrote media, every file
// that was written, renamed or deleted in a media root while it ran is
// committed".
func TestRequestWaitsForAllItWrote(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("old/was-here.jpg", "before")
	s.ready()
	s.equal()

	steps := []struct {
		name string
		do   func()
	}{
		{"new files in a new month", func() { s.writeAll(names(8)) }},
		{"renamed into place", func() {
			tmp := t.TempDir() + "/phpXXXX"
			if err := os.WriteFile(tmp, []byte("moved"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(tmp, s.path("2026/11/moved.jpg")); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(s.path("2026/11/moved.jpg"), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{"overwritten", func() { s.write("2026/11/photo-1.jpg", "other content") }},
		{"same size overwritten", func() { s.write("2026/11/photo-2.jpg", "CONTENT OF 2026/11/photo-2.jpg") }},
		{"renamed", func() { s.rename("2026/11/photo-3.jpg", "2026/11/renamed.jpg") }},
		{"deleted", func() { s.remove("2026/11/photo-4.jpg"); s.remove("2026/11/photo-5.jpg") }},
		{"directory renamed", func() { s.rename("2026/11", "2026/10") }},
		{"directory removed", func() { s.remove("2026") }},
		{"written twice", func() { s.write("a.jpg", "one"); s.write("a.jpg", "two") }},
		{"empty file", func() { s.write("empty.jpg", "") }},
		{"deleted and written again", func() { s.remove("a.jpg"); s.write("a.jpg", "three") }},
		{"a file becomes a directory", func() { s.remove("a.jpg"); s.write("a.jpg/b.jpg", "below") }},
	}
	for _, step := range steps {
		s.mustRequest(step.do)
		t.Log(step.name)
		s.equal()
		if t.Failed() {
			t.Fatalf("after: %s", step.name)
		}
	}
}

func TestFilesOfOneRequestAreCommittedTogether(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	// Each put waits until all eight have begun: they must run side by side.
	all := make(chan struct{})
	begun := make(chan string, 8)
	s.calls.set(func(c *calls) {
		c.onPut = func(key string) error {
			begun <- key
			<-all
			return nil
		}
	})
	go func() {
		for range 8 {
			<-begun
		}
		close(all)
	}()
	s.mustRequest(func() {
		for _, key := range names(8) {
			s.write(key, key)
		}
	})
	s.equal()
}

func TestDeletesOfOneRequestAreOneCall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustRequest(func() {
		for _, key := range names(20) {
			s.write(key, key)
		}
	})
	s.calls.reset()
	s.mustRequest(func() {
		for _, key := range names(20) {
			s.remove(key)
		}
	})
	s.equal()
	if _, deletes, _ := s.calls.did(); deletes != 1 {
		t.Errorf("%d calls to delete 20 objects", deletes)
	}
}

// Joomla writes a temporary file with an image's name into the media folder and
// removes it about a millisecond later.
func TestFileThatVanishesCostsNoObject(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustRequest(func() {
		s.write("65a1b2c3d4e5f.jpg", "the upload")
		s.remove("65a1b2c3d4e5f.jpg")
		s.write("x.jpg", "the upload")
	})
	s.equal()
	puts, deletes, _ := s.calls.did()
	if puts != 1 || deletes != 0 {
		t.Errorf("%d puts and %d deletes, want 1 and 0", puts, deletes)
	}
}

func TestRequestThatWroteNothingDoesNotWait(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	stuck := make(chan struct{})
	s.calls.set(func(c *calls) { c.onPut = func(string) error { <-stuck; return nil } })
	defer close(stuck)
	s.write("slow.jpg", "another's upload")
	s.until("the put", func() bool { puts, _, _ := s.calls.did(); return puts == 1 })
	s.mustRequest(func() {})
}

// A file that another request is still writing is that request's to wait for.
func TestRequestDoesNotWaitForAnUnfinishedFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	f, err := os.Create(s.path("big.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	stuck := make(chan struct{})
	s.calls.set(func(c *calls) {
		c.onPut = func(key string) error {
			if strings.HasSuffix(key, "big.mp4") {
				<-stuck
			}
			return nil
		}
	})
	defer close(stuck)
	s.mustRequest(func() {
		if _, err := f.WriteString("part"); err != nil {
			t.Fatal(err)
		}
		s.write("small.jpg", "whole")
	})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.objects()["small.jpg"]; got != "whole" {
		t.Errorf("small.jpg is %q in the bucket", got)
	}
}

// A file that changes while it is read is stored again.
func TestFileChangesWhileItIsRead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	changed := false
	s.calls.set(func(c *calls) {
		c.afterPut = func(string) error {
			if !changed {
				changed = true
				s.write("a.jpg", "second")
			}
			return nil
		}
	})
	s.mustRequest(func() { s.write("a.jpg", "first!") })
	s.idle()
	s.equal()
	if o, ok := s.e.Committed("a.jpg"); !ok || o.ETag != fullHash("second") {
		t.Errorf("committed %+v, %v", o, ok)
	}
}

func TestKeyTheStoreCannotHoldDoesNotHoldTheRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustRequest(func() {
		s.write("bad\x01name.jpg", "x")
		s.write("good.jpg", "y")
	})
	if got := s.objects(); len(got) != 1 || got["good.jpg"] != "y" {
		t.Errorf("objects %v", got)
	}
	if s.logs.count("cannot hold it") != 1 {
		t.Error("no line in the log says so")
	}
}

func TestManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	errs := make(chan error, 20)
	for i := range 20 {
		go func() {
			for j := range 10 {
				key := fmt.Sprintf("%d/%d.jpg", i, j)
				err := s.request(func() { s.write(key, key) })
				if err == nil && s.readObject(key) != key {
					err = fmt.Errorf("%s is not in the bucket after its request", key)
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	s.equal()
}

// A file that is written for long is not sent again and again meanwhile, and
// is sent once it is whole.
func TestFileThatIsWrittenForLong(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	f, err := os.Create(s.path("film.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var longest time.Duration // between two writes, on a busy machine
	for begun := time.Now(); time.Since(begun) < work.WritingFor+work.WritingFor/2; {
		wrote := time.Now()
		if _, err := f.WriteString("frame "); err != nil {
			t.Fatal(err)
		}
		if err := s.e.barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(wrote))
	}
	if puts, _, _ := s.calls.did(); puts != 0 && longest < work.WritingFor/2 {
		t.Errorf("%d puts of a file that is being written", puts)
	}
	// Left open and quiet, it is committed as it is (promise 1: "within a second
	// or two").
	s.until("the commit of an open file", func() bool { return s.readObject("film.mp4") != "" })
	s.mustRequest(func() {
		if _, err := f.WriteString("end"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	})
	s.equal()
}

// The object of a file has to go before one can lie below its name; which of
// the two is tried first is chance.
func TestRefusedUntilAnotherObjectHasGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustRequest(func() { s.write("a.jpg", "a") })
	refused := 0
	s.calls.set(func(c *calls) {
		c.onPut = func(string) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			if refused++; refused < work.Refusals {
				return bucket.ErrRefused
			}
			return nil
		}
	})
	s.mustRequest(func() { s.remove("a.jpg"); s.write("a.jpg/b.jpg", "below") })
	s.equal()

	s.calls.set(func(c *calls) { c.onPut = func(string) error { return bucket.ErrRefused } })
	s.mustRequest(func() { s.write("never.jpg", "x") })
	if s.logs.count("cannot hold it") != 1 {
		t.Error("no line in the log says that the file stays local")
	}
	// It waits for nothing that will come, and is counted apart.
	if stats := s.e.Stats(); stats.Pending != 0 || stats.OldestPending != 0 || stats.Refused != 1 {
		t.Errorf("%d pending for %s, %d refused", stats.Pending, stats.OldestPending, stats.Refused)
	}
	// Promise 2: what is on disk is committed as soon as the store takes it.
	s.calls.set(func(c *calls) { c.onPut = nil })
	s.e.queue.AllDue(time.Now())
	s.idle()
	s.equal()
}
