package offload

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Promise 2: "Nothing is lost." The copy that is to keep a version is checked before
// that version is written over.
func TestNothingIsWrittenOverWithoutAGoodCopy(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1).ready()[0]
	s.mustUpload(func() { s.write("a.jpg", "a photograph") })
	s.stop()
	// A failing disk: in place and with the old time.
	object := filepath.Join(s.bucket, "media", "a.jpg")
	info, err := os.Stat(object)
	if err != nil {
		t.Fatal(err)
	}
	damage := func(b string) {
		f, err := os.OpenFile(object, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte(b), 0)
		if err := errors.Join(err, f.Close(), os.Chtimes(object, info.ModTime(), info.ModTime())); err != nil {
			t.Fatal(err)
		}
	}
	damage("X")
	s.remove("a.jpg")
	s.write("a.jpg", "another one")
	s.start()
	s.until("a failure", func() bool { return s.e.Stats().Retries > 0 })
	if got := s.readObject("a.jpg"); got != "X photograph" {
		t.Errorf("the object was written over: %q", got)
	}
	if got := s.conflicts(); len(got) > 0 {
		t.Errorf("kept aside: %q", got)
	}
	damage("a")
	s.idle()
	if got := s.readObject("a.jpg"); got != "another one" {
		t.Errorf("the object is %q", got)
	}
	if got := s.conflicts(); len(got) != 1 || got[0] != "a photograph" {
		t.Errorf("kept aside: %q", got)
	}
}
