package bucket

import (
	"crypto/md5" // what Content-MD5 and ETags are by definition, not for secrecy
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// maxObjectSize is S3's limit for one object, 5 TiB.
	maxObjectSize = 5 << 40
	// maxMetaBytes bounds the keys and values of Info.Meta together. S3 takes
	// 2 KB of metadata in all, our own included.
	maxMetaBytes = 1024
	// maxHeaderBytes bounds each header value.
	maxHeaderBytes = 1024

	metaModTime = "mtime"
	metaMD5     = "md5"
)

// checkPut refuses what no store could hold, before anything is read or sent.
func checkPut(key string, size int64, opts *PutOptions) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if fault := putFault(size, opts); fault != "" {
		return fmt.Errorf("storing %s: %w: %s", key, ErrRefused, fault)
	}
	return nil
}

func putFault(size int64, opts *PutOptions) string {
	switch {
	case size < 0 || size > maxObjectSize:
		return fmt.Sprintf("its size of %d bytes is outside 0 to 5 TiB", size)
	case opts.IfNoneMatch && opts.IfMatch != "":
		return "IfNoneMatch and IfMatch exclude each other"
	case len(opts.MD5) != 0 && len(opts.MD5) != md5.Size:
		return fmt.Sprintf("an MD5 has %d bytes, not %d", md5.Size, len(opts.MD5))
	case !isHeaderValue(opts.IfMatch):
		return "the ETag is not printable ASCII"
	case !isHeaderValue(opts.ContentType):
		return "the content type is not printable ASCII of at most 1 KiB"
	case !isHeaderValue(opts.CacheControl):
		return "the cache control is not printable ASCII of at most 1 KiB"
	}
	return metaFault(opts.Meta)
}

func metaFault(meta map[string]string) string {
	total := 0
	for name, value := range meta {
		total += len(name) + len(value)
		switch {
		case name == metaModTime || name == metaMD5:
			return fmt.Sprintf("the metadata name %q is reserved", name)
		case !isMetaName(name):
			return fmt.Sprintf("the metadata name %q is not of a-z, 0-9 and -", name)
		case !isHeaderValue(value):
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

// isHeaderValue reports whether s survives a trip as an HTTP header's value in
// every store.
func isHeaderValue(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(s) <= maxHeaderBytes && s == strings.TrimSpace(s)
}

// storableTime drops a time that cannot be written down (RFC 3339 has years 1
// to 9999): a damaged clock must not keep a file out of the bucket.
func storableTime(t time.Time) time.Time {
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// shortBody is the error for a body that ended before its announced size.
func shortBody(got, want int64) error {
	return fmt.Errorf("%w: the body ended after %d of %d bytes", ErrRefused, got, want)
}

// copyExactly copies size bytes of body to dst and stops early when stop
// returns an error. It returns how many bytes it copied; fewer than size with
// a nil error means that body was shorter.
func copyExactly(dst io.Writer, body io.ReaderAt, size int64, buf []byte, stop func() error) (int64, error) {
	var done int64
	for done < size {
		if err := stop(); err != nil {
			return done, err
		}
		want := min(int64(len(buf)), size-done)
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
