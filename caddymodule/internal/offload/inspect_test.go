package offload

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// Contents for which wordInspector finds each place.
const (
	sheetAnywhere = "anywhere url(a.png)"
	sheetWithCORS = "cors:woff2 url(a.woff2)"
	sheetAtHome   = "home url(/a.png)"
)

var withCORS = media.PlaceWithCORS("woff2")

// wordInspector is an inspector that finds what the first word of a file says, and
// knows of which files it was asked.
type wordInspector struct {
	mu    sync.Mutex
	asked []string
}

func (w *wordInspector) by(rules string) Inspector {
	return Inspector{Rules: rules, Inspect: func(key string, body io.Reader, _ func(string) media.Class) media.Place {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, key)
		text, err := io.ReadAll(body)
		if err != nil {
			return media.PlaceAtHome
		}
		word, _, _ := strings.Cut(string(text), " ")
		place, _ := media.ParsePlace(word)
		return place
	}}
}

// count returns how often it was asked, and forgets that.
func (w *wordInspector) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.asked)
	w.asked = nil
	return n
}

func newInspected(t *testing.T) (*site, *wordInspector) {
	w := new(wordInspector)
	return newSite(t, func(c *Config) { c.Inspector = w.by("r1") }), w
}

// public checks what pages are told of a key.
func (s *site) public(key string, want media.Place) {
	s.t.Helper()
	_, place, ok := s.e.Public([]byte(key))
	if !ok || place != want {
		s.t.Errorf("Public(%s) = %v, %v, want %v", key, place, ok, want)
	}
}

// sheets are style sheets of each kind, by key.
var sheets = map[string]string{"a.css": sheetAnywhere, "c.css": sheetWithCORS, "h.css": sheetAtHome}

func (s *site) publicSheets() {
	s.t.Helper()
	s.public("a.css", media.PlaceAnywhere)
	s.public("c.css", withCORS)
	s.public("h.css", media.PlaceAtHome)
}

func (s *site) writeSheets() {
	s.t.Helper()
	for key, text := range sheets {
		s.write(key, text)
	}
}

// mark returns the mark on a file.
func (s *site) mark(key string) local.Mark {
	s.t.Helper()
	m, ok := local.NewTree(s.dir).Mark(key)
	if !ok {
		s.t.Fatalf("%s has no mark", key)
	}
	return m
}

