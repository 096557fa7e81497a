package bucket

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxKeyBytes is what S3 takes at most ("Naming Amazon S3 objects").
	maxKeyBytes = 1024
	// maxSegmentBytes is what file systems, and the stores that are built on
	// them, take for one name.
	maxSegmentBytes = 255
)

// CheckKey returns an error that wraps [ErrRefused] and names the reason if
// key is one that stores treat differently: empty or longer than 1,024 bytes;
// a leading or trailing slash or another empty segment; a segment that is "."
// or "..", or longer than 255 bytes; control characters; invalid UTF-8; the
// code points U+FFFE and U+FFFF, which XML cannot carry. Every method of a
// [Store] that takes a key checks it before anything is sent.
func CheckKey(key string) error {
	if fault := keyFault(key); fault != "" {
		return refuseKey(key, fault)
	}
	return nil
}

func refuseKey(key, fault string) error {
	return fmt.Errorf("key %s: %w: %s", quoteKey(key), ErrRefused, fault)
}

// quoteKey shows a key that may be of any length and hold any bytes.
func quoteKey(key string) string {
	const shown = 300
	if len(key) > shown {
		return fmt.Sprintf("%q (and %d bytes more)", key[:shown], len(key)-shown)
	}
	return fmt.Sprintf("%q", key)
}

// keyFault says what is wrong with key; empty if nothing is.
func keyFault(key string) string {
	switch {
	case key == "":
		return "it is empty"
	case len(key) > maxKeyBytes:
		return fmt.Sprintf("it has %d bytes, more than %d", len(key), maxKeyBytes)
	case !utf8.ValidString(key):
		return "it is not valid UTF-8"
	}
	for _, r := range key {
		if r < 0x20 || r == 0x7f {
			return fmt.Sprintf("it has the control character %#02x", r)
		}
		if r == 0xFFFE || r == 0xFFFF {
			return fmt.Sprintf("it has the non-character %U", r)
		}
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "":
			return "it has an empty path segment"
		case segment == "." || segment == "..":
			return fmt.Sprintf("it has the path segment %q", segment)
		case len(segment) > maxSegmentBytes:
			return fmt.Sprintf("a path segment has %d bytes, more than %d", len(segment), maxSegmentBytes)
		}
	}
	return ""
}

// beginsKeys reports whether there can be keys that begin with prefix. Stores
// differ in what they answer when not: nothing, or an error.
func beginsKeys(prefix string) bool {
	dir, _ := splitKey(prefix)
	return !strings.HasPrefix(prefix, "/") && (dir == "" || keyFault(dir) == "")
}

// splitKey splits a key at its last slash.
func splitKey(key string) (dir, name string) {
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		return key[:i], key[i+1:]
	}
	return "", key
}
