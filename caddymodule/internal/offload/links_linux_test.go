package offload

import (
	"os"
	"path/filepath"
	"testing"
)

// overwrite writes into a file, as it is, through one of its names.
func (s *site) overwrite(key, content string) {
	s.t.Helper()
	f, err := os.OpenFile(s.path(key), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := f.WriteString(content); err != nil {
		s.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// Promise 1: "every file that was written, renamed or deleted in a media root
// while it ran is committed": under each of its names.
func TestWriteThroughOneNameReachesTheOthers(t *testing.T) {
	t.Parallel()
	alone(t, func(t *testing.T, s *site) {
		s.mustUpload(func() { s.write("a.jpg", "content"); s.write("d/other.jpg", "x") })
		s.mustUpload(func() { s.link(s.path("a.jpg"), "d/b.jpg") })
		s.equal()
		s.mustUpload(func() { s.overwrite("d/b.jpg", "through the new name") })
		s.equal()
		s.mustUpload(func() { s.overwrite("a.jpg", "through the old name") })
		s.equal()
		s.mustUpload(func() { s.link(s.path("a.jpg"), "c.jpg"); s.overwrite("c.jpg", "through a third") })
		s.equal()
		s.restart()
		s.mustUpload(func() { s.overwrite("d/b.jpg", "after a restart") })
		s.equal()
		s.mustUpload(func() { s.remove("a.jpg"); s.write("a.jpg", "a file of its own") })
		s.mustUpload(func() { s.overwrite("c.jpg", "two names are left") })
		s.equal()
	})
}

// What was written while nobody looked is found by a comparison.
func TestComparisonFindsWritesThroughOtherNames(t *testing.T) {
	t.Parallel()
	alone(t, func(t *testing.T, s *site) {
		s.mustUpload(func() { s.write("a.jpg", "content") })
		s.mustUpload(func() { s.link(s.path("a.jpg"), "b.jpg") })
		s.stop()
		s.overwrite("b.jpg", "CONTENT")
		s.ready()
		s.idle()
		s.equal()
	})
}

// A hard link in a media root to a file outside is stored like any file. It can be
// read at its local URL as well; only who may read and write the file can make the
// link (fs.protected_hardlinks), and could copy it just so; and backups and deploy
// tools make such links of media that must not be lost.
//
// Promise 2: "No failure […] loses a file that the app has on disk".
func TestHardLinkToAFileOutsideIsStored(t *testing.T) {
	t.Parallel()
	alone(t, func(t *testing.T, s *site) {
		outside := filepath.Join(t.TempDir(), "backup")
		if err := os.WriteFile(outside, []byte("a photo"), 0o644); err != nil {
			t.Fatal(err)
		}
		s.mustUpload(func() { s.link(outside, "a.jpg"); s.link(outside, "config.php") })
		if got := s.objects(); len(got) != 1 || got["a.jpg"] != "a photo" {
			t.Errorf("objects %v", got)
		}
		for range 3 {
			s.mustUpload(func() { s.overwrite("a.jpg", "another photo") })
			s.equal()
		}
	})
}
