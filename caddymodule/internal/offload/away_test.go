package offload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// absence is a way in which a bucket can be away, and come back.
type absence struct {
	name string
	// go makes it so, and returns what brings the bucket back.
	leave func(s *site) (comeBack func())
	// works: uploads are taken meanwhile; unseen: that it is away is seen only by the
	// next look.
	works, unseen bool
	// mounted: the bucket is on a small disk of its own.
	mounted bool
}

func absences() []absence {
	return []absence{
		{name: "the directory is gone", leave: func(s *site) func() {
			aside := s.setAside()
			return func() { s.putBack(aside) }
		}},
		{name: "an empty directory instead", leave: anEmptyOne},
		{name: "a directory with files instead", leave: func(s *site) func() {
			aside := s.setAside()
			mustDo(s.t, os.Mkdir(s.bucket, 0o755))
			mustDo(s.t, os.WriteFile(s.bucket+"/notes.txt", []byte("not mounted"), 0o644))
			return func() { s.putBack(aside) }
		}},
		{name: "another bucket", leave: func(s *site) func() {
			aside := s.setAside()
			other := newSite(s.t, func(c *Config) { c.Local = s.cfg.Local })
			other.bucket = s.bucket
			other.ready()
			other.mustRequest(func() { other.write("other.jpg", "another site's") })
			other.stop()
			return func() { s.putBack(aside) }
		}},
		{name: "emptied", unseen: true, leave: func(s *site) func() {
			aside := s.t.TempDir()
			s.sh(`cd "$1" && until cp -a . "$2"; do :; done && until find . -mindepth 1 -delete; do :; done`, s.bucket, aside)
			return func() {
				// The server may store files while they come back one by one: cp then
				// finds names that were not there when it looked.
				s.sh(`cd "$1" && until find . -mindepth 1 -delete; do :; done; until cp -a "$2/." .; do :; done`, s.bucket, aside)
			}
		}},
		{name: "read-only", leave: func(s *site) func() { return s.failPuts(bucket.ErrDenied) }},
		{name: "rights to read only", leave: func(s *site) func() { return s.failPuts(errOneDenied) }},
		{name: "no rights", leave: func(s *site) func() {
			return s.fail(func(buckettest.Call) buckettest.Fault { return buckettest.Fault{Before: errOneDenied} })
		}},
		{name: "full", leave: func(s *site) func() { return s.failPuts(errFull) }},
		{name: "unmounted", mounted: true, leave: func(s *site) func() {
			s.sh(`umount -l "$1"`, s.mount.point)
			return func() {
				if left, err := os.ReadDir(s.mount.point); err != nil || len(left) > 0 {
					s.t.Errorf("written to the mount point: %v, %v", left, err)
				}
				s.sh(`mount --bind "$1" "$2"`, s.mount.disk, s.mount.point)
			}
		}},
		{name: "mounted read-only", mounted: true, leave: mountReadOnly},
		{name: "a full disk", mounted: true, leave: func(s *site) func() {
			s.sh(`while dd if=/dev/zero bs=64k count=1 >>"$1/filler" 2>/dev/null; do :; done
				while dd if=/dev/zero bs=4k count=1 >>"$1/filler" 2>/dev/null; do :; done`, s.mount.disk)
			return func() { mustDo(s.t, os.Remove(s.mount.disk+"/filler")) }
		}},
		{name: "older", works: true, leave: older},
		{name: "older and read-only", leave: func(s *site) func() {
			older(s)
			return s.failPuts(bucket.ErrDenied)
		}},
	}
}

// older puts the bucket back to an older state, for good.
func older(s *site) (comeBack func()) {
	// As it was before the last of the files that are there now.
	newest := s.path("2026/11/photo-2.jpg")
	mustDo(s.t, os.Remove(newest))
	snapshot := s.t.TempDir()
	s.sh(`until cp -a "$1/." "$2"; do :; done`, s.bucket, snapshot)
	s.mustUpload(func() { s.write("2026/11/photo-2.jpg", "content of 2026/11/photo-2.jpg") })
	s.mustUpload(func() { s.write("2026/11/photo-1.jpg", "content of 2026/11/photo-1.jpg") })
	s.idle()
	s.setAside()
	mustDo(s.t, os.Rename(snapshot, s.bucket))
	return func() {}
}

