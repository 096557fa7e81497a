package offload

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
)

// Promise 2: "it is committed after recovery, without anyone's help".
func TestStartFindsWhatIsNotCommitted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 500 {
		s.write(fmt.Sprintf("20%02d/%02d/%d.jpg", i%7, i%3, i), fmt.Sprint("content ", i))
	}
	s.ready()
	s.equal()
	s.stop()

	s.write("2000/00/new.jpg", "new")
	s.write("2000/00/0.jpg", "changed, and longer")
	s.write("2001/01/1.jpg", "CONTENT 1") // the same size
	s.remove("2002/02/2.jpg")
	s.calls.reset()
	s.ready()
	puts, deletes, heads := s.calls.did()
	if puts != 3 || deletes != 0 || heads != 0 {
		t.Errorf("%d puts, %d deletes, %d heads; want 3, 0, 0", puts, deletes, heads)
	}
	// Nobody saw the delete, so the object stays (promise 8).
	if s.objects()["2002/02/2.jpg"] != "content 2" {
		t.Error("an object was deleted without a request")
	}
	s.write("2002/02/2.jpg", "content 2")
	s.idle()
	s.equal()
}

func TestStartAdoptsWhatIsThere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 50 {
		s.write(fmt.Sprintf("%d.jpg", i), fmt.Sprint("content ", i))
	}
	if err := os.CopyFS(s.bucket+"/media", os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.bucket+"/.media-offload", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.write("7.jpg", "CONTENT 7") // same size, other content
	s.ready()
	if puts, _, _ := s.calls.did(); puts != 1 {
		t.Errorf("%d puts, want 1: what the bucket holds is compared by hash", puts)
	}
	s.equal()
	if _, ok := s.e.Committed("3.jpg"); !ok {
		t.Error("an adopted file is not known to be committed")
	}
}

// Promise 8: "What a process deletes while the module watches is deleted: by a
// request at once, otherwise by way of the trash".
func TestDeletes(t *testing.T) {
	t.Parallel()
	t.Run("outside a request it stays", func(t *testing.T) {
		s := newSite(t, func(c *Config) { c.Deletes = DeletesDuringRequests })
		s.write("a.jpg", "a")
		s.write("dir/b.jpg", "b")
		s.ready()
		s.remove("a.jpg")
		s.remove("dir")
		s.idle()
		if got := s.objects(); len(got) != 2 {
			t.Errorf("objects %v", got)
		}
		if _, ok := s.e.Committed("a.jpg"); !ok {
			t.Error("the object of a file removed by hand is not known any more")
		}
		// A kill while a request runs does not change that.
		r := s.e.beginRunning(t.Context(), "")
		s.kill()
		r.End()
		s.ready()
		if got := s.objects(); len(got) != 2 {
			t.Errorf("after a restart: objects %v", got)
		}
	})
	t.Run("always", func(t *testing.T) {
		s := newSite(t, func(c *Config) { c.Deletes = DeletesAlways })
		s.write("a.jpg", "a")
		s.write("dir/b.jpg", "b")
		s.ready()
		s.remove("a.jpg")
		s.remove("dir")
		s.idle()
		s.equal()
	})
	t.Run("never", func(t *testing.T) {
		s := newSite(t, func(c *Config) { c.Deletes = DeletesNever })
		s.write("a.jpg", "a")
		s.ready()
		s.mustRequest(func() { s.remove("a.jpg") })
		if got := s.objects(); len(got) != 1 {
			t.Errorf("objects %v", got)
		}
	})
	t.Run("the client goes away", func(t *testing.T) {
		s := newSite(t)
		s.write("a.jpg", "a")
		s.ready()
		r := s.e.beginRunning(t.Context(), "")
		s.remove("a.jpg")
		r.End()
		s.idle()
		s.equal()
	})
}

// A process that is killed while a request runs finds out, when it starts
// again, what the app deleted.
func TestKilledDuringDeletes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, key := range names(100) {
		s.write(key, key)
	}
	s.ready()
	r := s.e.beginRunning(t.Context(), "")
	s.kill()
	r.End()
	s.remove("2026/11/photo-3.jpg") // the app's work goes on
	s.remove("2026/11/photo-4.jpg")
	s.write("2026/11/photo-5.jpg", "overwritten")
	s.ready()
	s.equal()
	s.remove("2026/11/photo-6.jpg") // PHP had it in its queue
	s.idle()
	s.equal()
	s.stop()
	if note := s.note(); note != "" {
		t.Errorf("a clean stop leaves the note %q", note)
	}
}

// Promise 8: "a reconcile never deletes more than a small share of either side:
// it stops and says so."
func TestTooManyDeletesStop(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, key := range names(100) {
		s.write(key, key)
	}
	s.ready()
	r := s.e.beginRunning(t.Context(), "")
	s.kill()
	r.End()
	for _, key := range names(50) {
		s.remove(key)
	}
	s.ready()
	if got := len(s.objects()); got != 100 {
		t.Errorf("%d objects are left of 100", got)
	}
	if s.logs.count("level=ERROR") != 1 {
		t.Error("no error says so")
	}
}