// setMark replaces the mark on a file.
func (s *site) setMark(key string, m local.Mark) {
	s.t.Helper()
	f, err := os.OpenFile(s.path(key), os.O_RDWR, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if err := local.WriteMark(f, m); err != nil {
		s.t.Fatal(err)
	}
}

// Promise 4: "never for a file whose own URLs would then lead elsewhere".
func TestFilesAreLookedThroughOnce(t *testing.T) {
	t.Parallel()
	s, w := newInspected(t)
	s.ready()
	s.mustRequest(func() { s.writeSheets(); s.write("p.jpg", "home: a picture") })
	s.publicSheets()
	s.public("p.jpg", media.PlaceAnywhere)
	if n := w.count(); n != len(sheets) {
		t.Errorf("looked through %d files of %d", n, len(sheets))
	}
	compare(t, s.disk(), s.objects())

	for key := range sheets { // as chmod does
		if err := os.Chmod(s.path(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.idle()
	s.mustRequest(func() { s.write("a.css", sheetAnywhere) })
	s.publicSheets()
	s.e.recon.want(everything, window{})
	s.until("a reconcile", func() bool { return len(s.e.recon.wanted) == 0 && s.logs.count("disk and bucket compared") > 1 })
	s.publicSheets()
	if n := w.count(); n > 1 {
		t.Errorf("looked through %d files that did not change", n)
	}

	s.mustRequest(func() { s.write("a.css", sheetAtHome) })
	s.public("a.css", media.PlaceAtHome)
	s.mustRequest(func() { s.write("h.css", sheetAnywhere) })
	s.public("h.css", media.PlaceAnywhere)
}

func TestPlacesAfterRestart(t *testing.T) {
	t.Parallel()
	s, w := newInspected(t)
	s.ready()
	s.mustRequest(s.writeSheets)
	s.stop()
	w.count()

	s.start()
	s.publicSheets() // from the marks
	s.until("the first reconcile", func() bool { return !s.e.Stats().Reconciled.IsZero() })
	s.publicSheets()
	if n := w.count(); n > 0 {
		t.Errorf("looked through %d files again", n)
	}
}

// A file with a mark of an older version, or of other rules, stays local until it
// was looked at again; it is not stored again.
func TestOldMarks(t *testing.T) {
	t.Parallel()
	tests := map[string]func(m local.Mark) local.Mark{
		"older":       func(m local.Mark) local.Mark { m.Rules = ""; return m },
		"other rules": func(m local.Mark) local.Mark { m.Rules, m.Place = "r0", media.PlaceAnywhere; return m },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			s, w := newInspected(t)
			s.ready()
			s.mustRequest(s.writeSheets)
			s.stop()
			for key := range sheets {
				s.setMark(key, change(s.mark(key)))
			}
			w.count()
			s.calls.reset()
			gate := make(chan struct{})
			s.hook = func(c buckettest.Call) buckettest.Fault {
				if c.Op == buckettest.OpList {
					return buckettest.Fault{Hang: gate}
				}
				return buckettest.Fault{}
			}
			s.start()
			for key := range sheets {
				s.public(key, media.PlaceAtHome)
			}
			close(gate)
			s.until("the first reconcile", func() bool { st := s.e.Stats(); return !st.Reconciled.IsZero() && st.Pending == 0 })
			s.publicSheets()
			puts, _, heads := s.calls.did()
			if n := w.count(); n != len(sheets) || puts > 0 || heads > 0 {
				t.Errorf("looked through %d files of %d, with %d puts and %d heads", n, len(sheets), puts, heads)
			}
			if m := s.mark("c.css"); m.Rules != "r1" || m.Place != withCORS {
				t.Errorf("the mark is %+v", m)
			}
			s.idle()
		})
	}
}

// What was found by the rules of an older configuration is found anew.
func TestPlacesByOtherRules(t *testing.T) {
	t.Parallel()
	s, _ := newInspected(t)
	s.ready()
	s.mustRequest(s.writeSheets)
	s.stop()
	s.calls.reset()
	s.cfg.Inspector = Inspector{Rules: "r2", Inspect: func(string, io.Reader, func(string) media.Class) media.Place { return withCORS }}
	s.ready()
	for key := range sheets {
		s.public(key, withCORS)
	}
	if puts, _, _ := s.calls.did(); puts > 0 {
		t.Errorf("%d files were stored again", puts)
	}
}

// Where there is no file, the object tells, if it can be believed.
//
// Promise 7: "Whoever can write to the bucket can change media and nothing else:
// no name from a listing, the log, a lease or metadata reaches a disk or a decision
// without passing the one check of names and classes."
func TestPlacesOfObjects(t *testing.T) {
	t.Parallel()
	meta := map[string]struct {
		text string
		want media.Place
	}{
		"a.css":  {"anywhere r1", media.PlaceAnywhere},
		"c.css":  {"cors:woff2 r1", withCORS},
		"h.css":  {"home r1", media.PlaceAtHome},
		"1.css":  {"", media.PlaceAtHome},
		"2.css":  {"anywhere", media.PlaceAtHome},
		"3.css":  {"anywhere r2", media.PlaceAtHome},
		"4.css":  {"Anywhere r1", media.PlaceAtHome},
		"8.css":  {"cors r1", media.PlaceAtHome},
		"9.css":  {"cors:exe r1", media.PlaceAtHome},
		"5.css":  {"anywhere r1 r1", media.PlaceAtHome},
		"6.css":  {"0 r1", media.PlaceAtHome},
		"7.html": {"nowhere r1", media.PlaceAtHome},
		"p.jpg":  {"home r1", media.PlaceAnywhere}, // no file that names others
	}
	for _, how := range []string{"read", "looked up"} {
		t.Run(how, func(t *testing.T) {
			s, _ := newInspected(t)
			store := s.open()
			for key, m := range meta {
				info := bucket.Info{ModTime: time.Unix(1e9, 0)}
				if m.text != "" {
					info.Meta = map[string]string{index.MetaPlace: m.text}
				}
				if _, err := store.Put(t.Context(), "media/"+key, strings.NewReader("x"), 1, bucket.PutOptions{Info: info}); err != nil {
					t.Fatal(err)
				}
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			s.ready()
			for key, m := range meta {
				if media.NamingType(key) != "" {
					s.public(key, media.PlaceAtHome) // as long as nobody has asked
				}
				if how == "looked up" {
					if _, err := s.e.Stat(t.Context(), key); err != nil {
						t.Fatal(err)
					}
				} else {
					o, err := s.e.Open(t.Context(), key, bucket.GetOptions{})
					if err != nil {
						t.Fatal(err)
					}
					if err := o.Body.Close(); err != nil {
						t.Fatal(err)
					}
				}
				s.public(key, m.want)
			}
		})
	}
}

// Node B knows what node A found, and so does a node whose disk was wiped.
func TestPlacesOnOtherNodes(t *testing.T) {
	t.Parallel()
	w := new(wordInspector)
	ns := newNodes(t, 2, func(c *Config) { c.Inspector = w.by("r1") }).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(a.writeSheets)
	ns.agree()
	a.publicSheets()
	b.publicSheets()
	b.mustUpload(func() { b.write("a.css", sheetAtHome) })
	ns.agree()
	a.public("a.css", media.PlaceAtHome)
	b.public("a.css", media.PlaceAtHome)
	b.stop()
	for key := range b.disk() {
		b.remove(key)
	}
	b.ready()
	ns.agree()
	b.public("a.css", media.PlaceAtHome)
	b.public("c.css", withCORS)
	for key, text := range map[string]string{"a.css": "home r1", "c.css": "cors:woff2 r1"} {
		if info, err := b.e.store.Head(t.Context(), "media/"+key); err != nil || info.Meta[index.MetaPlace] != text {
			t.Errorf("the metadata of %s say %q, %v", key, info.Meta[index.MetaPlace], err)
		}
	}
}

// As long as a file of another node was only told of, it is not known what it
// names.
func TestPlacesOfAnnouncedFiles(t *testing.T) {
	t.Parallel()
	w := new(wordInspector)
	ns := newNodes(t, 2, func(c *Config) { c.Inspector = w.by("r1") }).ready()
	a, b := ns[0], ns[1]
	gate := make(chan struct{})
	b.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if c.Op == buckettest.OpGet && strings.HasPrefix(c.Key, "media/") {
			return buckettest.Fault{Hang: gate}
		}
		return buckettest.Fault{}
	})
	a.mustUpload(a.writeSheets)
	b.until("the news", func() bool { _, _, ok := b.e.Public([]byte("a.css")); return ok })
	b.public("a.css", media.PlaceAtHome)
	close(gate)
	ns.agree()
	b.publicSheets()
}

// What is too long to be looked through is used at home.
func TestTooLongToLookThrough(t *testing.T) {
	t.Parallel()
	s, w := newInspected(t)
	s.ready()
	s.mustRequest(func() {
		s.write("long.css", "anywhere "+strings.Repeat(" ", inspectLimit))
		s.write("longest.css", "anywhere "+strings.Repeat(" ", inspectLimit-len("anywhere ")))
	})
	s.public("long.css", media.PlaceAtHome)
	s.public("longest.css", media.PlaceAnywhere)
	if n := w.count(); n != 1 {
		t.Errorf("looked through %d files", n)
	}
}

// A restored file is used at home as before.
func TestPlacesOfRestoredFiles(t *testing.T) {
	t.Parallel()
	s, _ := newInspected(t)
	s.ready()
	s.mustRequest(s.writeSheets)
	s.stop()
	if err := os.Rename(filepath.Join(s.dir, "h.css"), filepath.Join(t.TempDir(), "h.css")); err != nil {
		t.Fatal(err)
	}
	s.ready()
	if _, err := s.e.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.idle()
	s.publicSheets()
	if m := s.mark("h.css"); m.Rules != "r1" {
		t.Errorf("the mark is %+v", m)
	}
}

// Each URL in each page asks: of a file that names others, too, memory answers
// without allocating.
func TestPublicDoesNotAllocate(t *testing.T) {
	s, _ := newInspected(t)
	s.ready()
	s.mustRequest(func() { s.writeSheets(); s.write("p.jpg", "picture") })
	for _, key := range [][]byte{[]byte("h.css"), []byte("c.css"), []byte("p.jpg")} {
		if n := testing.AllocsPerRun(100, func() { s.e.Public(key) }); n != 0 {
			t.Errorf("%s: %v allocations", key, n)
		}
	}
}
