package trash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// disk is a site of one node: files by key.
type disk struct {
	store bucket.Store
	files map[string]bool
	told  int
}

func (d *disk) Await(context.Context, string) error { return nil }

func (d *disk) StatFile(key string) error {
	if d.files[key] {
		return nil
	}
	return fs.ErrNotExist
}

func (d *disk) Find(key string, first media.Class) (bucket.Info, media.Class, error) {
	info, err := d.store.Head(context.Background(), "media/"+key)
	return info, first, err
}

func (d *disk) TakeBack(ctx context.Context, key string, _ media.Class, copied bucket.Info) (bucket.Info, error) {
	return d.store.Copy(ctx, copied, "media/"+key, true)
}

func (d *disk) Announce(string, media.Class, bucket.Info) error { d.told++; return nil }

func (d *disk) Bring(_ context.Context, key string, _ media.Class, _ bucket.Info) error {
	d.files[key] = true
	return nil
}

// newTrash returns a trash of a store in memory, with public media below media/ and names
// that end in .jpg.
func newTrash(t *testing.T) (*Trash, *disk) {
	t.Helper()
	store := buckettest.NewMemory()
	d := &disk{store: store, files: map[string]bool{}}
	return New(Config{
		Store: store, Control: store, Prefix: "offload/trash/", Site: d,
		KeyOf: func(name string) (string, media.Class, bool) {
			key, ok := strings.CutPrefix(name, "media/")
			return key, media.Public, ok
		},
		Admit: func(key string, class media.Class) (media.Class, bool) {
			return class, media.CheckKey(key) == nil && strings.HasSuffix(key, ".jpg")
		},
		SideBySide: func(n int, f func(int) error) (errs []error) {
			for i := range n {
				errs = append(errs, f(i))
			}
			return errs
		},
		TimeFor: func(int64) time.Duration { return time.Minute },
	}), d
}

// store stores a file with its object.
func (d *disk) write(t *testing.T, key, content string) {
	t.Helper()
	if _, err := d.store.Put(t.Context(), "media/"+key, strings.NewReader(content), int64(len(content)), bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	d.files[key] = true
}

// remove deletes a file with its object, by way of the trash.
func (d *disk) remove(t *testing.T, b *Trash, key string, at time.Time) {
	t.Helper()
	err := errors.Join(b.Put(t.Context(), at, Deleted{"media/" + key, Outside})...)
	if err = errors.Join(err, d.store.Delete(t.Context(), "media/"+key)); err != nil {
		t.Fatal(err)
	}
	delete(d.files, key)
}

func (b *Trash) keys(t *testing.T) string {
	t.Helper()
	var keys []string
	for item, err := range b.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, fmt.Sprint(item.Key, " ", item.Class, " ", item.Reason))
	}
	return strings.Join(keys, ", ")
}

// What somebody else writes into the trash never names what is no name of media, and what
// has another form is not looked at.
func TestNames(t *testing.T) {
	t.Parallel()
	b, _ := newTrash(t)
	good := b.name("2026/a.jpg", media.Private, Outside, time.Unix(1_800_000_000, 0))
	for name, ok := range map[string]bool{
		good: true,
		strings.Replace(good, "private", "ignored", 1):           false,
		"offload/trash/20270115T080000Z-outside/public/x.php":    false,
		"offload/trash/20270115T080000Z-outside/public/../x.jpg": false,
		"offload/trash/20270115T080000Z-outside/public/":         false,
		"offload/trash/yesterday-outside/public/a.jpg":           false,
		"offload/trash/20270115T080000Z-outside/a.jpg":           false,
		"offload/trash/a.jpg":                                    false,
	} {
		if _, got := b.parse(bucket.Info{Key: name}); got != ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What is in the trash can be taken back, in its newest version, unless there is a newer
// file.
//
// Promise 8: "by way of the trash, from which it can be taken back".
func TestRestore(t *testing.T) {
	t.Parallel()
	b, d := newTrash(t)
	at := time.Unix(1_800_000_000, 0)
	for i, content := range []string{"older", "newer"} {
		for _, key := range []string{"dir/a.jpg", "dir/b.jpg", "c.jpg"} {
			d.write(t, key, content+key)
			d.remove(t, b, key, at.Add(time.Duration(i)*time.Hour))
		}
	}
	if err := b.Restore(t.Context(), "nosuch.jpg"); !errors.Is(err, ErrNone) {
		t.Errorf("restored what was never there: %v", err)
	}
	d.write(t, "dir/b.jpg", "newest")
	if n, err := b.RestoreBelow(t.Context(), "dir"); n != 1 || err != nil || !d.files["dir/a.jpg"] {
		t.Errorf("restored %d: %v", n, err)
	}
	if n, err := b.RestoreBelow(t.Context(), "dir"); n != 0 || !errors.Is(err, ErrReplaced) {
		t.Errorf("restored %d in place of newer ones: %v", n, err)
	}
	if err := b.Restore(t.Context(), "c.jpg"); err != nil || !d.files["c.jpg"] {
		t.Error(err)
	}
	want := "c.jpg public outside, dir/a.jpg public outside, dir/b.jpg public outside, dir/b.jpg public outside"
	if got := b.keys(t); got != want {
		t.Errorf("left are %s", got)
	}
	if o, _, err := d.Find("c.jpg", media.Public); err != nil || o.Size != int64(len("newerc.jpg")) {
		t.Errorf("the object is %+v, %v", o, err)
	}
}

// A restore that was killed goes on where it ended: with the object there, or the file as
// well, and with the copies of a delete that was repeated.
func TestRestoreGoesOn(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(t *testing.T, b *Trash, d *disk, at time.Time){
		"object there": func(t *testing.T, _ *Trash, d *disk, _ time.Time) {
			d.write(t, "a.jpg", "content")
			delete(d.files, "a.jpg")
		},
		"object and file there": func(t *testing.T, _ *Trash, d *disk, _ time.Time) { d.write(t, "a.jpg", "content") },
		"deleted again": func(t *testing.T, b *Trash, d *disk, at time.Time) {
			d.write(t, "a.jpg", "content")
			d.remove(t, b, "a.jpg", at)
		},
	} {
		b, d := newTrash(t)
		at := time.Unix(1_800_000_000, 0)
		d.write(t, "a.jpg", "content")
		d.remove(t, b, "a.jpg", at)
		before(t, b, d, at.Add(time.Hour))
		told := d.told
		if n, err := b.RestoreBelow(t.Context(), ""); n != 1 || err != nil {
			t.Errorf("%s: restored %d: %v", name, n, err)
		}
		if got := b.keys(t); got != "" || !d.files["a.jpg"] || d.told != told+1 {
			t.Errorf("%s: the trash has %q", name, got)
		}
	}
}

// Only what has been in the trash for its time is deleted for good.
func TestEmpty(t *testing.T) {
	t.Parallel()
	b, d := newTrash(t)
	now := time.Now()
	for key, age := range map[string]time.Duration{"a.jpg": time.Hour, "b.jpg": 48 * time.Hour} {
		d.write(t, key, key)
		d.remove(t, b, key, now.Add(-age))
	}
	if n, err := b.Empty(t.Context(), now.Add(-24*time.Hour)); n != 1 || err != nil {
		t.Errorf("emptied %d: %v", n, err)
	}
	if got := b.keys(t); got != "a.jpg public outside" {
		t.Errorf("left are %s", got)
	}
}
