// Package changelog lets the nodes of a site know what the others changed, with nothing
// but the bucket.
//
// The change log is a row of numbered objects, its entries. Each is created once
// (If-None-Match), so that all nodes read the same changes in the same order. A node
// follows the log from its end or from where an earlier process of it was, appends what
// it has changed itself, and removes entries that nobody needs any more. One more
// object, written by a node that is outrun for long, asks the others to rest.
//
// It promises: a change whose [Log.Append] returned nil stands in the log once, and each
// node that follows gets it from Apply, or is told by Lost that it has to compare
// everything. When [Log.CatchUp] returns nil, all that was in the log at the call was
// given to Apply. A write whose answer was lost is never taken for one that failed: each
// carries a nonce, by which its writer knows it again. No clock is ever compared with
// another machine's.
//
// One entry that cannot be read or written ends nothing: see blocked.go. What is far from
// the log by its number is no part of it: see run in listing.go.
//
// The safety of data never rests on the log: what an entry says is where to look, the
// bucket's object is the truth, and applying an entry twice or late is harmless.
//
// It knows keys and objects, and nothing of disks, requests, leases or the engine.
package changelog
