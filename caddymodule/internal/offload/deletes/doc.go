// Package deletes remembers deletes that do not reach the bucket at once: how many went
// lately, which are withheld until the admin says whether they were meant, which a guest
// keeps to itself, and, in files of the media roots, all of these over a restart.
//
// It promises: a delete counts once, however many events and tries tell of it; a delete
// that is withheld stays so until its key is removed; what is remembered is bounded, and
// what goes beyond is told in the log, once; a note is on disk wholly or not at all, and
// those of another disk or bucket say nothing.
//
// It must not know the queue, the bucket or requests: it decides of no object what becomes
// of it. Each type has a lock that is private to it.
package deletes
