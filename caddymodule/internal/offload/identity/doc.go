// Package identity knows whose bucket stands where a node's should be, whether it is there
// at all, and whether the node may change it.
//
// A control object, the identity, names the site that a bucket belongs to, the hosts of that
// site, and the era: which of its states the bucket is in. A node notes on its disk which
// identity its files belong to. By these two a [Guard] decides.
//
// It promises that a bucket that is away, emptied or another's is never taken for the node's
// or for a new one: it is neither written nor read, and on its return, or when it is found to
// be in an older state, all is compared before anything that it lacks counts as deleted. And
// that a node changes nothing in a bucket of a site that it does not belong to: it is a
// guest until something proves that it is a member. Whatever reads the identity takes what
// stands there for anybody's writing.
//
// It must not know files, keys, requests or the queue: it is told which hosts uploads came
// for, and tells its [Node] when the bucket is back, and what the node is. Whether a bucket
// that is the right one takes files is not its matter but that of package health.
package identity
