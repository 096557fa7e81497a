// Package offload is the engine: it keeps a bucket equal to the media that an
// app has on disk, and knows of each key whether it is committed.
//
// It ties the other parts together: package watch says where something
// changed, package media what it is, package bucket where it goes. The engine
// looks at the disk, commits what is there, deletes what is gone, and lets a
// request wait until what was written while it ran is committed.
//
// Where several nodes write (LocalAll), each disk gets what the others wrote:
// package changelog says what changed, a look at disk and bucket says what to do
// (package verdict).
//
// Packages below it hold what can be understood alone: work, the queue; index, what is
// known of keys; standing, the class of a file and the mark on it; verdict, the table by
// which disk and bucket are made to agree; health, whether the bucket takes files;
// identity, whose bucket it is; naming, how a request has its names to itself.
//
// It promises that nothing that is on disk is forgotten (what could not be
// committed is tried again for ever, and a restart finds what a killed process
// left), that a key is called committed only when the bucket confirmed it, and
// that asking for that never waits for the bucket. It must not know Caddy,
// HTTP requests or pages.
package offload
