package dir

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path"
	"time"
)

const (
	// lockSlots is the number of lock files. A lock is held for a few disk
	// writes only, so that two keys in one slot hardly delay each other.
	lockSlots = 64
	// lockWait bounds the wait for a lock held by another process.
	lockWait = 30 * time.Second
	// Another process's release cannot be waited for with a deadline, so it
	// is polled for: at first often, as most are held for about 1 ms.
	lockPollMin, lockPollMax = time.Millisecond, 25 * time.Millisecond
)

// errNoLocks: the file system has no locks.
var errNoLocks = errors.New("the file system has no file locks")

// lock makes the caller the only writer of key, and of those others that share
// its slot, in all processes on all machines that share the directory. On a
// file system without locks it excludes the writers of this store alone; Probe
// tells that it is not fit for several nodes.
//
// Locks are advisory and held on files of their own, never on an object: a
// lock on a file that gets replaced by rename locks nothing.
func (d *store) lock(ctx context.Context, root *os.Root, key string) (unlock func(), err error) {
	slot := slotOf(key)
	select {
	case d.slots[slot] <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	release := func() { <-d.slots[slot] }
	f, err := openLock(root, lockName(slot))
	if err != nil {
		release()
		return nil, err
	}
	if err := waitLock(ctx, f); err != nil && !errors.Is(err, errNoLocks) {
		_ = f.Close()
		release()
		return nil, err
	}
	return func() {
		_ = f.Close() // drops the lock
		release()
	}, nil
}

func lockName(slot int) string { return path.Join(dirLocks, fmt.Sprintf("%02x", slot)) }

// makeLocks makes all lock files of a bucket that lacks the last of them. A directory that
// is closed for writing later then stops no key, rather than those alone that nobody has
// locked before. One that is closed already can still be read.
func makeLocks(root *os.Root) {
	if _, err := root.Lstat(lockName(lockSlots - 1)); err == nil {
		return
	}
	for slot := range lockSlots {
		f, err := openLock(root, lockName(slot))
		if err != nil {
			return // lock tells it to whoever writes
		}
		_ = f.Close() // nothing was written
	}
}

func openLock(root *os.Root, name string) (*os.File, error) {
	if info, err := root.Lstat(name); err == nil && !info.Mode().IsRegular() {
		if _, err := makeWay(root, name); err != nil {
			return nil, err
		}
	}
	return root.OpenFile(name, os.O_RDWR|os.O_CREATE|openNonblock, 0o600)
}

func slotOf(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % lockSlots)
}

func waitLock(ctx context.Context, f *os.File) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait,
		fmt.Errorf("another process has held the lock file %s for %v", f.Name(), lockWait))
	defer cancel()
	for poll := lockPollMin; ; poll = min(2*poll, lockPollMax) {
		locked, err := tryLock(f)
		if locked || err != nil {
			return err
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
