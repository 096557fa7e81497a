package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// File is the control object that names the site to which a bucket and prefix
// belong.
type File struct {
	Version int `json:"v"`
	// ID is random, and never changes.
	ID string `json:"id"`
	// Era is random, and another one after the bucket was put back to an older
	// state: a node that knows the earlier one has files that the bucket lost.
	Era string `json:"era"`
	// Writes grows where there is no change log: see raiseWrites.
	Writes uint64 `json:"writes,omitempty"`
	hosts
}

const (
	// ObjectName is that of the identity, below the control prefix.
	ObjectName  = "site"
	fileVersion = 1
	maxFile     = 2 << 20 // more than maxHosts can take
)

// ParseFile takes an identity as anybody may have written it.
func ParseFile(data []byte) (File, error) {
	var f File
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("no JSON of an identity: %w", err)
	}
	if f.Version != fileVersion {
		return f, fmt.Errorf("format version %d, this program knows %d", f.Version, fileVersion)
	}
	if !isToken(f.ID) || !isToken(f.Era) {
		return f, errors.New("it has no id")
	}
	f.check()
	return f, nil
}

// isToken reports whether s can be what rand.Text returned, so that it can stand
// in a note.
func isToken(s string) bool {
	return len(s) >= 16 && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