func anEmptyOne(s *site) (comeBack func()) {
	aside := s.setAside()
	mustDo(s.t, os.Mkdir(s.bucket, 0o755))
	return func() { s.putBack(aside) }
}

func mountReadOnly(s *site) (comeBack func()) {
	s.sh(`until mount -o remount,bind,ro "$1"; do :; done`, s.mount.point) // a node may be writing
	return func() { s.sh(`mount -o remount,bind,rw "$1"`, s.mount.point) }
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) sh(script string, args ...string) {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), "sh", append([]string{"-ec", script, "sh"}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// setAside takes the bucket's directory away, as if it had been unmounted.
func (s *site) setAside() (aside string) {
	s.t.Helper()
	aside = s.t.TempDir() + "/bucket"
	mustDo(s.t, os.Rename(s.bucket, aside))
	return aside
}

func (s *site) putBack(aside string) {
	s.t.Helper()
	mustDo(s.t, os.RemoveAll(s.bucket))
	mustDo(s.t, os.Rename(aside, s.bucket))
}

// failPuts makes the bucket refuse what would change it, also after a restart.
func (s *site) failPuts(err error) (stop func()) {
	return s.fail(buckettest.Always(buckettest.Fault{Before: err}, buckettest.OpPut, buckettest.OpDelete))
}

// fail has the bucket fail, also after a restart.
func (s *site) fail(hook buckettest.Hook) (stop func()) {
	s.hook = hook
	s.faults.SetHook(s.hook)
	return func() {
		s.hook = nil
		s.faults.SetHook(nil)
	}
}

// A bucket that is away in any way and comes back costs no file, whether the
// server is restarted before, during or after, or not at all.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one." Promise 2: "Nothing is lost."
func TestBucketAwayAndBack(t *testing.T) {
	t.Parallel()
	for _, how := range absences() {
		for _, local := range []LocalPolicy{LocalAll, LocalOwn} {
			for _, restart := range []string{"never", "before", "during", "after"} {
				t.Run(fmt.Sprintf("%s/%s/restart %s", how.name, local, restart), func(t *testing.T) {
					t.Parallel()
					testAwayAndBack(t, how, local, restart)
				})
			}
		}
	}
}

// mount is a small disk, and where it is mounted for the bucket.
type mount struct{ disk, point string }

// onDisk puts the bucket on a disk of its own.
func (s *site) onDisk() {
	s.t.Helper()
	s.mount = mount{disk: s.t.TempDir(), point: s.t.TempDir()}
	for _, args := range [][]string{{"-t", "tmpfs", "-o", "size=8m", "tmpfs", s.mount.disk}, {"--bind", s.mount.disk, s.mount.point}} {
		if out, err := exec.CommandContext(s.t.Context(), "mount", args...).CombinedOutput(); err != nil {
			s.t.Skipf("this machine lets nothing be mounted: %v: %s", err, out)
		}
		s.t.Cleanup(func() { _ = exec.Command("umount", "-l", args[len(args)-1]).Run() })
	}
	s.bucket = s.mount.point + "/bucket"
}

func testAwayAndBack(t *testing.T, how absence, local LocalPolicy, restart string) {
	s := newSite(t, func(c *Config) {
		c.Local, c.Look, c.Poll, c.LeaseTTL = local, 20*time.Millisecond, 20*time.Millisecond, 3*time.Second
	})
	s.bucket = t.TempDir() + "/bucket"
	if how.mounted {
		s.onDisk()
	}
	s.ready()
	s.mustUpload(func() { s.writeAll(names(3)) })
	s.idle()
	again := func(when string) {
		if restart == when {
			s.stop()
			s.start()
		}
	}
	again("before")
	s.until("to be running", func() bool { return s.e.Stats().State == "running" })
	comeBack := how.leave(s)
	again("during")
	meanwhile := []string{"sun.jpg", "moon.jpg", "stars.jpg"}
	err := s.uploadAnyway(func() { s.writeAll(meanwhile) }, func() bool { return !how.works && s.e.Stats().State != "running" })
	pending, held := errors.AsType[*PendingError](err)
	if how.works && err != nil || !how.works && !how.unseen && (!held || pending.Count != 3) {
		t.Errorf("the upload's answer: %v", err)
	}
	if how.unseen {
		s.until("it to be noticed", s.seesAway)
	}
	if !how.works {
		s.until("the status to say so", func() bool { return s.e.Stats().State != "running" })
	}
	if restart == "after" {
		s.stop()
	}
	comeBack()
	if restart == "after" {
		s.start()
	}
	want := append(names(3), meanwhile...)
	s.until("all files to be stored", func() bool {
		return s.e.Stats().State == "running" && maps.Equal(s.disk(), s.objects())
	})
	s.idle()
	if got := slices.Sorted(maps.Keys(s.disk())); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("on disk: %q", got)
	}
	s.equal()
	if n := s.logs.count("removing files"); n > 0 {
		t.Errorf("files were removed")
	}
	if n := s.logs.count("the bucket is away: nothing is stored"); n > 2 {
		t.Errorf("%d log lines about it", n)
	}
	if !strings.HasPrefix(how.name, "older") {
		return
	}
	// All is as before: what another server deletes goes.
	s.until("the comparison to find nothing", func() bool { return !s.isOlder() })
}

