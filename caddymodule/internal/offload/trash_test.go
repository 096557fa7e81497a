package offload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
)

// onBothModes runs a test on one node alone and on one of two.
func onBothModes(t *testing.T, test func(t *testing.T, s *site, others nodes)) {
	t.Run("own", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.ready()
		test(t, s, nil)
	})
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		ns := newNodes(t, 2).ready()
		test(t, ns[0], ns[1:])
	})
}

// inTrash is the keys in the trash with their reasons.
func (s *site) inTrash() (keys []string) {
	s.t.Helper()
	for t, err := range s.e.trash.List(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, as(t.Key, t.Reason))
	}
	return keys
}

// putInTrash puts a copy of a key's public object in the trash, as deleted at some time.
func (s *site) putInTrash(key string, at time.Time) {
	s.t.Helper()
	mustDo(s.t, errors.Join(s.e.trash.Put(s.t.Context(), at, trash.Deleted{Name: "media/" + key, Reason: trash.Outside})...))
}

// as is a line of inTrash.
func as(key string, reason trash.Reason) string { return key + " " + string(reason) }

// takeBack is what `media-offload trash restore NAME` does.
func (s *site) takeBack(name string) error {
	_, err := s.e.TakeBack(s.t.Context(), name)
	return err
}

// gone waits until disks and bucket have nothing of the keys.
func (s *site) gone(others nodes, keys ...string) {
	s.t.Helper()
	for _, n := range append(nodes{s}, others...) {
		for _, key := range keys {
			n.until(key+" to be gone", func() bool { return n.readObject(key) == "" && n.read(key) == "" })
		}
	}
}

// Promise 8: "What a process deletes while the module watches is deleted: by a
// request at once, otherwise by way of the trash, from which it can be taken back".
func TestDeleteOutsideRequest(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, others nodes) {
		for _, key := range []string{"a.jpg", "dir/b.jpg", "dir/c.jpg", "kept.jpg", "asked.jpg"} {
			s.mustUpload(func() { s.write(key, "content of "+key) })
		}
		s.mustUpload(func() { s.remove("asked.jpg") })
		if got := s.inTrash(); len(got) != 0 || s.readObject("asked.jpg") != "" {
			t.Errorf("deleted by a request: the trash has %q, the object is %q", got, s.readObject("asked.jpg"))
		}
		s.remove("a.jpg")
		s.remove("dir")
		s.gone(others, "a.jpg", "dir/b.jpg", "dir/c.jpg")
		if got, want := fmt.Sprint(s.inTrash()), "[a.jpg outside dir/b.jpg outside dir/c.jpg outside]"; got != want {
			t.Errorf("the trash has %s, want %s", got, want)
		}
		s.stop()
		s.ready()
		s.gone(others, "a.jpg", "dir/b.jpg", "dir/c.jpg") // nothing comes back by itself

		if err := s.takeBack("dir/b.jpg"); err != nil {
			t.Fatal(err)
		}
		for _, n := range append(nodes{s}, others...) {
			n.until("the file that was taken back", func() bool { return n.read("dir/b.jpg") == "content of dir/b.jpg" })
			n.until("it to be public", func() bool { _, _, ok := n.e.Public([]byte("dir/b.jpg")); return ok })
		}
		if err := s.takeBack("dir/b.jpg"); !errors.Is(err, trash.ErrNone) {
			t.Errorf("taken back twice: %v", err)
		}
		s.mustUpload(func() { s.write("a.jpg", "newer") })
		if err := s.takeBack("a.jpg"); !errors.Is(err, trash.ErrReplaced) || s.read("a.jpg") != "newer" {
			t.Errorf("taken back over a newer file: %v, %q", err, s.read("a.jpg"))
		}
	})
}

// Promise 8: "much at once outside requests waits for the admin's word".
func TestManyDeletesOutsideRequests(t *testing.T) {
	t.Parallel()
	for _, accept := range []bool{true, false} {
		t.Run(fmt.Sprintf("accept=%v", accept), func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, others nodes) {
				keys := names(40)
				s.mustUpload(func() { s.writeAll(keys) })
				all := append(nodes{s}, others...)
				if len(others) > 0 {
					all.agree()
				}
				s.stop()
				s.ready()
				s.removeAtOnce(keys[:20])
				s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
				s.idle()
				s.until("the line in the log", func() bool { return s.logs.count("many media files were deleted") == 1 })
				s.stop()
				s.ready() // the state is kept
				if n := s.e.Stats().Withheld; n != 20 {
					t.Errorf("after a restart %d are withheld", n)
				}
				if got := len(s.objects()); got != 40 {
					t.Errorf("%d objects are left of 40", got)
				}
				if got := len(s.disk()); got != 20 {
					t.Errorf("%d files are on disk, 20 were not deleted", got)
				}
				for _, n := range others {
					if got := len(n.disk()); got != 40 {
						t.Errorf("%d files are on another node's disk", got)
					}
				}
				settle, want := s.e.Withheld().Refuse, 40
				if accept {
					settle, want = s.e.Withheld().Accept, 20
				}
				if n, err := settle(t.Context()); err != nil || n != 20 {
					t.Fatalf("settled %d: %v", n, err)
				}
				for _, n := range all {
					n.until("the disk to follow", func() bool { return len(n.disk()) == want && len(n.objects()) == want })
				}
				if got := len(s.inTrash()); accept != (got == 20) {
					t.Errorf("the trash has %d objects", got)
				}
				if n := s.e.Stats().Withheld; n != 0 {
					t.Errorf("%d deletes are still withheld", n)
				}
			})
		})
	}
}

