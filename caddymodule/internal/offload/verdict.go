package offload

// fileState is what the disk has of a key, compared with the version of the
// object that this disk held last (its base).
type fileState uint8

const (
	noFile fileState = iota
	// cleanFile: the file is its base.
	cleanFile
	// changedFile: the app changed it since.
	changedFile
	// strangeFile: nothing tells of which version it came, if of any.
	strangeFile
)

// objectState is what the bucket has of a key.
type objectState uint8

const (
	// unseenObject: nobody has looked; a condition of the Put will.
	unseenObject objectState = iota
	noObject
	// baseObject is the version that this disk held last.
	baseObject
	// sameObject has the file's content.
	sameObject
	// heldObject is another version that was on this disk once, unless the disk
	// was emptied since.
	heldObject
	// otherObject is a version that this disk never held.
	otherObject
	// untoldObject is one, seen in place of a file's base, that no node told of.
	untoldObject
)

// cause is why a key is looked at.
type cause uint8

const (
	// ownChange: this node's app changed it.
	ownChange cause = iota
	// ownLook: a reconcile found it so, or an event that tells of no new content.
	ownLook
	// putElsewhere, deletedElsewhere: another node did.
	putElsewhere
	deletedElsewhere
	// otherDeleted: another node deleted a version, but not this one.
	otherDeleted
	// bucketOlder: the bucket was put back to an older state. What it lacks was
	// lost, not deleted, and what it has may be older than the file.
	bucketOlder
	// bucketBack: the bucket was away, but its change log goes on from where this node
	// was. What it lacks may be lost, but what it has is no older than the file.
	bucketBack
	// objectLost: somebody took the object away, but no node did.
	objectLost
)

// mayBeLost reports whether what the bucket lacks may be lost, not deleted.
func (c cause) mayBeLost() bool { return c == bucketOlder || c == bucketBack || c == objectLost }

// outlasts reports whether a cause that has not been dealt with stays when another
// is heard of: who tells of a Put may have seen it before the delete that the log
// has before it, and what is known to be deleted was not lost.
func (c cause) outlasts(next cause) bool {
	return c == deletedElsewhere && (next == putElsewhere || next.mayBeLost()) || c == bucketOlder && next == bucketBack
}

// verdict is what has to be done so that disk and bucket agree on a key.
type verdict uint8

const (
	// agreed: nothing; what is there is noted.
	agreed verdict = iota
	// adopt: nothing but to note that the object is the file's.
	adopt
	// putAny: store the file, whatever the bucket has.
	putAny
	// putNew, putOver: store the file if there is no object, or over the very
	// object that was seen.
	putNew
	putOver
	// putKeeping: as putOver, but the object's content is kept aside first.
	putKeeping
	// putOverStrangers: as putKeeping, unless a node is about to tell of the object: then
	// keepBoth.
	putOverStrangers
	// fetch: bring the object to the disk, in place of a file that is clean.
	fetch
	// fetchKeeping: as fetch, but the file's content is kept aside first.
	fetchKeeping
	// removeFile: others deleted it, and it is clean.
	removeFile
	// keepBoth: the bucket's version takes the name, the file's content is kept
	// aside in the bucket.
	keepBoth
)

// decide is the rule by which disk and bucket are made to agree. It never lets go of
// content that is not in the bucket and, where several nodes write, never writes over an
// object that this disk has not seen. Who writes alone has the last word: the bucket is
// to have what the disk has.
func decide(file fileState, object objectState, why cause, alone bool) verdict {
	if alone && file != noFile {
		switch {
		case object == sameObject:
			return adopt
		case file == cleanFile && (object == unseenObject || object == baseObject):
			return agreed
		}
		return putAny
	}
	switch file {
	case noFile:
		if object == noObject || object == unseenObject {
			return agreed
		}
		return fetch
	case cleanFile:
		if (object == otherObject || object == untoldObject) && why == bucketOlder {
			// Which of the two is newer, nothing tells for sure.
			return putKeeping
		}
		return decideClean(object, why)
	}
	switch object {
	case noObject:
		return putNew
	case unseenObject:
		if file == changedFile {
			return putOver
		}
		return putNew
	case sameObject:
		return adopt
	case heldObject:
		return putKeeping
	case untoldObject:
		if file == changedFile {
			return putOverStrangers
		}
	case baseObject:
		if file == changedFile {
			return putOver
		}
	}
	return keepBoth
}

func decideClean(object objectState, why cause) verdict {
	switch object {
	case unseenObject, baseObject:
		return agreed
	case sameObject:
		return adopt
	case noObject:
		switch why {
		case deletedElsewhere:
			return removeFile
		case putElsewhere, ownLook:
			// Deleted since it was listed or told of: the log will say by whom. To
			// store it again would bring back what another node's app deleted.
			return agreed
		}
		return putNew
	case untoldObject:
		return fetchKeeping
	}
	return fetch
}
