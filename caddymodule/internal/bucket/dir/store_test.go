package dir_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
)

func newDir(t *testing.T) (bucket.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bucket")
	store := openDirAt(t, dir)
	if _, err := buckettest.PutText(t.Context(), store, "first", "x", bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	return store, dir
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, s bucket.Store, key string) (string, bucket.Info) {
	t.Helper()
	o, err := s.Get(t.Context(), key, bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Body.Close()
	body, err := io.ReadAll(o.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), o.Info
}

func keysOf(t *testing.T, s bucket.Store) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// A bucket is only what is meant to be one.
func TestIsABucket(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	write(t, filepath.Join(base, "site", "index.php"), "<?php")
	write(t, filepath.Join(base, "adopted", "a.jpg"), "a")
	write(t, filepath.Join(base, "adopted", ".media-offload"), "")
	write(t, filepath.Join(base, "file"), "")
	for _, name := range []string{"empty", "fresh-disk/lost+found"} {
		if err := os.MkdirAll(filepath.Join(base, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		dir  string
		want error
		text string
	}{
		{"new", nil, ""},
		{"empty", nil, ""},
		{"fresh-disk", nil, ""},
		{"adopted", nil, ""},
		{"site", bucket.ErrNoBucket, ".media-offload"},
		{"not/mounted", bucket.ErrNoBucket, "mount"},
	} {
		s := openDirAt(t, filepath.Join(base, c.dir))
		_, err := s.Probe(t.Context(), "offload/")
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.dir, err)
		}
	}
	if _, err := openDirAt(t, filepath.Join(base, "file")).Head(t.Context(), "a"); err == nil || errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("a file: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Join(base, "site")); len(entries) != 1 {
		t.Errorf("the refused directory now has %v", entries)
	}
	if keys := keysOf(t, openDirAt(t, filepath.Join(base, "adopted"))); !slices.Equal(keys, []string{"a.jpg"}) {
		t.Errorf("adopted: %q", keys)
	}
	for _, path := range []string{"", "relative", "/", "/..", "/a\x00b"} {
		if _, err := dir.Open(path, nil); err == nil {
			t.Errorf("Open(%q) took it", path)
		}
	}
}

// The server may start before its disk is there, and before it is mounted.
func TestComesLater(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := filepath.Join(base, "mnt", "bucket")
	s := openDirAt(t, dir)
	if _, err := buckettest.PutText(t.Context(), s, "a", "x", bucket.PutOptions{}); !errors.Is(err, bucket.ErrNoBucket) {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(base, "mnt"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := buckettest.PutText(t.Context(), s, "a", "beneath", bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	// Another directory takes the place, as a mount does.
	if err := os.Rename(dir, dir+"-beneath"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".media-offload"), "")
	write(t, filepath.Join(dir, "a"), "mounted")
	if got, _ := content(t, s, "a"); got != "mounted" {
		t.Errorf("reads %q", got)
	}
}

// Any static web server can serve the public files; others it cannot read.
func TestModes(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	s, dir := newDir(t)
	modified := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	for key, public := range map[string]bool{"site/media/2026/a.jpg": true, "site/private/b.pdf": false} {
		opts := bucket.PutOptions{Public: public, Info: bucket.Info{ModTime: modified, ContentType: "image/jpeg"}}
		if _, err := buckettest.PutText(t.Context(), s, key, "x", opts); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]fs.FileMode{
		"site/media/2026/a.jpg": 0o644, "site/media/2026": 0o755, "site/private/b.pdf": 0o600, "site/private": 0o711,
		".meta": 0o700, ".tmp": 0o700, ".lock": 0o700, ".media-offload": 0o600, "": 0o755,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
		if strings.HasSuffix(name, "g") && !info.ModTime().Equal(modified) {
			t.Errorf("%s has time %v", name, info.ModTime())
		}
	}
	// "site" was made for either of them, and must let others pass.
	if info, err := os.Stat(filepath.Join(dir, "site")); err != nil || info.Mode().Perm()&0o011 != 0o011 {
		t.Errorf("site: %v, %v", info.Mode(), err)
	}
	record, err := os.ReadFile(filepath.Join(dir, ".meta/site/media/2026/a.jpg.json"))
	if err != nil || !strings.Contains(string(record), "\"content_type\": \"image/jpeg\"") {
		t.Errorf("the record: %s, %v", record, err)
	}
}

// Files put there by hand are objects, with the right ETag, whatever was done
// to them since.
func TestByHand(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	name := filepath.Join(dir, "media/hand.png")
	check := func(what, want string) {
		t.Helper()
		got, info := content(t, s, "media/hand.png")
		sum := sumOf(want)
		head, err := s.Head(t.Context(), "media/hand.png")
		if err != nil {
			t.Fatal(err)
		}
		listed := ""
		for info, err := range s.List(t.Context(), "media/hand", "") {
			if err != nil {
				t.Fatal(err)
			}
			listed = info.ETag
		}
		if got != want || info.ETag != sum || head.ETag != sum || listed != sum {
			t.Errorf("%s: %q, ETags %s, %s, %s, want %s", what, got, info.ETag, head.ETag, listed, sum)
		}
		if info.ContentType != "image/png" {
			t.Errorf("%s: content type %q", what, info.ContentType)
		}
	}
	old := time.Now().Add(-time.Hour)
	put := func(content string, at time.Time) {
		t.Helper()
		write(t, name, content)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	put("one", old)
	check("put", "one")
	if _, err := os.Stat(filepath.Join(dir, ".meta/media/hand.png.json")); err != nil {
		t.Errorf("what hashing found is not kept: %v", err)
	}
	put("two", old.Add(time.Second))
	check("changed in place", "two")
	now := time.Now()
	put("now", now)
	check("changed just now", "now")
	put("NOW", now) // in the same tick of a coarse clock
	check("changed again at once", "NOW")
	if _, err := buckettest.PutText(t.Context(), s, "media/hand.png", "stored", bucket.PutOptions{IfMatch: sumOf("NOW"), Info: bucket.Info{ContentType: "image/png"}}); err != nil {
		t.Errorf("conditional Put over a file put by hand: %v", err)
	}
	check("stored", "stored")
	put("STORED", old.Add(time.Minute))
	check("changed after it was stored", "STORED")
	if err := os.WriteFile(filepath.Join(dir, ".meta/media/hand.png.json"), []byte("{damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("record damaged", "STORED")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(t.Context(), "media/hand.png"); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
}

func sumOf(text string) string { return buckettest.MD5(strings.NewReader(text)) }

// A bucket that was copied to another disk keeps what was stored with it.
func TestCopied(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	want := bucket.Info{ContentType: "image/x-special", CacheControl: "max-age=5", Meta: map[string]string{"a": "b"}, ModTime: time.Unix(1e9, 0)}
	if _, err := buckettest.PutText(t.Context(), s, "media/a.jpg", "x", bucket.PutOptions{Info: want}); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if _, got := content(t, openDirAt(t, copied), "media/a.jpg"); got.ContentType != want.ContentType || got.CacheControl != want.CacheControl ||
		got.Meta["a"] != "b" || !got.ModTime.Equal(want.ModTime) {
		t.Errorf("got %+v", got)
	}
}

// DESIGN 6: "x beside x/y" is refused.
func TestBelowObject(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	if _, err := buckettest.PutText(t.Context(), s, "a/b/c", "x", bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "a/b", "a/b/c/d", "a/b/c/d/e"} {
		for _, opts := range []bucket.PutOptions{{}, {IfNoneMatch: true}} {
			if _, err := buckettest.PutText(t.Context(), s, key, "x", opts); !errors.Is(err, bucket.ErrRefused) {
				t.Errorf("Put %s: %v", key, err)
			}
		}
	}
	if got, _ := content(t, s, "a/b/c"); got != "x" {
		t.Errorf("has %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".tmp", "*")); len(left) != 0 {
		t.Errorf("left in .tmp: %q", left)
	}
	// Empty directories, as a killed delete leaves them, are not in the way.
	if err := os.MkdirAll(filepath.Join(dir, "e/f/g"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := buckettest.PutText(t.Context(), s, "e", "x", bucket.PutOptions{}); err != nil {
		t.Error(err)
	}
}

// Deletes leave no empty directories, but those at the top, which may be an
// admin's.
func TestPrunes(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	for _, key := range []string{"media/2026/11/a.jpg", "media/2026/12/b.jpg"} {
		if _, err := buckettest.PutText(t.Context(), s, key, "x", bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	if err := s.Delete(t.Context(), "media/2026/11/a.jpg"); err != nil {
		t.Fatal(err)
	}
	if exists("media/2026/11") || exists(".meta/media/2026/11") || !exists("media/2026/12") {
		t.Error("not just the empty directory was removed")
	}
	if err := s.Delete(t.Context(), "media/2026/12/b.jpg"); err != nil {
		t.Fatal(err)
	}
	if exists("media/2026") || exists(".meta/media/2026") || !exists("media") {
		t.Error("not just the empty directories were removed")
	}
}

// Unfinished writes of the dead are thrown away, when they are old enough.
func TestAbortUploads(t *testing.T) {
	t.Parallel()
	s, dir := newDir(t)
	hour := time.Now().Add(-time.Hour).UnixNano()
	for _, name := range []string{fmt.Sprint(hour, "-OLD"), fmt.Sprint(time.Now().UnixNano(), "-NEW"), "foreign"} {
		write(t, filepath.Join(dir, ".tmp", name), "half")
	}
	if n, err := s.AbortUploads(t.Context(), "any/", 10*time.Minute); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	if n, err := s.AbortUploads(t.Context(), "", 0); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
}
