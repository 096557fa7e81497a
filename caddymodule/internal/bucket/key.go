package bucket

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// MaxKeyBytes is what S3 takes at most ("Naming Amazon S3 objects").
	MaxKeyBytes = 1024
	// MaxSegmentBytes is what file systems, and the stores that are built on
	// them, take for one name.
	MaxSegmentBytes = 255
)

// CheckKey returns an error that wraps [ErrRefused] and names the reason if
// key is one that stores treat differently: empty or longer than 1,024 bytes;
// a leading or trailing slash or another empty segment; a segment that is "."
// or "..", or longer than 255 bytes; control characters; invalid UTF-8; the
// code points U+FFFE and U+FFFF, which XML cannot carry. Every method of a
// [Store] that takes a key checks it before anything is sent.
func CheckKey(key string) error {
	if fault := KeyFault(key); fault != "" {
		return RefuseKey(key, fault)
	}
	return nil
}

// RefuseKey is the error for a key with this fault.
func RefuseKey(key, fault string) error {
	return fmt.Errorf("key %s: %w: %s", QuoteKey(key), ErrRefused, fault)
}

// QuoteKey shows a key that may be of any length and hold any bytes.
func QuoteKey(key string) string {
	const shown = 300
	if len(key) > shown {
		return fmt.Sprintf("%q (and %d bytes more)", key[:shown], len(key)-shown)
	}
	return fmt.Sprintf("%q", key)
}

// KeyFault says what is wrong with key; empty if nothing is.
func KeyFault(key string) string {
	switch {
	case key == "":
		return "it is empty"
	case len(key) > MaxKeyBytes:
		return fmt.Sprintf("it has %d bytes, more than %d", len(key), MaxKeyBytes)
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
		case len(segment) > MaxSegmentBytes:
			return fmt.Sprintf("a path segment has %d bytes, more than %d", len(segment), MaxSegmentBytes)
		}
	}
	return ""
}

// BeginsKeys reports whether there can be keys that begin with prefix. Stores
// differ in what they answer when not: nothing, or an error.
func BeginsKeys(prefix string) bool {
	dir, _ := SplitKey(prefix)
	return !strings.HasPrefix(prefix, "/") && (dir == "" || KeyFault(dir) == "")
}

// SplitKey splits a key at its last slash.
func SplitKey(key string) (dir, name string) {
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		return key[:i], key[i+1:]
	}
	return "", key
}

// CountKeys is how an error of several keys calls them.
func CountKeys(keys []string) string {
	if len(keys) == 1 {
		return keys[0]
	}
	return fmt.Sprintf("%d objects", len(keys))
}
