// Package trash keeps, in the bucket, copies of objects that were deleted, for as long as
// somebody may want them back.
//
// It promises: a copy is made on the store's side and is complete before its object is
// deleted; one delete leaves one copy, however often it is tried; what is brought back is
// in the bucket and on disk before its copy goes, and a restore that was killed goes on
// where it ended; nothing newer is written over; a copy that cannot be read or listed
// hides no other.
//
// It must not know which deletes go by way of the trash, nor why: who deletes an object
// says so. Of files and other nodes it knows what [Site] tells.
package trash
