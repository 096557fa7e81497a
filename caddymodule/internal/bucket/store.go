package bucket

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"time"
)

// Store is a flat set of objects named by slash-separated keys.
//
// Contract, asserted for every implementation by package buckettest:
//
//   - All methods may be called from several goroutines at once. None keeps a
//     goroutine running after it returned, except that an [Object] lives until
//     it is closed.
//   - Every method refuses a context that is already done, and returns soon
//     after it is cancelled. Without a deadline in the context an
//     implementation still bounds each wait (connecting, waiting for the first
//     byte, a transfer that stands still), so that no call hangs for ever.
//   - Retrying is the caller's job. An implementation may repeat a call that
//     certainly had no effect; nothing else.
//   - Errors: one of the sentinel errors below, found with errors.Is, or any
//     other error. After one that is no sentinel the outcome of Put or Delete
//     is unknown: the object may or may not have been written (a lost answer
//     looks like a failure). Repeating an unconditional Put or a Delete is
//     always right. After a sentinel error this Put stored nothing.
//   - Keys are checked by [CheckKey] before anything is sent: [ErrRefused].
//     List leaves out objects that others stored under such keys.
//   - Read-after-write: what Put or Delete returned nil for, every later Head,
//     Get and List on any client of the same store shows.
//   - An error's text names the operation and the key, never a secret.
type Store interface {
	// Put stores size bytes of body under key, replacing what is there unless a
	// condition in opts forbids it. The store verifies the content by checksum
	// before the object becomes visible; a reader never sees a part of it. body
	// is read one or more times, possibly from several goroutines, only while
	// the call runs. If body yields fewer than size bytes nothing is stored.
	Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts PutOptions) (Info, error)

	// Copy makes to an object with the content and the description (ContentType,
	// CacheControl, ModTime, MD5, Meta) of from, replacing what is there. from is
	// what Head, Get, List or Put told: its Key, Size and ETag count; public is as
	// in PutOptions. The content does not pass this machine unless the store is
	// a directory. ErrNotFound if there is no from, ErrChanged if it is another
	// version. The ETag of the copy may be another than that of from.
	Copy(ctx context.Context, from Info, to string, public bool) (Info, error)

	// Get opens an object, or the part of it that opts names. The caller
	// closes the result. ErrNotFound if there is none, ErrChanged if
	// opts.IfMatch names another version, ErrRange if the range begins at or
	// past the end.
	Get(ctx context.Context, key string, opts GetOptions) (*Object, error)

	// Head tells about an object without its content. ErrNotFound if absent.
	Head(ctx context.Context, key string) (Info, error)

	// Delete removes the objects named by keys, in as few requests as the
	// store allows (S3: 1,000 keys per request). A key that does not exist is
	// not an error. On error some of them may have been removed.
	Delete(ctx context.Context, keys ...string) error

	// List yields the objects whose keys begin with prefix and are greater
	// than after, in ascending order of the bytes of their keys, without
	// holding more than one page (about 1,000 entries) in memory. Only Key,
	// Size, ETag and Stored are set. A non-nil error ends the sequence, but for an
	// [UnlistedError]: the sequence goes on behind what that names.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// ListNames is List without what may cost a look at the content: ETag may be
	// empty.
	ListNames(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// PresignGet returns a URL that reads the object without credentials until
	// ttl has passed. ErrUnsupported if the store has no such thing.
	PresignGet(ctx context.Context, key string, ttl time.Duration) (string, error)

	// AbortUploads throws away unfinished uploads (S3 multipart uploads,
	// temporary files) below prefix that began more than age ago and that no
	// living process on this machine is known to be writing.
	AbortUploads(ctx context.Context, prefix string, age time.Duration) (int, error)

	// Probe finds out what the store really does, by trying (names are not
	// trusted; see Capabilities), with random keys below prefix, and cleans up.
	// Closed are prefixes below which nobody may read without credentials:
	// Warnings tells if the store lets them.
	// ErrDenied, ErrNoBucket and ErrClock have messages that tell an admin
	// what to do.
	Probe(ctx context.Context, prefix string, closed ...string) (Capabilities, error)

	// Admit has check asked before a place is used as the bucket: a directory the
	// first time, and whenever another one has taken its place, because something
	// was mounted or unmounted there. An S3 bucket does not change so. It is to be
	// called once, before anything else.
	Admit(check Admission)

	// Check tells what the next Put is all but certain to meet, as far as the store knows
	// without a request and without writing: a directory that is another one now, is closed,
	// or is on a file system that was mounted read-only. It costs some system calls. nil: that
	// is not known, as with S3.
	Check(ctx context.Context) error

	// String names the store for people, without secrets: "s3://photos at
	// https://s3.example.com".
	String() string

	// Close releases connections. No method may be called after it.
	Close() error
}

