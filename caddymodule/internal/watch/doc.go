// Package watch tells which files changed below a set of directories.
//
// It promises an exact barrier: when [Watcher.Barrier] returns, every change
// that was complete before the call has been delivered. It does not guess by
// time. It knows paths and nothing else: not what a media file is, not where
// it goes, and it never reads a file's content.
//
// On Linux (4.11 or later) it uses inotify, which queues an event within the system call that
// makes the change; reading that queue as far as it reached when Barrier was
// called is the barrier. Elsewhere, and where inotify is not to be had, it
// compares the directories with what they were before (scanning), and a
// barrier is a comparison that began after the call.
//
// What inotify does not see: writes through a memory mapping before the file is
// closed, that a file has changed under its other names when it was written
// through one hard link, what other machines do on a network file system, and
// a file system that is mounted below a root while the watcher runs.
package watch
