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
// known of keys; verdict, the table by which disk and bucket are made to agree; health,
// whether the bucket takes files.
//
// A file's class comes from its name, from the .htaccess files on this disk and, where
// these would publish it, from the place of its own object: one among the private
// ones stays private, until a rule of this disk has closed and opened it, another
// node has moved it to the public ones, or the admin says `public`. So private files
// that come back to a wiped disk, or come to a node without the .htaccess, are not
// published. That a folder is closed is not carried from node to node: nothing in
// the bucket proves who wrote it, and a note that a folder is closed would let a
// stranger hide all that apps store there. What he puts among the private ones
// hides its own key only. The price: what a node without the .htaccess writes in
// such a folder is public, until the node that has it hears of the file and closes
// it, a moment later. `private` in the configuration has no such moment.
//
// It promises that nothing that is on disk is forgotten (what could not be
// committed is tried again for ever, and a restart finds what a killed process
// left), that a key is called committed only when the bucket confirmed it, and
// that asking for that never waits for the bucket. It must not know Caddy,
// HTTP requests or pages.
package offload