// What was stored in a bucket that was emptied, before that was seen, is stored
// again when the bucket is back, also if the work on it ends only then.
//
// Promise 2: "Nothing is lost."
func TestStoredBeforeTheBucketWasAway(t *testing.T) {
	t.Parallel()
	for _, local := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(local), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) {
				c.Local, c.Look, c.Poll = local, 20*time.Millisecond, 20*time.Millisecond
			})
			s.bucket = t.TempDir() + "/bucket"
			s.ready()
			stored, goOn := make(chan struct{}), make(chan struct{})
			first := sync.OnceFunc(func() { close(stored); <-goOn })
			s.calls.set(func(c *calls) {
				c.afterPut = func(key string) error {
					if key == "media/new.jpg" {
						first()
					}
					return nil
				}
			})
			s.write("new.jpg", "content")
			<-stored
			mustDo(t, os.Remove(s.bucket+"/media/new.jpg"))
			aside := s.setAside()
			s.until("it to be noticed", s.seesAway)
			s.putBack(aside)
			s.until("the comparison", func() bool {
				st := s.e.Stats()
				return st.State == "running" && !st.Reconciling && s.logs.count("the bucket is back") > 0 &&
					s.logs.count("disk and bucket compared") > 1
			})
			close(goOn)
			s.until("the file to be stored", func() bool { return s.objects()["new.jpg"] == "content" })
			s.until("the comparison to find nothing", func() bool { return !s.isOlder() })
			s.equal()
		})
	}
}

// uploadAnyway does f in a request that goes on although the node may not be ready
// for it, as with `on_failure pass`, and gives up when its answer is held and ok.
func (s *site) uploadAnyway(f func(), ok func() bool, names ...string) error {
	r := s.e.beginRunning(s.t.Context(), "client")
	defer r.End()
	for _, name := range names {
		r.Name(name)
	}
	ready, cancel := context.WithTimeout(s.t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.Ready(ready); err != nil {
		s.t.Log(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	f()
	return s.waitUntil(r, ok)
}

// A bucket that was replaced on purpose is taken when the admin says so, and gets
// all that is on disk; nothing on disk goes.
func TestAdopt(t *testing.T) {
	t.Parallel()
	for _, local := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(local), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) {
				c.Local, c.Look, c.Poll, c.LeaseTTL = local, 20*time.Millisecond, 20*time.Millisecond, 3*time.Second
			})
			s.bucket = t.TempDir() + "/bucket"
			s.ready()
			s.mustUpload(func() { s.writeAll(names(20)) })
			s.idle()
			s.setAside()
			other := newSite(t, func(c *Config) { c.Local = local })
			other.bucket = s.bucket
			other.ready()
			other.mustUpload(func() { other.write("other.jpg", "of the new one") })
			other.stop()
			s.until("it to be noticed", s.seesAway)
			mustDo(t, s.e.guard.Adopt(t.Context()))
			if local == LocalAll { // a node that was killed before all is stored goes on
				s.kill()
				s.start()
			}
			s.until("all files to be stored", func() bool {
				objects := s.objects()
				for key, content := range s.disk() {
					if objects[key] != content {
						return false
					}
				}
				return s.e.Stats().State == "running" && !s.isOlder()
			})
			want := 20
			if local == LocalAll {
				want++ // what the new one has is fetched
			}
			s.until("what it has", func() bool { return len(s.disk()) == want })
		})
	}
}

