// Package verdict is the rule by which disk and bucket are made to agree: one table, from
// what a file is, what an object is and why they are looked at, to what has to be done.
//
// It promises that no content is let go of that is not in the bucket, and that, where
// several nodes write, nothing is written over that this disk has not seen.
//
// It does nothing and knows nobody.
package verdict
