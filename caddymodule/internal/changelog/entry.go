package changelog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/control"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Bounds of an entry of the change log.
const (
	// maxEntry is the largest entry in bytes that is written or read.
	maxEntry = 256 << 10
	// maxChanges is how many changes an entry has at most.
	maxChanges = 1000
)

// digits is the length of a number in the name of an entry; numbers of this
// length sort as names the way they do as numbers.
const digits = len(zeros)

const zeros = "00000000000000000000"

// maxNumber is far beyond what any log reaches. An object with a larger number
// was not written by a node.
const maxNumber = 1_000_000_000_000_000

// entry is one object of the change log.
type entry struct {
	Writer  string // random, of one node from its start to its end
	Nonce   string // random, of one entry
	Changes []Change
}

// entryJSON is an entry as it is stored.
type entryJSON struct {
	Version int          `json:"v"`
	Writer  string       `json:"w"`
	Nonce   string       `json:"n"`
	Changes []changeJSON `json:"changes"`
}

type changeJSON struct {
	Op      string `json:"op"`
	Key     string `json:"key"`
	Class   string `json:"class,omitempty"`
	Size    int64  `json:"size,omitempty"`
	ModTime string `json:"mtime,omitempty"`
	ETag    string `json:"etag,omitempty"`
}

// encodeChange returns a change as it stands in an entry.
func encodeChange(c *Change) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	j := changeJSON{Op: c.Op.String(), Key: c.Key, Size: c.Size, ETag: c.ETag}
	if c.Class != media.Ignored {
		j.Class = c.Class.String()
	}
	if !c.ModTime.IsZero() && writable(c.ModTime) {
		j.ModTime = c.ModTime.UTC().Format(time.RFC3339Nano)
	}
	return json.Marshal(j)
}

// writable reports whether a time's year, in UTC, can stand in an entry.
func writable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}

// entryOverhead is more than what an entry needs besides its changes, each
// followed by a comma.
const entryOverhead = 256

// encodeEntry joins encoded changes into an entry.
func encodeEntry(writer, nonce string, changes []json.RawMessage) ([]byte, error) {
	return json.Marshal(struct {
		Version int               `json:"v"`
		Writer  string            `json:"w"`
		Nonce   string            `json:"n"`
		Changes []json.RawMessage `json:"changes"`
	}{control.Version, writer, nonce, changes})
}

// decodeEntry reads an entry that anybody may have written. Changes that
// cannot be are left out and joined into refused; an entry that is none at all
// is an error.
func decodeEntry(data []byte) (e entry, refused, err error) {
	if len(data) > maxEntry {
		return entry{}, nil, control.ErrTooLarge
	}
	var j entryJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return entry{}, nil, fmt.Errorf("no JSON of an entry: %w", err)
	}
	if err := control.CheckVersion(j.Version); err != nil {
		return entry{}, nil, err
	}
	if !control.IsNonce(j.Writer) || !control.IsNonce(j.Nonce) {
		return entry{}, nil, errors.New("it names no writer")
	}
	if len(j.Changes) > maxChanges {
		return entry{}, nil, control.ErrTooLarge
	}
	e = entry{Writer: j.Writer, Nonce: j.Nonce, Changes: make([]Change, 0, len(j.Changes))}
	for i := range j.Changes {
		change, err := j.Changes[i].decode()
		if err != nil {
			if refused == nil {
				refused = err
			}
			continue
		}
		e.Changes = append(e.Changes, change)
	}
	return e, refused, nil
}

func (j *changeJSON) decode() (Change, error) {
	c := Change{Key: j.Key, Size: j.Size, ETag: j.ETag}
	for op, name := range opNames {
		if name != "" && name == j.Op {
			c.Op = Op(op)
		}
	}
	switch j.Class {
	case "public":
		c.Class = media.Public
	case "private":
		c.Class = media.Private
	case "":
	default:
		return Change{}, fmt.Errorf("unknown class %.20q", j.Class)
	}
	if j.ModTime != "" {
		t, err := time.Parse(time.RFC3339Nano, j.ModTime)
		if err != nil || !writable(t) {
			return Change{}, fmt.Errorf("key %.80q: no time: %.40q", j.Key, j.ModTime)
		}
		c.ModTime = t.UTC()
	}
	return c, c.check()
}

// entryName returns the name of the entry with this number, below the log's
// prefix.
func entryName(number uint64) string {
	name := strconv.FormatUint(number, 10)
	return zeros[len(name):] + name
}

// entryNumber is the reverse of entryName. Anything else is not of the log.
func entryNumber(name string) (uint64, bool) {
	if len(name) != digits || strings.Trim(name, "0123456789") != "" {
		return 0, false
	}
	number, err := strconv.ParseUint(name, 10, 64)
	return number, err == nil && number >= 1 && number <= maxNumber
}
