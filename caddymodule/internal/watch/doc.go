// Package watch tells which files changed below a set of directories.
//
// It promises an exact barrier: when [Watcher.Barrier] returns, every change
// that was complete before the call has been delivered. It does not guess by
// time. It knows paths and nothing else: not what a media file is, not where
// it goes, and it never reads a file's content.
//
// On Linux it uses inotify, which queues an event within the system call that
// makes the change; reading that queue as far as it reached when Barrier was
// called is the barrier. Elsewhere, and where inotify is not to be had, it
// compares the directories with what they were before (scanning), and a
// barrier is a comparison that began after the call.
//
// What neither can see: writes through a memory mapping before the file is
// closed (inotify reports the close), writes through a hard link outside the
// roots, and a file system mounted below a root while the watcher runs.
package watch