func TestWipedDiskNeverEmptiesTheBucket(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, key := range names(30) {
		s.write(key, key)
	}
	s.ready()
	// While requests run, even.
	r := s.e.beginRunning(t.Context(), "")
	if err := os.Rename(s.dir, s.dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.idle()
	r.End()
	s.stop()
	s.ready()
	if got := len(s.objects()); got != 30 {
		t.Errorf("%d objects are left of 30", got)
	}
}

// Promise 3: "A URL whose object is not known to be committed stays as it is".
func TestCommittedWithoutTheBucket(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("a.jpg", "a")
	s.write("b.jpg", "b")
	s.ready()
	s.stop()
	s.write("b.jpg", "B")
	// A copy that brought its marks along is not committed under its name.
	if err := copyWithMark(s, "a.jpg", "copy.jpg"); err != nil {
		t.Fatal(err)
	}
	hang := make(chan struct{})
	s.cfg.Deletes = DeletesNever
	s.calls.set(func(c *calls) { c.onPut = func(string) error { <-hang; return nil } })
	defer close(hang)
	e := s.start()
	for key, want := range map[string]bool{"a.jpg": true, "b.jpg": false, "copy.jpg": false, "none.jpg": false} {
		if _, ok := e.Committed(key); ok != want {
			t.Errorf("Committed(%s) = %v", key, ok)
		}
		if etag, _, ok := e.Public([]byte(key)); ok != want || (etag != "") != want {
			t.Errorf("Public(%s) = %q, %v", key, etag, ok)
		}
	}
}

func copyWithMark(s *site, from, to string) error {
	m, ok := local.NewTree(s.dir).Mark(from)
	if !ok {
		return fmt.Errorf("%s has no mark", from)
	}
	info, err := os.Stat(s.path(from))
	if err != nil {
		return err
	}
	content, err := os.ReadFile(s.path(from))
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path(to), content, 0o644); err != nil {
		return err
	}
	if err := os.Chtimes(s.path(to), time.Now(), info.ModTime()); err != nil {
		return err
	}
	f, err := os.Open(s.path(to))
	if err != nil {
		return err
	}
	defer f.Close()
	return local.WriteMark(f, m)
}

// A mark from a backup says what was committed once.
func TestRestoredMarkIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.Mkdir(s.path("cache"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("a.jpg", "old content")
	s.ready()
	if err := copyWithMark(s, "a.jpg", "cache/backup.jpg"); err != nil {
		t.Fatal(err)
	}
	s.mustRequest(func() { s.write("a.jpg", "new content") })
	s.stop()
	s.ready()
	s.mustRequest(func() {
		if err := os.Rename(s.path("cache/backup.jpg"), s.path("a.jpg")); err != nil {
			t.Fatal(err)
		}
	})
	s.equal()
}

// Promise 7: "Private stays private."
func TestPrivate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustRequest(func() {
		s.write("shop/.htaccess", "deny from all\n")
		s.write("shop/ebook.pdf", "secret")
		s.write("open/a.jpg", "a")
		s.write("open/evil.php", "<?php")
	})
	if got := s.objects(); len(got) != 1 || got["open/a.jpg"] != "a" {
		t.Errorf("public objects %v", got)
	}
	if got := s.private(); len(got) != 1 || got["shop/ebook.pdf"] != "secret" {
		t.Errorf("private objects %v", got)
	}
	if o, ok := s.e.Committed("shop/ebook.pdf"); !ok || o.Class != media.Private {
		x, known := s.e.index.Get("shop/ebook.pdf")
		t.Errorf("committed %+v, %v; index %+v, %v", o, ok, x, known)
	}
	// What becomes private leaves the public folder before the answer is out.
	s.mustRequest(func() { s.write("open/.htaccess", "Require all denied\n") })
	if got := s.objects(); len(got) != 0 {
		t.Errorf("public objects %v", got)
	}
	s.mustRequest(func() { s.remove("open/.htaccess") })
	if got := s.objects(); got["open/a.jpg"] != "a" {
		t.Errorf("public objects %v", got)
	}
	if got := s.private(); len(got) != 1 {
		t.Errorf("private objects %v", got)
	}
}

func TestPrivateFoundAtStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("a/x.jpg", "x")
	s.write("b/y.jpg", "y")
	s.ready()
	s.stop()
	s.write("a/.htaccess", "Deny from all")
	s.ready()
	if got := s.objects(); len(got) != 1 || got["b/y.jpg"] != "y" {
		t.Errorf("public objects %v", got)
	}
	if got := s.private(); got["a/x.jpg"] != "x" {
		t.Errorf("private objects %v", got)
	}
}

func TestStartRemovesUnfinishedUploads(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.stop()
	left := filepath.Join(s.bucket, ".tmp", fmt.Sprintf("%d-left", time.Now().UnixNano()))
	if err := os.WriteFile(left, []byte("half a photo"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.until("the unfinished upload to be removed", func() bool {
		_, err := os.Stat(left)
		return os.IsNotExist(err)
	})
}

func TestStartTriesTheBucketOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	if s.logs.count("has what several nodes need") != 1 {
		t.Error("the log does not tell what the bucket can do")
	}
	if entries, err := os.ReadDir(s.bucket + "/offload"); err != nil || len(entries) != 1 || entries[0].Name() != identity.ObjectName {
		t.Errorf("the probe left %v", entries)
	}
}

// The site is served whatever the bucket does; the log tells once what to do.
func TestBucketThatIsNotThereAtStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("a.jpg", "a")
	if err := os.Remove(s.bucket); err != nil {
		t.Fatal(err)
	}
	away := s.bucket
	s.bucket = filepath.Join(away, "not", "there")
	s.start()
	s.until("the first try", func() bool { return s.e.Stats().State == "degraded" })
	if err := os.MkdirAll(filepath.Dir(s.bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	s.until("the bucket", func() bool { st := s.e.Stats(); return st.State == "running" && st.Pending == 0 })
	s.equal()
	if n := s.logs.count("level=WARN"); n > 2 {
		t.Errorf("%d warnings", n)
	}
}
