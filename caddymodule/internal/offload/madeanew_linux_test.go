package offload

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// A media root that is removed and made anew within moments is another directory, also
// where the file system gives it the number of the one before: what went with that is no
// delete, however the two fall between the looks at the root.
//
// docs/deletes.md: "A wiped disk is one where the media root itself is a new directory,
// whoever made it."
func TestARootMadeAnewDeletesNothing(t *testing.T) {
	t.Parallel()
	const roots, rounds = 25, 2
	s := newSite(t, func(c *Config) { c.MaxDeleteShare = 1 }) // nothing is withheld
	dirs := []string{s.dir}
	for i := range roots - 1 {
		name := fmt.Sprintf("root%d", i)
		dirs = append(dirs, filepath.Join(t.TempDir(), name))
		s.more = append(s.more, media.Root{Name: name, Dir: dirs[i+1], URL: "/" + name + "/"})
	}
	fill := func() {
		for _, dir := range dirs {
			for i := range 3 {
				mustDo(t, os.MkdirAll(dir+"/sub", 0o755))
				mustDo(t, writeAlone(fmt.Sprintf("%s/%d.jpg", dir, i), dir))
				mustDo(t, writeAlone(fmt.Sprintf("%s/sub/%d.jpg", dir, i), dir))
			}
		}
	}
	s.ready()
	s.mustRequest(fill)
	s.idle()
	for range rounds {
		before := s.everything()
		for i, dir := range dirs {
			removeWhole(t, dir)
			time.Sleep(time.Duration(i%10) * time.Millisecond) // any moment must do
			if i%5 == 0 {
				s.barrier()
			}
			if i%5 == 1 {
				s.e.lookAtRoots()
			}
			mustDo(t, os.Mkdir(dir, 0o755))
		}
		s.idle() // each delete that was seen has had its rest
		if after := s.everything(); !maps.Equal(after, before) {
			t.Errorf("%d objects are left of %d", len(after), len(before))
		}
		if n := len(s.below("offload/trash/")); n > 0 {
			t.Errorf("%d objects are in the trash", n)
		}
		s.mustRequest(fill)
		s.idle()
	}
}

// removeWhole removes a directory, into which files may be fetched meanwhile.
func removeWhole(t *testing.T, dir string) {
	t.Helper()
	for err := os.RemoveAll(dir); err != nil; err = os.RemoveAll(dir) {
		if !errors.Is(err, syscall.ENOTEMPTY) {
			t.Fatal(err)
		}
	}
}

// A media root that is unmounted is not there, also where its mount point is: nothing is
// deleted, nothing is fetched into the mount point, and the status names it. What an app
// writes there meanwhile is stored, and all is there when it is mounted again.
//
// docs/deletes.md: "the media root itself: unmounted, moved away, a symlink that points
// elsewhere | kept | kept".
func TestAnUnmountedRootIsNotThere(t *testing.T) {
	for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) { c.Local, c.Poll = policy, 20*time.Millisecond })
			disk := s.mountRoot()
			s.ready()
			s.mustRequest(func() { s.writeAll(names(5)) })
			s.idle()
			for i := range 3 {
				before := s.objects()
				s.sh(`umount -l "$1"`, s.dir)
				s.until("the status to say so", func() bool {
					st := s.e.Stats()
					return st.State == "degraded" && strings.Contains(st.Reason, s.dir)
				})
				s.e.recon.want(everything, window{})
				key := fmt.Sprintf("meanwhile-%d.jpg", i)
				s.mustRequest(func() { s.write(key, key) })
				before[key] = key
				s.idle()
				if objects := s.objects(); !maps.Equal(objects, before) {
					t.Errorf("%d objects of %d", len(objects), len(before))
				}
				if found := s.disk(); len(found) > 1 {
					t.Errorf("in the mount point are %v", slices.Sorted(maps.Keys(found)))
				}
				mustDo(t, os.Remove(s.path(key)))
				s.sh(`mount --bind "$1" "$2"`, disk, s.dir)
				s.until("the root to be back", func() bool { return s.e.Stats().State == "running" })
				s.idle()
				if objects := s.objects(); !maps.Equal(objects, before) {
					t.Errorf("when it is back: %d objects of %d", len(objects), len(before))
				}
			}
		})
	}
}

// mountRoot makes the media root a file system of its own, of which it returns the
// directory.
func (s *site) mountRoot() (disk string) {
	s.t.Helper()
	disk = s.t.TempDir()
	for _, args := range [][]string{{"-t", "tmpfs", "-o", "size=8m", "tmpfs", disk}, {"--bind", disk, s.dir}} {
		if out, err := exec.CommandContext(s.t.Context(), "mount", args...).CombinedOutput(); err != nil {
			s.t.Skipf("this machine lets nothing be mounted: %v: %s", err, out)
		}
		s.t.Cleanup(func() { _ = exec.Command("umount", "-l", args[len(args)-1]).Run() })
	}
	return disk
}
