package offload

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// alone runs a test on a site of its own, and on the only node of a bucket that
// others may join.
func alone(t *testing.T, test func(t *testing.T, s *site)) {
	t.Run("own", func(t *testing.T) {
		s := newSite(t)
		s.ready()
		test(t, s)
	})
	t.Run("all", func(t *testing.T) { test(t, newNodes(t, 1).ready()[0]) })
}

// committedAtTheAnswer does f as the app would during a request, and checks that
// keys are committed when it ends.
func (s *site) committedAtTheAnswer(f func(), keys ...string) {
	s.t.Helper()
	s.mustUpload(f)
	for _, key := range keys {
		if _, ok := s.e.Committed(key); !ok {
			s.t.Errorf("%s is not committed when the answer is out", key)
		}
	}
	s.equal()
}

// writeNameless makes a file that has its name only when it was written.
func (s *site) writeNameless(key string, owner int) {
	s.t.Helper()
	fd, err := unix.Open(s.dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		s.t.Skipf("no files without a name here: %v", err)
	}
	if _, err := unix.Write(fd, []byte("nameless")); err != nil {
		s.t.Fatal(err)
	}
	if err := unix.Fchown(fd, owner, -1); err != nil {
		s.t.Fatal(err)
	}
	if err := unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.AT_FDCWD, s.path(key), unix.AT_SYMLINK_FOLLOW); err != nil {
		s.t.Fatal(err)
	}
	if err := unix.Close(fd); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) link(from, to string) {
	s.t.Helper()
	if err := os.Link(from, s.path(to)); err != nil {
		s.t.Fatal(err)
	}
}

// Promise 1: "When the client has the last byte of the answer to a request that may
// write […] and wrote media, every file that was written, renamed or deleted in a media
// root while it ran is committed". PHP's link() makes a file that nobody ever closes.
func TestFilesThatAreNeverClosedAreWaitedFor(t *testing.T) {
	t.Parallel()
	alone(t, func(t *testing.T, s *site) {
		s.mustUpload(func() { s.write("a.jpg", "content") })
		s.committedAtTheAnswer(func() {
			s.link(s.path("a.jpg"), "linked.jpg")
		}, "linked.jpg")

		outside := filepath.Join(t.TempDir(), "cache.bin")
		if err := os.WriteFile(outside, []byte("from outside"), 0o644); err != nil {
			t.Fatal(err)
		}
		s.committedAtTheAnswer(func() {
			s.link(outside, "outside.jpg")
		}, "outside.jpg")

		s.committedAtTheAnswer(func() {
			s.writeNameless("named.jpg", os.Geteuid())
		}, "named.jpg")

		s.committedAtTheAnswer(func() {
			if err := unix.Mknod(s.path("node.jpg"), unix.S_IFREG|0o644, 0); err != nil {
				t.Fatal(err)
			}
		}, "node.jpg")
	})
}

// A file that some process has open for writing is that one's to wait for, under
// which name ever.
func TestLinkToAnOpenFileIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	alone(t, func(t *testing.T, s *site) {
		f, err := os.Create(filepath.Join(t.TempDir(), "film.part"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		s.mustUpload(func() { s.link(f.Name(), "film.mp4") })
		if _, ok := s.e.Committed("film.mp4"); ok {
			t.Error("the request waited for a file that is being written")
		}
	})
}

// withoutLeases runs f where the kernel does not tell who writes the files of
// other users.
func withoutLeases(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to have files of another user's")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends without its capability
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			t.Error(err)
		}
		data[0].Effective &^= 1 << unix.CAP_LEASE
		if err := unix.Capset(&header, &data[0]); err != nil {
			t.Error(err)
		}
		f()
	}()
	<-done
}

// Where the kernel does not tell, hard links are waited for all the same, and
// the rest is committed soon after the answer.
func TestUnclosedFilesOfAnotherUser(t *testing.T) {
	t.Parallel()
	const nobody = 65534
	s := newSite(t)
	s.ready()
	s.mustRequest(func() { s.write("a.jpg", "content") })
	withoutLeases(t, func() {
		if err := os.Chown(s.path("a.jpg"), nobody, -1); err != nil {
			t.Error(err)
		}
		if err := s.request(func() { s.link(s.path("a.jpg"), "linked.jpg") }); err != nil {
			t.Error(err)
		}
		if _, ok := s.e.Committed("linked.jpg"); !ok {
			t.Error("the hard link is not committed when the answer is out")
		}
		for _, key := range []string{"named.jpg", "named-too.jpg"} {
			if err := s.request(func() { s.writeNameless(key, nobody) }); err != nil {
				t.Error(err)
			}
		}
	})
	s.idle()
	s.equal()
	if n := s.logs.count("open for writing"); n != 1 {
		t.Errorf("the log says %d times that it cannot be seen", n)
	}
}