// A mount that vanishes under a running server and comes back, and a restart after
// that, cost no file: an empty mount point is no bucket.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one."
func TestMountThatBlinks(t *testing.T) {
	t.Parallel()
	for _, local := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(local), func(t *testing.T) {
			s := newSite(t, func(c *Config) {
				c.Local, c.Look, c.Poll, c.LeaseTTL = local, 20*time.Millisecond, 20*time.Millisecond, 3*time.Second
			})
			disk, point := t.TempDir(), t.TempDir()
			mount := func() error {
				return exec.CommandContext(t.Context(), "mount", "--bind", disk, point).Run()
			}
			unmount := func() { s.sh(`umount -l "$1"`, point) }
			if err := mount(); err != nil {
				t.Skipf("this machine lets nothing be mounted: %v", err)
			}
			t.Cleanup(func() { _ = exec.Command("umount", "-l", point).Run() })
			s.bucket = point + "/bucket"
			s.ready()
			s.mustUpload(func() { s.writeAll([]string{"a1.jpg", "a2.jpg", "a3.jpg"}) })
			s.idle()

			unmount()
			if err := s.uploadAnyway(func() { s.writeAll([]string{"u1.jpg", "u2.jpg", "u3.jpg"}) }, s.seesAway); err == nil {
				t.Error("an upload was said to be stored while the bucket was not mounted")
			}
			if state := s.e.Stats().State; state == "running" {
				t.Error("the state is running while the bucket is not mounted")
			}
			if left, err := os.ReadDir(point); err != nil || len(left) > 0 {
				t.Errorf("written to the mount point: %v, %v", left, err)
			}

			mustDo(t, mount())
			s.until("all files to be stored", func() bool { return s.e.Stats().State == "running" && len(s.objects()) == 6 })
			s.stop()
			s.ready()
			s.idle()
			if n := len(s.disk()); n != 6 || s.logs.count("removing files") > 0 {
				t.Errorf("%d files are left of 6", n)
			}
			s.equal()
			s.stop()
		})
	}
}

// What another node stored while the bucket was away for this one is newer than the
// file here, also if this node was restarted meanwhile: nothing of it was lost.
//
// Promise 6: "Every node sees what a shared disk would show."
func TestStoredElsewhereWhileAway(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"", "restart", "restart without a place"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			restart := how != ""
			bucket := t.TempDir() + "/bucket"
			ns := newNodes(t, 2, func(c *Config) { c.Look = 20 * time.Millisecond })
			for _, s := range ns {
				s.bucket = bucket
			}
			ns.ready()
			e, f := ns[0], ns[1]
			f.mustUpload(func() { f.write("o.jpg", "V1") })
			ns.agree()
			aside := e.setAside()
			for _, s := range ns {
				s.until("it to be noticed", s.seesAway)
			}
			if restart {
				e.stop()
				if how != "restart" {
					e.forgetPlace()
				}
				e.start()
				e.until("it to be noticed again", e.seesAway)
			}
			if err := f.uploadAnyway(func() { f.write("o.jpg", "V2") }, always); err == nil {
				t.Error("an upload was said to be stored while the bucket was away")
			}
			if restart { // the other node is the first to see the bucket again
				e.kill()
				if how != "restart" {
					e.forgetPlace()
				}
			}
			f.putBack(aside)
			f.until("the new content to be stored", func() bool { return f.readObject("o.jpg") == "V2" })
			if restart {
				e.start()
			}
			for _, s := range ns {
				s.until("the comparison to find nothing", func() bool { return s.e.Stats().State == "running" && !s.isOlder() })
				s.idle()
			}
			ns.agree()
			if got := e.readObject("o.jpg"); got != "V2" {
				t.Errorf("the bucket has %q", got)
			}
			if got := e.conflicts(); len(got) > 0 {
				t.Errorf("kept aside: %q", got)
			}
		})
	}
}