// One of the files whose deletes are withheld can be brought back, and one from the
// trash; both are on disk then, and the admin's word for the others says nothing of them.
//
// Promise 8: "otherwise by way of the trash, from which it can be taken back; much at once
// outside requests waits for the admin's word."
func TestTakenBackWhileOthersAreWithheld(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, others nodes) {
		all := append(nodes{s}, others...)
		keys := names(40)
		s.mustUpload(func() { s.writeAll(keys) })
		s.idle()
		s.remove(keys[30])
		s.gone(others, keys[30])
		s.e.unattended.Forget() // a minute later
		s.removeAtOnce(keys[:20])
		s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
		s.idle()
		if got := s.withheld(); !slices.Equal(got, slices.Sorted(slices.Values(keys[:20]))) {
			t.Errorf("withheld are %q", got)
		}
		for _, key := range []string{keys[0], keys[30]} {
			if err := s.takeBack(key); err != nil {
				t.Fatal(err)
			}
			if s.read(key) == "" {
				t.Errorf("%s was taken back, and is not on disk", key)
			}
		}
		s.idle()
		if n := s.e.Stats().Withheld; n != 19 || len(s.withheld()) != n {
			t.Errorf("%d are withheld, listed are %q", n, s.withheld())
		}
		for _, name := range []string{"", "/", "../../etc/passwd", "2026/../x.jpg", "nosuch.php", "2026/11/nosuch"} {
			if err := s.takeBack(name); err == nil {
				t.Errorf("%q was taken back", name)
			}
		}
		if n := s.logs.count("names what is no name of media"); n != 0 {
			t.Errorf("the log takes what the admin named for the bucket's: %d lines", n)
		}
		if err := s.takeBack("2026/11/nosuch.jpg"); !errors.Is(err, trash.ErrNone) {
			t.Errorf("taken back what never was: %v", err)
		}
		if n, err := s.e.Withheld().Accept(t.Context()); n != 19 || err != nil {
			t.Fatalf("accepted %d: %v", n, err)
		}
		s.idle()
		for _, n := range all {
			n.until("the disk to follow", func() bool { return len(n.disk()) == 21 && len(n.objects()) == 21 })
			for _, key := range []string{keys[0], keys[30]} {
				if n.read(key) == "" || n.readObject(key) == "" {
					t.Errorf("%s went again", key)
				}
			}
		}
	})
}

// withheld are the keys whose deletes are withheld.
func (s *site) withheld() (keys []string) {
	s.t.Helper()
	for w, err := range s.e.Withheld().List(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, w.Key)
	}
	slices.Sort(keys)
	return keys
}

// A directory counts once for each file in it, although both its own events and those of
// its files tell of them, whether withheld or deleted; and each time that many go there
// is a line in the log.
func TestDirectoriesCountOnce(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		var first, second, third []string
		for i := range 20 {
			first = append(first, fmt.Sprintf("first/%d/%d.jpg", i/5, i))
			second = append(second, fmt.Sprintf("second/%d/%d.jpg", i/5, i))
		}
		third = []string{"third/a/1.jpg", "third/a/2.jpg", "third/b/3.jpg"}
		s.mustUpload(func() { s.writeAll(slices.Concat(first, second, third)) })
		s.idle()
		s.remove("third")
		s.until("the objects to go", func() bool { return len(s.objects()) == 40 })
		s.idle()
		if n := s.e.Stats().Deleted; n != 3 {
			t.Errorf("%d deleted", n)
		}
		s.e.queue.Lock()
		s.remove("first")
		s.e.queue.Unlock()
		s.until("the line in the log", func() bool { return s.logs.count("withheld=20") == 1 })
		s.idle()
		s.e.queue.Lock()
		s.remove("second")
		s.e.queue.Unlock()
		s.until("the second line in the log", func() bool { return s.logs.count("withheld=40") == 1 })
		s.idle()
		if n := len(s.withheld()); n != 40 || s.e.Stats().Withheld != n || s.e.Stats().Deleted != 3 {
			t.Errorf("%d are withheld; %+v", n, s.e.Stats())
		}
	})
}

