package offload

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// withGallery adds a root whose keys stand between those of the first one.
func withGallery(s *site) string {
	dir := filepath.Join(s.t.TempDir(), "gallery")
	s.more = []media.Root{{Name: "gallery", Dir: dir, URL: "/gallery/"}}
	return dir
}

// TestSecondRoot: a root without a name keeps its keys when another is added. The
// added one may be missing, is no root that vanished, and works once it is made.
func TestSecondRoot(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
		t.Run(string(policy), func(t *testing.T) {
			s := newSite(t, func(c *Config) { c.Local = policy; c.Deletes = DeletesAlways })
			for _, key := range []string{"a.jpg", "gallery.jpg", "gallery-2/a.jpg", "zoo/a.jpg"} {
				s.write(key, "content of "+key)
			}
			s.ready()
			want := s.objects()
			s.stop()

			dir := withGallery(s)
			if e := s.ready(); e.Stats().Committed != 0 || !maps.Equal(s.objects(), want) {
				t.Errorf("a further root changed the objects: %+v, %q", e.Stats(), s.objects())
			}
			if n := s.logs.count("disappeared"); n != 0 {
				t.Error("a root that was never there has disappeared")
			}
			s.mustRequest(func() {
				writeFile(t, filepath.Join(dir, "b/x.jpg"), "of the gallery")
				writeFile(t, filepath.Join(dir, "c.jpg"), "of the gallery")
			})
			s.until("the gallery's objects", func() bool { return len(s.objects()) == len(want)+2 })
			want["gallery/b/x.jpg"], want["gallery/c.jpg"] = "of the gallery", "of the gallery"
			if got := s.objects(); !maps.Equal(got, want) {
				t.Errorf("objects %q, want %q", got, want)
			}
			s.stop()

			// Compared as a whole again, each root's objects find their files.
			s.write("gallery/mine.jpg", "has no key")
			s.logs = new(logBuffer)
			e := s.ready()
			if st := e.Stats(); st.Committed != 0 || st.Deleted != 0 || st.Fetched != 0 || !maps.Equal(s.objects(), want) {
				t.Errorf("compared: %+v, objects %q", st, s.objects())
			}
			if n := s.logs.count("disk and bucket compared"); n == 0 || s.logs.count("queued=0 bucket_only=0") != n {
				t.Error("an object did not find its file")
			}
			if s.logs.count("gallery") == 0 || e.Stats().Refused != 1 {
				t.Error("nothing is said of a directory that has no keys")
			}
			s.mustRequest(func() { s.write("gallery/other.jpg", "has none either") })
			if s.logs.count("gallery/other.jpg") == 0 {
				t.Error("nothing is said of a file that has no key")
			}
			entries := s.disk()
			delete(entries, "gallery/mine.jpg")
			delete(entries, "gallery/other.jpg")
			for key := range entries {
				if strings.HasPrefix(key, "gallery/") {
					t.Errorf("%s was put into the wrong root", key)
				}
			}
		})
	}
}

// TestKeysStay: a root that gets a name, another one, or loses it, is refused: its
// files would be stored again and the old objects stay public.
func TestKeysStay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("a.jpg", "content")
	s.ready()
	s.stop()
	other := media.Root{Name: "other", Dir: t.TempDir(), URL: "/other/"}
	for _, roots := range [][]media.Root{
		{{Dir: s.dir, URL: "/uploads/"}},
		{{Name: "uploads", Dir: s.dir, URL: "/uploads/"}}, // alone a name does not count
		{{Dir: s.dir, URL: "/elsewhere/"}, other},
	} {
		if err := s.checkKeys(roots); err != nil {
			t.Errorf("%v: %v", roots, err)
		}
	}
	err := s.checkKeys([]media.Root{{Name: "uploads", Dir: s.dir, URL: "/uploads/"}, other})
	if err == nil || !strings.Contains(err.Error(), s.dir) || !strings.Contains(err.Error(), "without a name") || !strings.Contains(err.Error(), "setfattr -x") {
		t.Errorf("a name for a root without one: %v", err)
	}
	bucket := s.bucket
	s.bucket = t.TempDir() // another bucket has other keys
	if err := s.checkKeys([]media.Root{{Name: "uploads", Dir: s.dir, URL: "/uploads/"}, other}); err != nil {
		t.Errorf("in another bucket: %v", err)
	}
	s.bucket = bucket
}

// checkKeys makes an engine for other roots and asks it.
func (s *site) checkKeys(roots []media.Root) error {
	s.t.Helper()
	m, err := media.New(media.Config{Roots: roots})
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := s.cfg
	cfg.Site, cfg.Store = m, s.open()
	e, err := New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		if err := e.Stop(s.t.Context()); err != nil {
			s.t.Error(err)
		}
	}()
	return e.CheckKeys()
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeAlone(name, content); err != nil {
		t.Fatal(err)
	}
}
