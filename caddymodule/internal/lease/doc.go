// Package lease keeps two nodes of a site from giving one name to two files, with
// nothing but the bucket.
//
// A lease is an object that its owner, a node, rewrites in time (If-Match). Names share a
// fixed number of leases by hash, the slots, so that none has ever to be removed. A
// request makes a [Claim] of its names; within a node, claims have a slot one after the
// other.
//
// It promises: a name is held by at most one claim, of all nodes, whose [Claim.Held] is
// true; a crashed node delays others by a lease's time to live and no more; a request
// that is not all there keeps a name from none that is for longer than a turn; no client
// keeps all others waiting; when [Claim.CatchUp] returns nil, the node has read what
// those wrote to the change log who had the names before. No clock is ever compared with
// another machine's. A write whose answer was lost is never taken for one that failed:
// each carries a nonce, by which its writer knows it again.
//
// Leases serve the app's check whether a name is taken. The safety of data never rests
// on them.
//
// What an upload waits for, in round trips to the store that follow each other: one for
// its names and the log together ([Claim.CatchUp]), if the names' slots were never used
// or last by this node; one more if another node used one of them last, for the lease has
// to be read before it can be taken, and one more still if this node takes such a slot to
// be new. A body that takes as long to arrive after its first name hides all these
// ([Claim.Look], [Claim.Soon]), but keeps the name from nobody by that: see turns.go.
// Another one, after its objects are stored, for the entry that tells of all of them
// ([changelog.Log.Expect]). Leases are given back when nobody waits any more. With the
// storing of the objects that is three, or two.
//
// It knows names, the change log and objects, and nothing of disks or the engine.
package lease
