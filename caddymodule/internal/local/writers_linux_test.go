package local

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWriting(t *testing.T) {
	dir := t.TempDir()
	tree := NewTree(dir)
	defer tree.Close()
	path := filepath.Join(dir, "a.jpg")
	want := func(what string, want Writing) {
		t.Helper()
		if got, _, err := tree.Writing("a.jpg"); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	want("open for writing", Writers)
	mapped, err := unix.Mmap(int(f.Fd()), 0, 7, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	want("mapped for writing", Writers)
	if err := unix.Munmap(mapped); err != nil {
		t.Fatal(err)
	}
	want("closed", NoWriters)
	if err := os.Link(path, filepath.Join(dir, "b.jpg")); err != nil {
		t.Fatal(err)
	}
	if f, err = os.OpenFile(filepath.Join(dir, "b.jpg"), os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	want("open under another name", Writers)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	want("open for reading", NoWriters)
	if _, _, err := tree.Writing("none.jpg"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a missing file: %v", err)
	}
}

// Whoever is neither the file's owner nor has CAP_LEASE is told nothing, and
// must not take that for an answer.
func TestWritingIsNotToldToOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to have a file of another user's")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a.jpg")
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	got := make(chan Writing)
	go func() {
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
		w, _, err := NewTree(dir).Writing("a.jpg")
		if err != nil {
			t.Error(err)
		}
		got <- w
	}()
	if w := <-got; w != Untold {
		t.Errorf("got %v", w)
	}
}

// Who opens a file for writing while the lease is held makes the kernel send
// SIGIO, whose default action ends a process.
func TestBrokenLeaseHarmsNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jpg")
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	breakIt := func() {
		t.Helper()
		if err := lease(f, unix.F_RDLCK); err != nil {
			t.Skipf("no leases here: %v", err)
		}
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EAGAIN) {
			t.Errorf("opened as %d, %v although a lease is held", fd, err)
		}
		if err := lease(f, unix.F_UNLCK); err != nil {
			t.Fatal(err)
		}
	}
	breakIt() // the signal is nobody's
	came := make(chan os.Signal, 1)
	signal.Notify(came, unix.SIGIO)
	defer signal.Stop(came)
	breakIt()
	select {
	case <-came:
	case <-time.After(10 * time.Second):
		t.Error("no SIGIO came: this test shows nothing")
	}
	// The writer waits only until the lease is given back.
	if err := lease(f, unix.F_RDLCK); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error)
	go func() {
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			err = w.Close()
		}
		opened <- err
	}()
	<-came // it waits
	if err := lease(f, unix.F_UNLCK); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}