// forgetPlace does as if the last process had ended before it noted its place in the
// change log.
func (s *site) forgetPlace() {
	s.t.Helper()
	tree := local.NewTree(s.dir)
	note := strings.Fields(tree.DirNote("", local.AttrBucket))
	if len(note) < 5 {
		s.t.Fatalf("the note is %q", note)
	}
	note[4] = "0"
	mustDo(s.t, tree.SetDirNote("", local.AttrBucket, strings.Join(note, " ")))
}

// Where a bucket that was put back to an older state has another content, the
// disk's keeps the name, and the other is kept aside, logged and counted.
//
// Promise 2: "Nothing is lost."
func TestOlderContentIsKeptAside(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) {
		c.Local, c.Look, c.Poll, c.LeaseTTL = LocalAll, 20*time.Millisecond, 20*time.Millisecond, 3*time.Second
	})
	s.bucket = t.TempDir() + "/bucket"
	s.ready()
	s.mustUpload(func() { s.write("o.jpg", "V1") })
	s.idle()
	snapshot := t.TempDir()
	s.sh(`until cp -a "$1/." "$2"; do :; done`, s.bucket, snapshot)
	s.mustUpload(func() { s.write("o.jpg", "V2") })
	s.idle()
	s.setAside()
	s.putBack(snapshot)
	s.until("the file to be stored again", func() bool { return s.readObject("o.jpg") == "V2" && !s.isOlder() })
	s.equal()
	if got := s.conflicts(); len(got) != 1 || got[0] != "V1" {
		t.Errorf("kept aside: %q", got)
	}
	// Which of the two is newer, no other node can tell either.
	there, err := s.e.head("o.jpg", media.Public)
	mustDo(t, err)
	if tells(&work.Task{News: work.News{Told: there.ETag}}, there) {
		t.Errorf("other nodes take it for newer than what they have: %v", there.Meta)
	}
	s.until("it to be logged and counted", func() bool {
		return s.e.Stats().Conflicts == 1 && s.logs.count("the other content is kept aside") == 1
	})
}

// An absence that is shorter than the time between two looks is seen by who uses the
// bucket: nothing is written to what lies beneath a mount point.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new one."
func TestShortAbsenceIsSeenByWhoWrites(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) { c.Local, c.Look, c.LeaseTTL = policy, time.Hour, 3*time.Second })
			s.bucket = t.TempDir() + "/bucket"
			s.ready()
			s.mustUpload(func() { s.write("a.jpg", "a") })
			aside := s.setAside()
			mustDo(t, os.Mkdir(s.bucket, 0o755))
			if err := s.giveUp(func() { s.write("b.jpg", "b"); s.remove("a.jpg") }, s.seesAway); err == nil {
				t.Error("the client is told that what it wrote is stored")
			}
			if found := readTree(t, s.bucket, func(string) bool { return true }); len(found) > 0 {
				t.Errorf("written to what is not the bucket: %v", found)
			}
			s.putBack(aside)
			s.until("b.jpg", func() bool { return s.readObject("b.jpg") == "b" && s.readObject("a.jpg") == "" })
			s.until("the end of the comparison", func() bool { return s.e.Stats().State == "running" })
			s.idle()
			s.equal()
		})
	}
}

