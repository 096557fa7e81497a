// Package watch tells which files changed below a set of directories.
//
// It promises an exact barrier: when [Watcher.Barrier] returns, every change
// that was complete before the call has been delivered. It does not guess by
// time. It knows paths and nothing else: not what a media file is, not where
// it goes, and it never reads a file's content.
package watch
