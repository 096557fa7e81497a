package offload

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// asNobodyToo runs a test in a process without the rights of root, which no mode of a
// directory stops. It reports whether this is that process.
func asNobodyToo(t *testing.T) bool {
	t.Helper()
	if os.Getuid() != 0 {
		return true
	}
	self, err := os.Open("/proc/self/exe")
	mustDo(t, err)
	defer self.Close()
	cmd := exec.CommandContext(t.Context(), "/proc/self/fd/3", "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.ExtraFiles = []*os.File{self} // nobody may not pass to where it is
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
	return false
}

// A directory of a file:// bucket that is closed, or closed for writing, while the site runs
// costs no file. As long as uploads cannot be stored the state says so, and all goes on by
// itself when it is open again.
//
// Promise 2: "No failure of the bucket […] loses a file that the app has on disk: it is
// committed after recovery, without anyone's help."
func TestClosedDirectories(t *testing.T) {
	t.Parallel()
	if !asNobodyToo(t) {
		return
	}
	for _, dir := range []string{"", "media", "offload", "offload/log", "offload/lease", ".tmp", ".meta", ".meta/media", ".lock"} {
		for _, mode := range []os.FileMode{0, 0o555} {
			for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
				if policy == LocalOwn && filepath.Dir(dir) == "offload" {
					continue // there is none
				}
				t.Run(fmt.Sprintf("%s/%o/%s", dir, mode, policy), func(t *testing.T) {
					t.Parallel()
					s := newSite(t, func(c *Config) {
						c.Local, c.Look, c.Poll, c.LeaseTTL = policy, 50*time.Millisecond, 20*time.Millisecond, 3*time.Second
					})
					s.bucket = t.TempDir() + "/bucket"
					s.ready()
					s.mustUpload(func() { s.writeAll(names(3)) }, "photo.jpg")
					s.idle()
					closed := filepath.Join(s.bucket, dir)
					was, err := os.Stat(closed)
					mustDo(t, err)
					mustDo(t, os.Chmod(closed, mode))
					open := func() { mustDo(t, os.Chmod(closed, was.Mode().Perm())) }
					t.Cleanup(open) // to be removed
					_ = s.uploadAnyway(func() { s.writeAll([]string{"sun.jpg", "moon.jpg"}) }, func() bool { return !s.takesUploads() }, "sun.jpg", "moon.jpg")
					s.until("the files to be stored, or the status to tell", func() bool { return s.e.Stats().Pending == 0 || !s.takesUploads() })
					if s.e.Stats().Pending > 0 {
						for range 10 {
							if s.takesUploads() {
								t.Error("uploads are taken")
							}
							time.Sleep(20 * time.Millisecond) // nothing signals that it stays so
						}
					}
					_ = s.uploadAnyway(func() { s.remove(names(3)[0]) }, always)
					open()
					s.until("all to be as before", func() bool { return s.takesUploads() && maps.Equal(s.disk(), s.objects()) })
					s.idle()
					if n := len(s.disk()); n != 4 {
						t.Errorf("%d files are left of 4", n)
					}
				})
			}
		}
	}
}