// What is uploaded to a bucket that was put back to an older state, before that is seen,
// does not hide that the bucket lacks what was stored since, though the change log has an
// entry again where this node's place in it is.
//
// Promise 2: "Nothing is lost."
func TestUploadIntoAnOlderState(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Local, c.Look, c.Poll = LocalAll, time.Hour, 20*time.Millisecond })
	s.bucket = t.TempDir() + "/bucket"
	s.ready()
	s.mustUpload(func() { s.writeAll(names(3)) })
	s.idle()
	mustDo(t, s.e.guard.CheckState(t.Context()))
	snapshot := t.TempDir()
	s.sh(`until cp -a "$1/." "$2"; do :; done`, s.bucket, snapshot)
	for _, key := range []string{"sun.jpg", "moon.jpg", "stars.jpg"} {
		s.mustUpload(func() { s.write(key, "content") })
	}
	s.idle()
	s.setAside()
	mustDo(t, os.Rename(snapshot, s.bucket))
	s.mustUpload(func() { s.write("first.jpg", "content") })
	s.mustUpload(func() { s.write("second.jpg", "content") })
	mustDo(t, s.e.guard.CheckState(t.Context()))
	s.until("all files to be stored", func() bool { return len(s.objects()) == 8 })
	s.equal()
	s.until("the comparison to find nothing", func() bool { return !s.isOlder() })
}

// Where there is no change log, what was stored since the last look shows that a bucket was
// put back to a state of that time: one that has the number of writes that this disk noted.
//
// Promise 2: "Nothing is lost."
func TestOlderStateSinceTheLastLook(t *testing.T) {
	t.Parallel()
	for name, since := range map[string]func(s *site){
		"new files":      func(s *site) { s.writeAll([]string{"sun.jpg", "moon.jpg"}) },
		"an overwrite":   func(s *site) { s.write("first.jpg", "V2") },
		"a private file": func(s *site) { s.write("closed/sun.jpg", "content") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) { c.Local, c.Look = LocalOwn, time.Hour })
			s.bucket = t.TempDir() + "/bucket"
			s.ready()
			s.mustUpload(func() { s.writeAll(names(3)); s.write("closed/.htaccess", "Require all denied") })
			s.idle()
			mustDo(t, s.e.guard.CheckState(t.Context()))
			s.mustUpload(func() { s.write("first.jpg", "V1") })
			s.idle()
			snapshot := t.TempDir()
			s.sh(`until cp -a "$1/." "$2"; do :; done`, s.bucket, snapshot)
			s.mustUpload(func() { since(s) })
			s.mustUpload(func() { s.write("gone.jpg", "content") })
			s.mustUpload(func() { s.remove("gone.jpg") }) // is no sign of it
			s.idle()
			s.setAside()
			mustDo(t, os.Rename(snapshot, s.bucket))
			s.mustUpload(func() { s.write("last.jpg", "content") })
			mustDo(t, s.e.guard.CheckState(t.Context()))
			s.until("all files to be stored", func() bool { return maps.Equal(s.disk(), s.everything()) })
			s.until("the comparison to find nothing", func() bool { return !s.isOlder() && s.e.Stats().Pending == 0 })
			if n := s.logs.count("is in an older state"); n != 1 {
				t.Errorf("%d lines about it", n)
			}
			mustDo(t, s.e.guard.CheckState(t.Context()))
			if s.isOlder() {
				t.Error("it is taken for older once more")
			}
		})
	}
}

// What this node deletes, moves or writes over itself is no sign of an older state.
func TestOwnChangesAreNoOlderState(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Local, c.Look = LocalOwn, time.Hour })
	s.ready()
	for i := range 3 {
		s.mustUpload(func() { s.writeAll(names(20)); s.write("a/b.jpg", fmt.Sprint("V", i)) })
		s.mustUpload(func() { s.rename("a", "c"); s.remove(names(3)[2]) })
		s.mustUpload(func() { s.remove("c") })
		s.idle()
		mustDo(t, s.e.guard.CheckState(t.Context()))
		if s.isOlder() {
			t.Fatal("it is taken for older")
		}
	}
}
