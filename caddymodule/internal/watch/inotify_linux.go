package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rootInterval is how often roots are looked for without a barrier.
const rootInterval = time.Second

// eventBuffer holds some thousand events: the kernel's queue is emptied in few
// system calls.
const eventBuffer = 64 << 10

// inotifySource finds changes by one inotify watch per directory.
//
// Its queue is exact: the kernel puts an event into it within the system call
// that makes the change. So what was complete before collect is among the
// bytes that FIONREAD counts when collect begins (or was merged with an equal
// event among them), or is below a directory whose creation is among them, or
// below a root that is not the one recorded.
type inotifySource struct {
	cfg   *Config
	tree  *tree
	roots []watchedRoot
	buf   []byte

	fd   int      // for reading and ioctl; owned by file
	file *os.File // keeps fd with the runtime's poller
	conn syscall.RawConn

	readyC   chan struct{}
	rearm    chan struct{} // capacity 1: the poller may wait for events again
	stop     chan struct{}
	closing  sync.Once
	pollDone chan struct{}
}

func openInotify(ctx context.Context, cfg *Config) (source, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if errors.Is(err, unix.EMFILE) {
		return nil, &limitError{sysctl: sysctlInstances, limit: sysctlValue(sysctlInstances), err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("starting inotify: %w", err)
	}
	s := &inotifySource{
		cfg:      cfg,
		tree:     newTree(fd, cfg),
		roots:    newRoots(cfg.Roots),
		buf:      make([]byte, eventBuffer),
		fd:       fd,
		file:     os.NewFile(uintptr(fd), "inotify"),
		readyC:   make(chan struct{}),
		rearm:    make(chan struct{}, 1),
		stop:     make(chan struct{}),
		pollDone: make(chan struct{}),
	}
	if s.conn, err = s.file.SyscallConn(); err == nil {
		err = s.checkRoots(ctx, nil)
	}
	if err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	go s.poll()
	return s, nil
}

func (s *inotifySource) kind() string            { return "inotify" }
func (s *inotifySource) ready() <-chan struct{}  { return s.readyC }
func (s *inotifySource) interval() time.Duration { return rootInterval }

func (s *inotifySource) close() {
	s.closing.Do(func() {
		close(s.stop)
		_ = s.file.Close() // wakes poll; there is nothing to lose
		<-s.pollDone
	})
}

// pollPause is how long events may gather before run is woken for them. A file
// comes in thousands of writes, and a wake for each costs more than all else.
// Barriers do not wait for it: they read at once.
const pollPause = 20 * time.Millisecond

// poll tells run when the kernel has events.
func (s *inotifySource) poll() {
	defer close(s.pollDone)
	pause := time.NewTimer(pollPause)
	defer pause.Stop()
	for {
		err := s.conn.Read(func(fd uintptr) bool {
			n, err := queuedBytes(int(fd))
			return err != nil || n > 0
		})
		if err != nil {
			return
		}
		pause.Reset(pollPause)
		select {
		case <-pause.C:
		case <-s.stop:
			return
		}
		select {
		case s.readyC <- struct{}{}:
		case <-s.stop:
			return
		}
		select {
		case <-s.rearm:
		case <-s.stop:
			return
		}
	}
}

// queuedBytes is how much can be read from the queue: FIONREAD, which Linux
// numbers like TIOCINQ.
func queuedBytes(fd int) (int, error) {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0, fmt.Errorf("asking for the length of the inotify queue: %w", err)
	}
	return n, nil
}

// quiet costs one ioctl and a stat for each root: nothing in the queue, and
// the roots are those that are watched (inotify does not tell when a symbolic
// link above a root is switched).
func (s *inotifySource) quiet() bool {
	if n, err := queuedBytes(s.fd); n > 0 || err != nil {
		return false
	}
	for i := range s.roots {
		if !s.roots[i].unchanged() {
			return false
		}
	}
	return true
}

func (s *inotifySource) collect(ctx context.Context, out *batch) error {
	defer func() {
		select {
		case s.rearm <- struct{}{}:
		default:
		}
	}()
	copy(out.in, s.tree.rootID) // that of what is queued: checkRoots comes after it
	// Only what is queued now: who writes without pause would otherwise keep
	// barriers waiting for ever.
	remaining, err := queuedBytes(s.fd)
	if err != nil {
		return err
	}
	for remaining > 0 && ctx.Err() == nil {
		n, err := s.read(ctx, out)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		remaining -= n
	}
	s.tree.left(out)
	if s.tree.overflowed || s.tree.incomplete {
		if err := s.rewalk(ctx, out); err != nil {
			return err
		}
	}
	if err := s.checkRoots(ctx, out); err != nil {
		return err
	}
	s.tree.dropStale(staleSlice)
	if s.tree.incomplete {
		return errTryAgain
	}
	return nil
}

// read takes one buffer of events off the queue.
func (s *inotifySource) read(ctx context.Context, out *batch) (int, error) {
	n, err := ignoringEINTR(func() (int, error) { return unix.Read(s.fd, s.buf) })
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading inotify events: %w", err)
	}
	rest := s.buf[:n]
	for ctx.Err() == nil {
		ev, next, ok := nextEvent(rest)
		if !ok {
			break
		}
		rest = next
		if err := s.tree.apply(ctx, ev, out); err != nil {
			return n, err
		}
	}
	return n, nil
}

// rewalk makes up for lost events: afterwards every directory is watched, and
// the Rescan comes after that, so that nothing falls between.
func (s *inotifySource) rewalk(ctx context.Context, out *batch) error {
	if s.tree.overflowed {
		s.cfg.Logger.Warn("the kernel dropped file events; looking at all media roots again",
			"sysctl", "fs.inotify.max_queued_events", "limit", sysctlValue("fs.inotify.max_queued_events"))
	}
	s.tree.overflowed, s.tree.incomplete = false, false
	for i := range s.roots {
		if s.tree.roots[i] == nil {
			continue
		}
		if err := s.tree.walk(ctx, visit{root: i}, nil); err != nil {
			return err
		}
		out.dir(i, "", Rescan)
	}
	return nil
}

// sysctlValue is 0 if it cannot be read.
func sysctlValue(name string) int {
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return n
}