// A directory that goes as a whole is as many deletes as there are objects below.
func TestDirectoryMovedAwayOutsideRequests(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		s.mustUpload(func() { s.writeAll(names(30)) })
		if err := os.Rename(s.path("2026"), s.t.TempDir()+"/2026"); err != nil {
			t.Fatal(err)
		}
		s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 30 })
		s.idle()
		if got := len(s.objects()); got != 30 {
			t.Errorf("%d objects are left of 30", got)
		}
	})
}

// Objects leave the trash after their time, and nothing else does.
func TestTrashIsEmptied(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustUpload(func() { s.write("a.jpg", "a"); s.write("b.jpg", "b") })
	now := time.Now()
	for key, age := range map[string]time.Duration{"a.jpg": time.Hour, "b.jpg": 48 * time.Hour} {
		s.putInTrash(key, now.Add(-age))
	}
	ctx := context.Background()
	if n, err := s.e.trash.Empty(ctx, now.Add(-24*time.Hour)); n != 1 || err != nil {
		t.Errorf("emptied %d: %v", n, err)
	}
	if got := s.inTrash(); len(got) != 1 {
		t.Errorf("the trash has %q", got)
	}
	s.idle()
	s.equal()
}

// What somebody else writes into the trash never names a file outside the roots or
// one that a web server would run.
func TestTrashNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	for _, name := range []string{"2026/a.jpg", "x.php", "a/.htaccess", ".user.ini", "sub/x.phtml"} {
		_, err := s.faults.Put(t.Context(), "offload/trash/20270115T080000Z-outside/public/"+name, strings.NewReader("x"), 1, bucket.PutOptions{})
		mustDo(t, err)
	}
	if got := s.inTrash(); !slices.Equal(got, []string{as("2026/a.jpg", trash.Outside)}) {
		t.Errorf("the trash has %q", got)
	}
	if n, err := s.e.TakeAllBack(t.Context()); n != 1 || err != nil || len(s.disk()) != 1 {
		t.Errorf("%d came back: %v; on disk are %q", n, err, s.disk())
	}
}

// A file can be taken back while its delete is not done with: it does not go again.
//
// Promise 8: "by way of the trash, from which it can be taken back".
func TestTakenBackBeforeItsDeleteIsTold(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1).ready()[0]
	s.mustUpload(func() { s.write("a.jpg", "content") })
	told := make(chan struct{})
	s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if c.Op == buckettest.OpPut && strings.HasPrefix(c.Key, "offload/log/") {
			return buckettest.Fault{Hang: told}
		}
		return buckettest.Fault{}
	})
	s.remove("a.jpg")
	s.gone(nil, "a.jpg")
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.e.TakeBack(soon, "a.jpg"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not wait for the delete: %v", err)
	}
	close(told)
	if err := s.takeBack("a.jpg"); err != nil {
		t.Fatal(err)
	}
	s.until("the file to be back", func() bool { return s.read("a.jpg") == "content" })
	s.idle()
	if s.read("a.jpg") != "content" || s.readObject("a.jpg") != "content" {
		t.Errorf("it went again: file %q, object %q", s.read("a.jpg"), s.readObject("a.jpg"))
	}
}

// A directory comes back with all that was below it, in its newest version, and what is
// withheld with what is in the trash.
//
// Promise 8: "by way of the trash, from which it can be taken back".
func TestTakeDirectoryBack(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, others nodes) {
		all := append(nodes{s}, others...)
		for _, content := range []string{"older", "newer"} {
			s.mustUpload(func() {
				s.write("dir/a.jpg", content)
				s.write("dir/sub/b.jpg", content)
				s.write("dir2/c.jpg", content)
			})
			all.agree()
			s.remove("dir")
			s.remove("dir2")
			s.gone(others, "dir/a.jpg", "dir/sub/b.jpg", "dir2/c.jpg")
			s.idle()
			if content == "older" { // names in the trash have a second's precision
				s.until("the next second", func() bool { return time.Now().After(s.newestInTrash().Add(time.Second)) })
			}
		}
		s.mustUpload(func() { s.write("dir/a.jpg", "written again") })
		n, err := s.e.TakeBack(t.Context(), "dir/")
		if n != 1 || err != nil {
			t.Errorf("%d came back, %v", n, err)
		}
		if n, err := s.e.TakeBack(t.Context(), "dir"); n != 0 || !errors.Is(err, trash.ErrReplaced) {
			t.Errorf("%d came back in place of newer files, %v", n, err)
		}
		for _, n := range all {
			n.until("the directory", func() bool { return n.read("dir/sub/b.jpg") == "newer" && n.read("dir/a.jpg") == "written again" })
			if got := n.read("dir2/c.jpg"); got != "" {
				t.Errorf("%q came back, too", got)
			}
		}
		if n, err := s.e.TakeBack(t.Context(), "nosuch"); n != 0 || !errors.Is(err, trash.ErrNone) {
			t.Errorf("%d of a directory that is not there, %v", n, err)
		}
		s.remove("dir/a.jpg")
		s.gone(others, "dir/a.jpg")
		s.idle()
		keys := names(40)
		s.mustUpload(func() { s.writeAll(keys) })
		all.agree()
		s.removeAtOnce(keys[:20])
		s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
		s.idle()
		if n, err := s.e.TakeAllBack(t.Context()); n != 22 || err != nil {
			t.Errorf("%d came back of 22, %v", n, err)
		}
		for _, n := range all {
			n.until("everything", func() bool {
				return len(n.disk()) == 43 && n.read("dir2/c.jpg") == "newer" && n.read("dir/a.jpg") == "written again"
			})
		}
	})
}

