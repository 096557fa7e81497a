package changelog

import (
	"errors"
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Op says what happened to a key.
type Op uint8

const (
	// Put: a file was stored, new or over another.
	Put Op = iota + 1
	// Delete: a file was removed.
	Delete
	// DeleteBelow: a directory went with all below it; Key names the directory.
	DeleteBelow
)

// String returns "put", "delete" or "delete_below".
func (o Op) String() string {
	if int(o) < len(opNames) && opNames[o] != "" {
		return opNames[o]
	}
	return fmt.Sprintf("op %d", uint8(o))
}

var opNames = [...]string{Put: "put", Delete: "delete", DeleteBelow: "delete_below"}

// Change is one change of one key. It says where to look: the bucket's object
// is the truth.
type Change struct {
	Op Op
	// Key fits media.CheckKey, also that of a directory.
	Key string
	// Class of the object, if known; never media.Ignored for a Put.
	Class media.Class
	// Size, ModTime and ETag of what was put; zero for the other operations.
	Size    int64
	ModTime time.Time
	ETag    string
}

// maxETag bounds the ETag of a change: S3's have at most 40 bytes.
const maxETag = 256

// check returns why a change cannot stand in the log, or nil.
func (c *Change) check() error {
	if c.Op < Put || c.Op > DeleteBelow {
		return fmt.Errorf("unknown operation %s", c.Op)
	}
	if err := media.CheckKey(c.Key); err != nil {
		return fmt.Errorf("key %.80q: %w", c.Key, err)
	}
	if c.Class > media.Public || c.Op == Put && c.Class == media.Ignored {
		return fmt.Errorf("key %.80q: class %s", c.Key, c.Class)
	}
	if c.Size < 0 || len(c.ETag) > maxETag || !control.IsPrintable(c.ETag) {
		return fmt.Errorf("key %.80q: %w", c.Key, errAttributes)
	}
	return nil
}

var errAttributes = errors.New("size or etag is none")
