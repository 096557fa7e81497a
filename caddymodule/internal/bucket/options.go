package bucket

import (
	"context"
	"crypto/md5" // what Content-MD5 and ETags are by definition, not for secrecy
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	// MaxObjectSize is S3's limit for one object, 5 TiB.
	MaxObjectSize = 5 << 40
	// maxMetaBytes bounds the keys and values of Info.Meta together. S3 takes
	// 2 KB of metadata in all, our own included.
	maxMetaBytes = 1024
	// maxHeaderBytes bounds each header value.
	maxHeaderBytes = 1024

	// MetaModTime is the name in an object's metadata of Info.ModTime.
	MetaModTime = "mtime"
	// MetaMD5 is that of Info.MD5.
	MetaMD5 = "md5"
)

// CheckPut refuses what no store could hold, before anything is read or sent.
func CheckPut(key string, size int64, opts *PutOptions) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if fault := PutFault(size, opts); fault != "" {
		return fmt.Errorf("storing %s: %w: %s", key, ErrRefused, fault)
	}
	return nil
}

// PutFault says what no store could hold of an object but its key; empty if nothing is
// wrong.
func PutFault(size int64, opts *PutOptions) string {
	switch {
	case size < 0 || size > MaxObjectSize:
		return fmt.Sprintf("its size of %d bytes is outside 0 to 5 TiB", size)
	case opts.IfNoneMatch && opts.IfMatch != "":
		return "IfNoneMatch and IfMatch exclude each other"
	case len(opts.MD5) != 0 && len(opts.MD5) != md5.Size:
		return fmt.Sprintf("an MD5 has %d bytes, not %d", md5.Size, len(opts.MD5))
	case !IsHeaderValue(opts.IfMatch):
		return "the ETag is not printable ASCII"
	case !IsHeaderValue(opts.ContentType):
		return "the content type is not printable ASCII of at most 1 KiB"
	case !IsHeaderValue(opts.CacheControl):
		return "the cache control is not printable ASCII of at most 1 KiB"
	}
	return MetaFault(opts.Meta)
}

// MetaFault says what is wrong with further metadata; empty if nothing is.
func MetaFault(meta map[string]string) string {
	total := 0
	for name, value := range meta {
		total += len(name) + len(value)
		switch {
		case name == MetaModTime || name == MetaMD5:
			return fmt.Sprintf("the metadata name %q is reserved", name)
		case !isMetaName(name):
			return fmt.Sprintf("the metadata name %q is not of a-z, 0-9 and -", name)
		case !IsHeaderValue(value):
			// S3 would encode other values (RFC 2047) or alter their spaces,
			// each store in its own way.
			return fmt.Sprintf("the value of metadata %q is not printable ASCII without spaces around it", name)
		}
	}
	if total > maxMetaBytes {
		return fmt.Sprintf("%d bytes of metadata are more than %d", total, maxMetaBytes)
	}
	return ""
}

func isMetaName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != ""
}

// IsHeaderValue reports whether s survives a trip as an HTTP header's value in
// every store.
func IsHeaderValue(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(s) <= maxHeaderBytes && s == strings.TrimSpace(s)
}

// StorableTime drops a time that cannot be written down (RFC 3339 has years 1
// to 9999): a damaged clock must not keep a file out of the bucket.
func StorableTime(t time.Time) time.Time {
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// ShortBody is the error for a body that ended before its announced size.
func ShortBody(got, want int64) error {
	return fmt.Errorf("%w: the body ended after %d of %d bytes", ErrRefused, got, want)
}

// copyBufSize is the size of the pieces in which bodies are copied.
const copyBufSize = 256 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBufSize]byte) }}

// CopyExactly copies size bytes of body to dst, and stops early when ctx is done. It
// returns how many bytes it copied; fewer than size with a nil error means that body
// was shorter.
func CopyExactly(ctx context.Context, dst io.Writer, body io.ReaderAt, size int64) (int64, error) {
	buf := copyBuffers.Get().(*[copyBufSize]byte)
	defer copyBuffers.Put(buf)
	var done int64
	for done < size {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		want := min(copyBufSize, size-done)
		n, readErr := body.ReadAt(buf[:want], done)
		if _, err := dst.Write(buf[:n]); err != nil {
			return done, err
		}
		done += int64(n)
		if readErr != nil && readErr != io.EOF {
			return done, readErr
		}
		if int64(n) < want {
			return done, nil
		}
	}
	return done, nil
}
