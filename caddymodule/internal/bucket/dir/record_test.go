package dir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// crashed returns a store whose object "d/a" went from "old" to "new", and the
// record and content that were there in between, to be put back.
func crashed(t *testing.T) (s *store, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "bucket")
	opened, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened.(*store), dir
}

func putVersion(t *testing.T, s bucket.Store, content, contentType string) bucket.Info {
	t.Helper()
	info, err := s.Put(t.Context(), "d/a", strings.NewReader(content), int64(len(content)),
		bucket.PutOptions{Info: bucket.Info{ContentType: contentType, ModTime: time.Unix(1, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// A crash between the record and the rename leaves the old object, with all
// that was known of it; the versions have the same size and time.
func TestRecordBeforeContent(t *testing.T) {
	t.Parallel()
	s, dir := crashed(t)
	old := putVersion(t, s, "old", "test/old")
	file := filepath.Join(dir, "d/a")
	if err := os.Link(file, file+"-kept"); err != nil {
		t.Fatal(err)
	}
	putVersion(t, s, "new", "test/new")
	if err := os.Rename(file+"-kept", file); err != nil { // as if the rename had not been
		t.Fatal(err)
	}
	got := must(s.Head(t.Context(), "d/a"))
	if got.ETag != old.ETag || got.ContentType != "test/old" || !got.Stored.Equal(old.Stored) {
		t.Errorf("got %+v, want %+v", got, old)
	}
	// And the next Put finds it so.
	if _, err := s.Put(t.Context(), "d/a", strings.NewReader("x"), 1, bucket.PutOptions{IfMatch: old.ETag}); err != nil {
		t.Error(err)
	}
}

// A file system that lost the record's rename but kept the content's gives the
// right ETag all the same.
func TestContentWithoutRecord(t *testing.T) {
	t.Parallel()
	s, dir := crashed(t)
	putVersion(t, s, "old", "test/old")
	record := filepath.Join(dir, dirMeta, "d/a.json")
	before := must(os.ReadFile(record))
	want := putVersion(t, s, "new", "test/new")
	if err := os.WriteFile(record, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := must(s.Head(t.Context(), "d/a")); got.ETag != want.ETag || got.ContentType == "test/old" {
		t.Errorf("got %+v, want ETag %s", got, want.ETag)
	}
}

// A record without a file, as a crash in Delete leaves it, is nothing.
func TestRecordWithoutContent(t *testing.T) {
	t.Parallel()
	s, dir := crashed(t)
	putVersion(t, s, "old", "test/old")
	if err := os.Remove(filepath.Join(dir, "d/a")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "d/a", strings.NewReader("x"), 1, bucket.PutOptions{IfNoneMatch: true}); err != nil {
		t.Error(err)
	}
	if got := must(s.Head(t.Context(), "d/a")); got.Size != 1 || got.ContentType != "" {
		t.Errorf("got %+v", got)
	}
}

// A name that the file system does not tell from another is refused, not
// stored over the other.
func TestFoldedNames(t *testing.T) {
	t.Parallel()
	s, dir := crashed(t)
	putVersion(t, s, "old", "test/old")
	record := filepath.Join(dir, dirMeta, "d/a.json")
	folded := bytes.ReplaceAll(must(os.ReadFile(record)), []byte(`"d/a"`), []byte(`"d/A"`))
	if err := os.WriteFile(record, folded, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "d/a", strings.NewReader("x"), 1, bucket.PutOptions{}); err == nil || !strings.Contains(err.Error(), `"d/A"`) {
		t.Errorf("got %v", err)
	}
}

// On a mount whose locks do not reach the server another writer may create the
// object after the look at it: still only one wins.
func TestCreateWithoutLocks(t *testing.T) {
	t.Parallel()
	s, _ := crashed(t)
	putVersion(t, s, "theirs", "test/theirs")
	root := must(s.open(t.Context()))
	content := must(newTemp(root))
	defer content.discard(root)
	opts := &bucket.PutOptions{IfNoneMatch: true}
	rec := must(writeContent(t.Context(), root, content, "d/a", strings.NewReader("ours"), 4, opts))
	if err := s.install(root, content, rec, opts); !errors.Is(err, bucket.ErrExists) {
		t.Errorf("got %v", err)
	}
	if got := must(s.Head(t.Context(), "d/a")); got.Size != 6 || got.ContentType != "test/theirs" {
		t.Errorf("got %+v", got)
	}
}

// Records of two objects never have one name, nor is one in the other's way.
func TestMetaNames(t *testing.T) {
	t.Parallel()
	long, hash := strings.Repeat("n", 252), "~"+strings.Repeat("0", 64)
	keys := []string{
		"a", "a.json", "a.json.d", "a.json.json", "a.d", "a.d.json", long, long + "x", hash, hash + ".json", hashName(long), hashName(hash),
	}
	seen := map[string]string{}
	for _, dir := range append([]string{""}, keys...) {
		for _, name := range keys {
			key := strings.TrimPrefix(dir+"/"+name, "/")
			meta := metaName(key)
			if other, dup := seen[meta]; dup {
				t.Errorf("%q and %q both have the record %q", key, other, meta)
			}
			seen[meta] = key
		}
	}
	for meta, key := range seen {
		for parent := filepath.Dir(meta); parent != "."; parent = filepath.Dir(parent) {
			if other, taken := seen[parent]; taken {
				t.Errorf("the record of %q is below that of %q", key, other)
			}
		}
		for segment := range strings.SplitSeq(meta, "/") {
			if len(segment) > bucket.MaxSegmentBytes {
				t.Errorf("the record of %q has a segment of %d bytes", key, len(segment))
			}
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte(`{"key":"a","size":1,"md5":"0cc175b9c0f1b6a831c399e269772661","stored":"2026-01-02T03:04:05Z","file":{"inode":1,"mtime":"1.5"},"replaces":{"key":"a","size":0,"md5":"d41d8cd98f00b204e9800998ecf8427e","replaces":{}}}`))
	f.Add([]byte(`{"key":"../a","md5":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			return
		}
		if err := bucket.CheckKey(r.Key); err != nil {
			t.Error(err)
		}
		if fault := bucket.MetaFault(r.Meta); fault != "" || !bucket.IsMD5(r.MD5) || !bucket.IsHeaderValue(r.ContentType) {
			t.Errorf("unfit for headers: %+v", r)
		}
		encoded, err := encodeRecord(r)
		if err != nil {
			return // a time that JSON cannot hold
		}
		again, err := decodeRecord(encoded)
		if err != nil || !reflect.DeepEqual(again, r) && !bytes.Equal(must(encodeRecord(again)), encoded) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}