// Admission decides whether a place may be used as the bucket; an error of its own
// is what the call that needed the place returns. fresh: there is no bucket yet,
// and one would be made. Otherwise read returns the content of a small object, or
// ErrNotFound. It must not call the store.
type Admission func(fresh bool, read func(key string, limit int64) ([]byte, error)) error

// PutOptions says how an object is stored.
type PutOptions struct {
	Info // ContentType, CacheControl, ModTime and Meta are stored with the object

	// IfNoneMatch stores only if no object has this key: ErrExists otherwise.
	IfNoneMatch bool
	// IfMatch stores only over the version with this ETag: ErrChanged
	// otherwise, also if there is no object. Empty: no condition.
	IfMatch string

	// MD5 of the whole body, if the caller has it; 16 bytes. It saves a pass
	// over the body where a store wants one; a body that has another is
	// ErrRefused.
	MD5 []byte

	// Public: other programs may read the object without our credentials (a
	// directory: file mode 0644 instead of 0600; S3: the ACL configured for
	// public objects, if one is).
	Public bool
}

// GetOptions names a part and a version of an object.
type GetOptions struct {
	// Offset of the first byte wanted, from the start; not negative.
	Offset int64
	// Length of the part wanted; 0 means up to the end. A part that reaches
	// past the end is cut there.
	Length int64
	// IfMatch is the ETag of the version wanted; empty: whatever is there.
	IfMatch string
	// AtMost is the largest object in bytes that is wanted; 0 means any. A larger
	// one is ErrTooLarge, and is not read to find that out.
	AtMost int64
}

// Info describes an object.
type Info struct {
	Key string
	// Size of the whole object in bytes.
	Size int64
	// ETag identifies the version, without quotes. For an object stored in one
	// piece and without KMS it is the MD5 of the content in lower-case hex;
	// otherwise it has another form (see ContentMD5).
	ETag string
	// Stored is the time of the last Put, by the store's clock.
	Stored time.Time
	// ContentType, for example "image/jpeg".
	ContentType string
	// CacheControl is the Cache-Control header that readers get.
	CacheControl string
	// ModTime is the modification time of the file that was stored, with the
	// precision it had (S3: x-amz-meta-mtime, nanoseconds). Zero: unknown. A
	// time outside the years 1 to 9999 is stored as unknown.
	ModTime time.Time
	// MD5 of the content in lower-case hex where the store or the metadata
	// tells it (S3: x-amz-meta-md5, with every object that we put); else empty.
	MD5 string
	// Meta is further metadata; names are of a-z, 0-9 and -, values printable
	// ASCII. At most 1 KiB in all. The names mtime and md5 are taken.
	Meta map[string]string
}

// ContentMD5 returns the MD5 of the object's content in lower-case hex if the
// ETag is one (32 hex digits, no part count), or info.MD5, else "".
func (i Info) ContentMD5() string {
	if i.MD5 != "" {
		return i.MD5
	}
	if !IsMD5(i.ETag) {
		return ""
	}
	return i.ETag
}

