// Package health knows whether the bucket takes files, and since when not.
//
// It tells an outage by its cause, not by how many files meet it: an error that is about
// the bucket as a whole means one at once; what may be one object's is tried with another
// object, of the same class and size, under a name that nobody else uses. What that meets
// is the bucket's. So one file never makes an outage, and an outage costs one try at a
// time and two log lines, whatever waits.
//
// It promises that an outage is found to be over though nobody uploads, and not before: a
// bucket with room for small files only is short of room as long as a large one waits, and
// one that only reads answer takes no files. It also keeps a sample of what was stored, by
// which a bucket is known that was put back to an older state, and finds out at a start
// what a store can do.
//
// Control objects, by which nodes agree, are looked at apart (Reach): what may be done
// with media, the same credentials may be denied there, and the other way round. No request
// waits for them longer than it takes to see that they are out of reach.
//
// It must not know files, keys or requests: it is told what became of objects. Whose
// bucket it is, and whether it is there at all, is not its matter either: ErrAway is what
// the store answers then.
package health
