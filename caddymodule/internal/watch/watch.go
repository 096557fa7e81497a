package watch

import "context"

// Op says what is known of a change. A change is a hint where to look, never
// a fact about the present: the receiver looks at the disk again.
type Op uint8

const (
	// Wrote: the file was closed after writing, was renamed to this name, or
	// was found in a new directory. Its content may be complete.
	Wrote Op = iota + 1
	// Writing: the file was created or changed and has not been closed since.
	Writing
	// Touched: mode, owner, times or extended attributes changed.
	Touched
	// Gone: the file was removed or renamed away.
	Gone
	// DirGone: the directory and all below it was removed or renamed away. No
	// event comes for what was in it.
	DirGone
	// Rescan: events were lost; anything below the directory (Path "" is the
	// whole root) may have changed in any way.
	Rescan
)

// Event is a change of one path.
type Event struct {
	// Root is the index of the root in Config.Roots.
	Root int
	// Path is the slash-separated path below the root; "" is the root itself.
	Path string
	Op   Op
	// Created: this watcher saw the file being created or renamed to this
	// name, so it did not exist before (Writing and Wrote only).
	Created bool
}

// Watcher delivers changes until it is closed.
type Watcher interface {
	// Barrier returns when every change that was complete before the call has
	// been passed to Config.Handle, which has returned. It does not wait for
	// changes made after the call. It returns ctx's error if that ends first,
	// and ErrClosed after Close.
	Barrier(ctx context.Context) error
	// Close stops all goroutines and returns when they have ended. Handle is
	// not called after it.
	Close() error
}