// IsMD5 reports whether s is an MD5 in lower-case hex.
func IsMD5(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 32
}

// Object is an open object. Body yields the part asked for; an error while
// reading, or a body shorter than announced, ends it with a non-EOF error.
type Object struct {
	Info
	Body io.ReadCloser
}

// Capabilities are what Probe found.
type Capabilities struct {
	// CreateOnly: Put with IfNoneMatch lets exactly one of many writers win.
	CreateOnly bool
	// CompareAndSwap: Put with IfMatch refuses a stale ETag.
	CompareAndSwap bool
	// Warnings are what an admin should know besides, a sentence each: for
	// example that the store takes writes without credentials.
	Warnings []string
	// Missing says in a few words what the store lacks for several nodes;
	// empty if nothing.
	Missing string
}

// Coordinates reports whether several nodes may share the store.
func (c Capabilities) Coordinates() bool { return c.CreateOnly && c.CompareAndSwap }

// UnlistedError is what a listing yields in the place of objects that it cannot look at,
// while it can others: a directory that may not be read, or that a broken disk does not
// give back. Whether there are such objects, and which, is unknown.
type UnlistedError struct {
	// Key of the object; if it ends in a slash, all that is below it.
	Key string
	Err error
}

func (e *UnlistedError) Error() string { return e.Err.Error() }
func (e *UnlistedError) Unwrap() error { return e.Err }

// Covers reports whether the object of a key is one that is not listed.
func (e *UnlistedError) Covers(key string) bool {
	return key == e.Key || strings.HasSuffix(e.Key, "/") && strings.HasPrefix(key, e.Key)
}

// IsUnlisted reports whether an error of a listing tells of what is left out.
func IsUnlisted(err error) bool {
	_, ok := errors.AsType[*UnlistedError](err)
	return ok
}

// Errors of a Store, found with errors.Is.
var (
	// ErrNotFound: there is no such object. Final.
	ErrNotFound = errors.New("no such object")
	// ErrExists: IfNoneMatch found an object. After an earlier error of the
	// same Put it may be one's own: compare.
	ErrExists = errors.New("object exists")
	// ErrChanged: IfMatch found another version, or none. As ErrExists.
	ErrChanged = errors.New("object has changed")
	// ErrRange: the part asked for lies outside the object. Final.
	ErrRange = errors.New("range not satisfiable")
	// ErrTooLarge: the object is larger than GetOptions.AtMost. Final.
	ErrTooLarge = errors.New("object too large")
	// ErrUnread: nothing tells what a large object holds, and reading it takes longer
	// than the call was given. The store reads on: a later call will know.
	ErrUnread = errors.New("the object is still being read")
	// ErrRefused: the store cannot hold this key or this content, now or
	// later (a key it would fold or hide, a body that is shorter than said or
	// changed while it was read). Nothing was stored. Final for this key with
	// this content.
	ErrRefused = errors.New("refused by the store")
	// ErrDenied: credentials or permissions are wrong. Nothing was stored.
	// Worth retrying only after someone changed them.
	ErrDenied = errors.New("access denied")
	// ErrOfObject goes with an answer that may be about this object alone, and says
	// nothing about others: a policy or a firewall denies its name, another thing stands
	// in its place. What it does not go with is about the store: it cannot be reached, is
	// overloaded, full or read-only, does not know the credentials.
	ErrOfObject = errors.New("perhaps for this object only")
	// ErrFull: there is no room for this object, on the disk or in the quota; a smaller one
	// may find some. As with an error of no kind, whether it was stored is unknown.
	ErrFull = errors.New("the store is full")
	// ErrNoBucket: the bucket itself does not exist.
	ErrNoBucket = errors.New("no such bucket")
	// ErrClock: this machine's clock differs too much from the store's.
	ErrClock = errors.New("clock differs from the store's")
	// ErrUnsupported: the store has no such operation.
	ErrUnsupported = errors.New("not supported by the store")
)
