package media

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

const (
	// maxKey is the longest key in bytes: an S3 key has at most 1,024.
	maxKey = 1024
	// maxSegment is the longest part between slashes in bytes: more is no
	// file name on Linux, and several stores refuse it.
	maxSegment = 255
)

// Errors of [CheckKey]: why stores, browsers or file systems would not agree
// on the key.
var (
	ErrKeyEmpty     = errors.New("the key is empty")
	ErrKeyLong      = errors.New("the key is longer than 1024 bytes")
	ErrSegmentLong  = errors.New("a part of the key is longer than 255 bytes")
	ErrSegmentEmpty = errors.New("the key begins or ends with a slash or has two in a row")
	ErrSegmentDots  = errors.New("the key has a part . or .. (or begins as those of another root do: rename the directory, or the root)")
	ErrControlByte  = errors.New("the key has a control character")
	ErrNotUTF8      = errors.New("the key is not valid UTF-8")
	ErrBackslash    = errors.New("the key has a backslash, which browsers read as a slash")
)

// CheckKey returns nil if every store, browser and file system reads the key
// alike, else one of the errors above. It is S3's rule for object names made
// narrower by what stores were seen to do: some fold "." and "..", drop empty
// parts or refuse long ones, and no XML listing can carry control characters
// or U+FFFE and U+FFFF.
func CheckKey(key string) error { return checkKey(key) }

func checkKey[T string | []byte](key T) error {
	if len(key) == 0 {
		return ErrKeyEmpty
	}
	if len(key) > maxKey {
		return ErrKeyLong
	}
	start, ascii := 0, true
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c == '/':
			if err := checkSegment(key[start:i]); err != nil {
				return err
			}
			start = i + 1
		case c < 0x20 || c == 0x7f:
			return ErrControlByte
		case c == '\\':
			return ErrBackslash
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if err := checkSegment(key[start:]); err != nil {
		return err
	}
	if !ascii {
		return checkUTF8(key)
	}
	return nil
}

func checkSegment[T string | []byte](segment T) error {
	switch {
	case len(segment) == 0:
		return ErrSegmentEmpty
	case len(segment) > maxSegment:
		return ErrSegmentLong
	case segment[0] != '.':
		return nil
	case len(segment) == 1, len(segment) == 2 && segment[1] == '.':
		return ErrSegmentDots
	}
	return nil
}

func checkUTF8[T string | []byte](key T) error {
	for i := 0; i < len(key); {
		r, size := utf8.DecodeRune([]byte(key[i:min(i+utf8.UTFMax, len(key))]))
		switch {
		case r == utf8.RuneError && size == 1:
			return ErrNotUTF8
		case r == 0xFFFE || r == 0xFFFF:
			return ErrControlByte
		}
		i += size
	}
	return nil
}

// cutSegment splits a path at its first slash. rest is nil if there is none.
func cutSegment(path []byte) (segment, rest []byte) {
	if i := bytes.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return path, nil
}

// appendLower appends s to dst with ASCII letters in lower case.
func appendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		dst = append(dst, lower(s[i]))
	}
	return dst
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
