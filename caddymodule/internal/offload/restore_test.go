package offload

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Promise 9: "Leaving is easy. `restore` brings every file back; then the
// module can be removed."
func TestRestore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.writeAll(names(40))
	s.write("shop/.htaccess", "deny from all")
	s.write("shop/ebook.pdf", "secret")
	s.ready()
	want := s.disk()
	s.remove("2026")
	s.remove("shop/ebook.pdf")
	s.write("2026/11/photo-7.jpg", "newer than the bucket's")
	s.idle()
	s.calls.reset()

	got, err := s.e.Restore(t.Context(), func(Restored) {})
	if err != nil || got.Files != 40 || got.Failed != 0 || got.Present != 1 {
		t.Fatalf("restored %+v, %v", got, err)
	}
	want["2026/11/photo-7.jpg"] = "newer than the bucket's"
	compare(t, want, s.disk())
	s.idle()
	if puts, deletes, _ := s.calls.did(); puts != 0 || deletes != 0 {
		t.Errorf("a restore made %d puts and %d deletes", puts, deletes)
	}
	s.stop()
	s.calls.reset()
	s.ready() // restored files are known for what they are
	if puts, _, _ := s.calls.did(); puts != 0 {
		t.Errorf("%d puts at the next start", puts)
	}
}

func TestRestoreDoesNotBelieveADamagedObject(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Deletes = DeletesNever })
	s.write("a.jpg", "a photograph")
	s.write("b.jpg", "b")
	s.ready()
	s.remove("a.jpg")
	s.remove("b.jpg")
	s.idle()
	object := filepath.Join(s.bucket, "media", "a.jpg")
	info, err := os.Stat(object)
	if err != nil {
		t.Fatal(err)
	}
	// In place and with its old time, as a failing disk would.
	f, err := os.OpenFile(object, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("X"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), os.Chtimes(object, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	got, err := s.e.Restore(t.Context(), func(Restored) {})
	if err != nil || got.Files != 1 || got.Failed != 1 || got.Error == "" {
		t.Errorf("restored %+v, %v", got, err)
	}
	if disk := s.disk(); len(disk) != 1 || disk["b.jpg"] != "b" {
		t.Errorf("on disk: %v", disk)
	}
}

func TestKilledRestoreLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write(".media-offload-1-ABCDEFGH.tmp", "half")
	s.ready()
	if _, err := os.Stat(s.path(".media-offload-1-ABCDEFGH.tmp")); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}
