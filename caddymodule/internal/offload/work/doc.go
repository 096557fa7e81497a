// Package work is the engine's queue: which paths have to be looked at, when, and who
// waits for that.
//
// There is one item for each path. It says where to look and what was seen of it, not
// what to do. Events, other nodes' changes and comparisons are merged into it; a worker
// gets a Task, its value of the time when it was taken, and the item stays until a
// worker has dealt with its last change.
//
// It promises: a change that was put in is never lost, whatever comes while it is being
// worked on; what a request waits for goes first; what fails is tried again, less and
// less often; and what a comparison asks for is bounded and leaves workers free for the
// rest.
//
// Its lock also keeps what the engine knows of a key (package index) in step with the
// queue: who holds it sees both as they are. It is never held over I/O.
//
// It must not know disks, stores or requests: it does no work itself.
package work
