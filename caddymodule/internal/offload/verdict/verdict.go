package verdict

// FileState is what the disk has of a key, compared with the version of the
// object that this disk held last (its base).
type FileState uint8

const (
	// NoFile: there is none.
	NoFile FileState = iota
	// CleanFile: the file is its base.
	CleanFile
	// ChangedFile: the app changed it since.
	ChangedFile
	// StrangeFile: nothing tells of which version it came, if of any.
	StrangeFile
	// TornFile: it is what a power cut left of its base, or of the object.
	TornFile
)

// ObjectState is what the bucket has of a key.
type ObjectState uint8

const (
	// UnseenObject: nobody has looked; a condition of the Put will.
	UnseenObject ObjectState = iota
	// NoObject: there is none.
	NoObject
	// BaseObject is the version that this disk held last.
	BaseObject
	// SameObject has the file's content.
	SameObject
	// HeldObject is another version that was on this disk once, unless the disk
	// was emptied since.
	HeldObject
	// OtherObject is a version that this disk never held.
	OtherObject
	// UntoldObject is one, seen in place of a file's base, that no node told of.
	UntoldObject
	// ReturnedObject is one, in place of a clean file's base, that another node has
	// just put back into a bucket in an older state.
	ReturnedObject
)

// Cause is why a key is looked at.
type Cause uint8

const (
	// OwnChange: this node's app changed it.
	OwnChange Cause = iota
	// OwnLook: a reconcile found it so, or an event that tells of no new content.
	OwnLook
	// PutElsewhere: another node stored it.
	PutElsewhere
	// DeletedElsewhere: another node has told that it deleted it.
	DeletedElsewhere
	// DeletedPerhaps: it has no object, and another node may have deleted that without
	// telling.
	DeletedPerhaps
	// OtherDeleted: another node deleted a version, but not this one.
	OtherDeleted
	// BucketOlder: the bucket was put back to an older state. What it lacks was
	// lost, not deleted, and what it has may be older than the file.
	BucketOlder
	// BucketBack: the bucket was away, but its change log goes on from where this node
	// was. What it lacks may be lost, but what it has is no older than the file.
	BucketBack
	// ObjectLost: somebody took the object away, but no node did.
	ObjectLost
)

// MayBeLost reports whether what the bucket lacks may be lost, not deleted.
func (c Cause) MayBeLost() bool { return c == BucketOlder || c == BucketBack || c == ObjectLost }

// Outlasts reports whether a cause that has not been dealt with stays when another
// is heard of: who tells of a Put may have seen it before the delete that the log
// has before it, and what is known to be deleted was not lost.
func (c Cause) Outlasts(next Cause) bool {
	switch c {
	case DeletedElsewhere:
		return next == PutElsewhere || next == DeletedPerhaps || next.MayBeLost()
	case DeletedPerhaps:
		return next == PutElsewhere
	case BucketOlder:
		return next == BucketBack
	}
	return false
}

// Verdict is what has to be done so that disk and bucket agree on a key.
type Verdict uint8

const (
	// Agreed: nothing; what is there is noted.
	Agreed Verdict = iota
	// Adopt: nothing but to note that the object is the file's.
	Adopt
	// PutAny: store the file, whatever the bucket has.
	PutAny
	// PutNew: store the file if there is no object.
	PutNew
	// PutOver: store the file over the very object that was seen.
	PutOver
	// PutKeeping: as PutOver, but the object's content is kept aside first.
	PutKeeping
	// PutOverStrangers: as PutKeeping, unless a node is about to tell of the object: then
	// KeepBoth.
	PutOverStrangers
	// Fetch: bring the object to the disk, in place of a file that is clean.
	Fetch
	// Mend: as Fetch, in place of a file that is torn; what is left of it is kept aside
	// first if the object does not have it.
	Mend
	// FetchKeeping: as Fetch, but the file's content is kept aside first.
	FetchKeeping
	// RemoveFile: others deleted it, and it is clean.
	RemoveFile
	// RemoveKeeping: as RemoveFile, but the file's content goes to the trash first.
	RemoveKeeping
	// KeepBoth: the bucket's version takes the name, the file's content is kept
	// aside in the bucket.
	KeepBoth
)

// Of is the rule by which disk and bucket are made to agree. It never lets go of
// content that is not in the bucket and, where several nodes write, never writes over an
// object that this disk has not seen. Who writes alone has the last word: the bucket is
// to have what the disk has.
func Of(file FileState, object ObjectState, why Cause, alone bool) Verdict {
	if file == TornFile && object != UnseenObject && object != NoObject && object != SameObject {
		return Mend
	}
	if alone && file != NoFile {
		switch {
		case object == SameObject:
			return Adopt
		case file == CleanFile && (object == UnseenObject || object == BaseObject):
			return Agreed
		}
		return PutAny
	}
	switch file {
	case NoFile:
		if object == NoObject || object == UnseenObject {
			return Agreed
		}
		return Fetch
	case CleanFile:
		if (object == OtherObject || object == UntoldObject) && why == BucketOlder {
			// Which of the two is newer, nothing tells for sure.
			return PutKeeping
		}
		return decideClean(object, why)
	case TornFile:
		if v := decideClean(object, why); v != RemoveFile {
			return v
		}
		return RemoveKeeping
	}
	switch object {
	case NoObject:
		return PutNew
	case UnseenObject:
		if file == ChangedFile {
			return PutOver
		}
		return PutNew
	case SameObject:
		return Adopt
	case HeldObject:
		return PutKeeping
	case UntoldObject:
		if file == ChangedFile {
			return PutOverStrangers
		}
	case BaseObject:
		if file == ChangedFile {
			return PutOver
		}
	}
	return KeepBoth
}

func decideClean(object ObjectState, why Cause) Verdict {
	switch object {
	case UnseenObject, BaseObject:
		return Agreed
	case SameObject:
		return Adopt
	case NoObject:
		switch why {
		case DeletedElsewhere:
			return RemoveFile
		case DeletedPerhaps:
			return RemoveKeeping
		case PutElsewhere, OwnLook:
			// Deleted since it was listed or told of: the log will say by whom. To
			// store it again would bring back what another node's app deleted.
			return Agreed
		}
		return PutNew
	case UntoldObject, ReturnedObject:
		// Which is newer than the other, nothing tells for sure; but what a node has put
		// back stays, or they would put theirs over each other's for ever.
		return FetchKeeping
	}
	return Fetch
}
