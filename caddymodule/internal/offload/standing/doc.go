// Package standing tells the class of a file on this disk (public, private, ignored), and
// what stands on a file that is committed (its mark).
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
// It promises that what cannot be decided is private, and that asking never waits for the
// bucket. It must not know the bucket, the queue or other nodes.
package standing
