// Package cluster lets the nodes of a site know what the others changed, and
// keeps two of them from giving one name to two files, with nothing but the
// bucket.
//
// The change log is a row of numbered objects, each created once
// (If-None-Match), so that all nodes read the same changes in the same order.
// A name lease is an object that its holder rewrites in time (If-Match);
// names share a fixed number of lease objects, their slots, by hash. A third
// object, written by a node that is outrun for long, asks the others to rest.
//
// It promises: a change whose [Node.Append] returned nil stands in the log
// once, and each node that follows gets it from Apply or is told by Lost that
// it has to compare everything; a name is held by at most one claim whose
// [Claim.Held] is true; a crashed node delays others by a lease's time to live
// and no more; no clock is ever compared with another machine's. A write whose
// answer was lost is never taken for one that failed: each carries a nonce, by
// which its writer knows it again.
//
// Log and leases serve order and the app's name check. The safety of data
// never rests on them: what an entry says is where to look, the bucket's
// object is the truth, and applying an entry twice or late is harmless.
//
// What an upload waits for, in round trips to the store that follow each other:
// one for its names and the log together ([Claim.CatchUp]), if the names' slots
// were never used or last by this node; one more if another node used one of them
// last, for the lease has to be read before it can be taken, and one more still if
// this node takes such a slot to be new. A body that takes as long to arrive after
// its first name hides all these ([Claim.Look], [Claim.Soon]), but keeps the name from
// nobody by that: see turns.go. Another one, after its objects are
// stored, for the entry that tells of all of them ([Node.Expect]). Leases are given
// back when nobody waits any more. With the storing of the objects that is three,
// or two.
//
// It knows keys and objects, and nothing of disks, requests or the engine.
package cluster
