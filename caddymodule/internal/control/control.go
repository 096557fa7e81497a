// Package control reads and writes control objects: the small JSON objects in the
// bucket by which the nodes of a site agree.
//
// It promises that no call takes longer, and no object more memory, than the caller
// allows: anybody with access to the bucket may have written what is there. It knows
// nothing of what the objects say.
package control

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Version is the version of the objects' format.
const Version = 1

// CheckVersion returns an error if an object has another version.
func CheckVersion(version int) error {
	if version != Version {
		return fmt.Errorf("format version %d, this program knows %d", version, Version)
	}
	return nil
}

// ErrTooLarge: an object is larger than any node writes.
var ErrTooLarge = errors.New("it is larger than any node writes")

// Put stores a small object and bounds the call. When it has ended by that, what came
// of it is not known.
func Put(ctx context.Context, store bucket.Store, key string, data []byte, timeout time.Duration, opts bucket.PutOptions) (bucket.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	opts.ContentType = "application/json"
	return store.Put(ctx, key, bytes.NewReader(data), int64(len(data)), opts)
}

// Get reads a small object and bounds the call. One that is larger than limit is
// bucket.ErrTooLarge.
func Get(ctx context.Context, store bucket.Store, key string, limit int64, timeout time.Duration) (data []byte, info bucket.Info, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	object, err := store.Get(ctx, key, bucket.GetOptions{AtMost: limit})
	if err != nil {
		return nil, bucket.Info{}, err
	}
	defer object.Body.Close()
	data, err = io.ReadAll(io.LimitReader(object.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = bucket.ErrTooLarge
	}
	if err != nil {
		return nil, bucket.Info{}, fmt.Errorf("reading %s: %w", key, err)
	}
	return data, object.Info, nil
}

// NewNonce returns a random text by which a writer knows its own writes again.
func NewNonce() string { return rand.Text() }

// IsNonce reports whether s can be what NewNonce returned.
func IsNonce(s string) bool {
	return len(s) >= 16 && len(s) <= 64 && IsPrintable(s)
}

// IsPrintable reports whether s is printable ASCII.
func IsPrintable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}