func (s *site) newestInTrash() (newest time.Time) {
	for t, err := range s.e.trash.List(s.t.Context()) {
		mustDo(s.t, err)
		newest = t.Deleted
	}
	return newest
}

// A delete that a file's own event tells of, and its directory's, leaves one copy in the
// trash, whatever time passes between the two. What was stored again, and is deleted
// again, is another one.
func TestOneCopyInTheTrash(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		const key = "x.jpg"
		s.mustUpload(func() { s.write(key, "content") })
		now := time.Now()
		for _, at := range []time.Time{now, now.Add(time.Minute)} {
			s.putInTrash(key, at)
		}
		if got := s.inTrash(); len(got) != 1 {
			t.Errorf("the trash has %q", got)
		}
		s.mustUpload(func() { s.write(key, "another") }, key)
		s.putInTrash(key, now.Add(2*time.Minute))
		if got := s.inTrash(); len(got) != 2 {
			t.Errorf("the trash has %q", got)
		}
	})
}

// A part of the trash that cannot be read hides nothing else of it: the list names it and
// goes on, and so do taking back and emptying.
func TestUnreadablePartOfTheTrash(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		keys := []string{"a.jpg", "b.jpg", "c.jpg"}
		s.mustUpload(func() { s.writeAll(keys) })
		at := time.Now().Add(-time.Hour)
		for i, key := range keys {
			s.putInTrash(key, at.Add(time.Duration(i)*time.Minute))
		}
		s.mustUpload(func() { s.remove("a.jpg"); s.remove("c.jpg") })
		part := at.UTC().Format("offload/trash/20060102T150405Z-outside/")
		unreadable := &bucket.UnlistedError{Key: part, Err: errOneDenied}
		s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
			if c.Op == buckettest.OpList && strings.HasPrefix(c.Key, "offload/trash/") {
				return buckettest.Fault{Unlisted: unreadable}
			}
			return buckettest.Fault{}
		})
		var listed []string
		var failed error
		for item, err := range s.e.trash.List(t.Context()) {
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			listed = append(listed, item.Key)
		}
		if !slices.Equal(listed, keys[1:]) || !errors.Is(failed, unreadable) {
			t.Errorf("listed %q, %v", listed, failed)
		}
		if n, err := s.e.TakeBack(t.Context(), "c.jpg"); n != 1 || err != nil {
			t.Errorf("%d files came back, %v", n, err)
		}
		if n, err := s.e.TakeBack(t.Context(), "a.jpg"); n != 0 || !errors.Is(err, unreadable) {
			t.Errorf("%d files came back, %v", n, err)
		}
		if n, err := s.e.trash.Empty(t.Context(), time.Now()); n != 1 || !errors.Is(err, unreadable) {
			t.Errorf("%d objects were deleted, %v", n, err)
		}
		s.faults.SetHook(nil)
		if n, err := s.e.TakeAllBack(t.Context()); n != 1 || err != nil {
			t.Errorf("%d files came back, %v", n, err)
		}
	})
}

// A plain file in the place of the trash, or of a part of it, keeps nothing from being
// deleted by way of the trash.
func TestPlainFileInPlaceOfTheTrash(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		s.mustUpload(func() { s.writeAll([]string{"a.jpg", "b.jpg", "c.jpg"}) })
		mustDo(t, os.WriteFile(s.bucket+"/offload/trash", []byte("evil"), 0o600))
		s.remove("a.jpg")
		s.until("it to be in the trash", func() bool { return slices.Contains(s.inTrash(), as("a.jpg", trash.Outside)) })
		s.idle()
		s.equal()
	})
}
