package offload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// hostile are names of files that a web server would run or obey, or that no
// disk should get.
var hostile = []string{
	"cache/i.php", "cache/I.PHP", "cache/i.php5", "cache/i.phtml", "cache/i.phar", "cache/i.php.jpg", "cache/i.pHp.", "cache/i.php ",
	"cache/i.php;x.jpg", "cache/.htaccess", "cache/.user.ini", "cache/php.ini", "cache/web.config", "cache/.env", "cache/.git/hooks/post-merge",
	"cache/x.php/y.jpg", "cache/.htaccess/y.jpg", "cache/i.p\u00adhp", "cache/\u200c.htaccess", "cache/i.ph\uff50", "cache/i.\u017fhtml", "cache/i.cgi", "cache/i.shtml",
	"cache/i.wsgi", "cache/i.cer", "cache/ignored.psd", "cache/.media-offload-1-ABCDEFGH.aside",
}

// intruders returns what is below dir and should not be, but for directories.
func intruders(t *testing.T, dir string, expected ...string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if key := filepath.ToSlash(rel); err == nil && !slices.Contains(expected, key) && !local.Own(key) {
			found = append(found, key)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// plant stores hostile objects. What the store itself refuses cannot come from it.
func (s *site) plant(prefix string) (planted []string) {
	s.t.Helper()
	store := s.open()
	defer store.Close()
	for _, key := range hostile {
		body := []byte("<?php evil();")
		_, err := store.Put(s.t.Context(), prefix+key, bytes.NewReader(body), int64(len(body)), bucket.PutOptions{})
		if errors.Is(err, bucket.ErrRefused) {
			continue
		}
		if err != nil {
			s.t.Fatalf("%s: %v", key, err)
		}
		planted = append(planted, key)
	}
	return planted
}

// append writes an entry to the change log as another node would, and returns
// its object's name.
func (s *site) append(changes ...map[string]any) {
	s.t.Helper()
	store := s.open()
	defer store.Close()
	body, err := json.Marshal(map[string]any{"v": 1, "w": "a-stranger-that-writes", "n": "a-nonce-of-26-characters-.", "changes": changes})
	if err != nil {
		s.t.Fatal(err)
	}
	for {
		name := fmt.Sprintf("%020d", s.e.team.log.Stats().Position+1)
		_, err := store.Put(s.t.Context(), "offload/log/"+name, bytes.NewReader(body), int64(len(body)), bucket.PutOptions{IfNoneMatch: true})
		if errors.Is(err, bucket.ErrExists) {
			if err := s.e.team.log.CatchUp(s.t.Context()); err != nil {
				s.t.Fatal(err)
			}
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		return
	}
}

// Promise 7: "Whoever can write to the bucket can change media and nothing else:
// no name from a listing, the log, a lease or metadata reaches a disk or a
// decision without passing the one check of names and classes." Each way that a
// name takes from the bucket to a disk.
func TestNoNameFromTheBucketIsRun(t *testing.T) { onEveryStore(t, noNameFromTheBucketIsRun) }

func noNameFromTheBucketIsRun(t *testing.T, newNodes func(int) nodes) {
	ns := newNodes(2)
	for _, s := range ns {
		s.ignore = []string{"*.psd"}
	}
	a, b := ns.ready()[0], ns[1]
	check := func(way string, s *site, expected ...string) {
		t.Helper()
		if got := intruders(t, s.dir, expected...); len(got) > 0 {
			t.Fatalf("%s: on disk: %q", way, got)
		}
	}
	planted := a.plant("media/")
	a.plant("private/")

	// The listing of what was below a directory that went.
	a.mustUpload(func() { a.write("cache/a.jpg", "a") })
	a.mustUpload(func() { a.remove("cache") })
	b.until("the delete", func() bool { return b.read("cache/a.jpg") == "" })
	a.mustUpload(func() {
		if err := errors.Join(os.Mkdir(a.path("cache"), 0o755), os.Remove(a.path("cache"))); err != nil {
			t.Fatal(err)
		}
	})
	a.idle()
	check("a directory that went", a)

	// Entries of the change log: of files, and of directories.
	var puts []map[string]any
	for _, key := range planted {
		puts = append(puts, map[string]any{"op": "put", "key": key, "class": "public", "size": 13, "etag": "x"})
	}
	if err := os.MkdirAll(b.path(".git/refs"), 0o755); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := errors.Join(os.Chtimes(b.path(".git/refs"), old, old), os.Chtimes(b.path(".git"), old, old)); err != nil {
		t.Fatal(err)
	}
	b.append(puts...)
	b.append(map[string]any{"op": "delete_below", "key": ".git"}, map[string]any{"op": "delete_below", "key": "cache"})
	a.mustUpload(func() { a.write("after.jpg", "after") })
	for _, s := range ns {
		s.until("what comes after", func() bool { return s.read("after.jpg") == "after" })
		s.idle()
		check("the change log", s, "after.jpg")
	}
	b.e.removeGoneDirs(time.Now())
	if _, err := os.Stat(b.path(".git/refs")); err != nil {
		t.Errorf("a directory that is no media's was removed: %v", err)
	}

	// The listing for an upload whose name resembles others.
	others := otherNodes{b.e}
	if err := others.fetchFrom(t.Context(), "cache", func(string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	b.idle()
	check("names like an upload's", b, "after.jpg")

	// The comparison of disk and bucket, at a start and later.
	b.stop()
	b.ready()
	b.e.recon.want(everything, window{})
	b.idle()
	check("a reconcile", b, "after.jpg")

	// Restore.
	if got, err := b.e.Restore(t.Context(), func(Restored) {}); err != nil || got.Files != 0 {
		t.Errorf("restored %+v, %v", got, err)
	}
	check("a restore", b, "after.jpg")
}

// The same of one node, which looks at no log.
func TestNoNameFromTheBucketIsRunByOneNode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ignore = []string{"*.psd"}
	s.ready()
	s.plant("media/")
	s.plant("private/")
	s.mustRequest(func() { s.write("cache/a.jpg", "a"); s.remove("cache") })
	s.stop()
	s.ready()
	if got, err := s.e.Restore(t.Context(), func(Restored) {}); err != nil || got.Files != 0 {
		t.Errorf("restored %+v, %v", got, err)
	}
	if got := intruders(t, s.dir); len(got) > 0 {
		t.Errorf("on disk: %q", got)
	}
	if n := s.logs.count("what is no name of media"); n != 2 {
		t.Errorf("%d lines in the log of two starts", n)
	}
}

// The log says of which class an object is; a name that the site calls private is
// so whatever it says.
func TestTheLogMakesNothingPublic(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 1)
	s := ns[0]
	s.keepPrivate = []string{"/invoices/"}
	s.ready()
	s.e.apply([]changelog.Change{{Op: changelog.Put, Key: "invoices/1.pdf", Class: media.Public, ETag: "x", Size: 1}})
	if _, _, ok := s.e.Public([]byte("invoices/1.pdf")); ok {
		t.Error("a page would name it")
	}
}

// Once more where a file is put on disk: whoever forgets the door.
func TestTheDiskRefusesNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree := local.NewTree(dir)
	defer tree.Close()
	for _, rel := range append(slices.Clone(hostile), "../x.jpg", "a//b.jpg", "a\\b.jpg", "a\x01.jpg", "\xff.jpg", "", "/a.jpg", "a/") {
		if filepath.Base(rel) == "ignored.psd" {
			continue // that depends on the site
		}
		p := local.Placement{Content: bytes.NewReader([]byte("x")), Size: 1}
		if err := tree.Place(rel, p); !errors.Is(err, local.ErrName) {
			t.Errorf("Place(%q): %v", rel, err)
		}
		if err := tree.Replace(rel, p, nil); !errors.Is(err, local.ErrName) {
			t.Errorf("Replace(%q): %v", rel, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("on disk: %v, %v", entries, err)
	}
}

// An entry of the change log that is none, of whatever size, is skipped, and no
// upload waits for it.
func TestEntriesThatAreNone(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write("a.jpg", "a") })
	b.until("the file", func() bool { return b.read("a.jpg") == "a" })
	next := func() string {
		return filepath.Join(a.bucket, "offload", "log", fmt.Sprintf("%020d", a.e.team.log.Stats().Position+1))
	}
	for i, body := range []string{
		"", "null", "[]", "{}", "\x00", `{"v":1,"w":7,"n":{},"changes":"all"}`, `{"v":9,"w":"a-stranger-that-writes","n":"a-nonce-of-26-characters-."}`,
		`{"v":1,"w":"a-stranger-that-writes","n":"a-nonce-of-26-characters-.","changes":[{"op":"put","key":"../x.php","class":"public"},{"op":"run","key":"x"},{"op":"delete_below","key":""}]}`,
		"sparse",
	} {
		name := next()
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		if body == "sparse" {
			if err := os.Truncate(name, 1<<42); err != nil {
				t.Skipf("no sparse files: %v", err)
			}
		}
		key, began := fmt.Sprintf("after-%d.jpg", i), time.Now()
		a.mustUpload(func() { a.write(key, "after") }, key)
		b.until("what comes after", func() bool { return b.read(key) == "after" })
		if took := time.Since(began); took > callTimeout {
			t.Errorf("after %.40q an upload took %v", body, took)
		}
	}
	b.stop()
	b.ready()
	ns.agree()
}

// lookAt is look at a key that the door lets in.
func (e *Engine) lookAt(key string, why verdict.Cause) {
	if f, ok := e.letIn(key); ok {
		e.look(f, why)
	}
}
