package naming

import (
	"fmt"
	"strings"
)

// CollisionError says that files which the app wrote while a request ran do not
// have their names: another node stored other files under them at the same
// time. Both contents are kept. The app knows nothing of it, so its client must
// not be told a success.
type CollisionError struct {
	Keys  []string // up to 10 of them
	Count int
}

func (e *CollisionError) Error() string {
	more := ""
	if e.Count > len(e.Keys) {
		more = fmt.Sprintf(" and %d more", e.Count-len(e.Keys))
	}
	return fmt.Sprintf("another server gave the same name to another file at the same time (this one's content is kept aside): %s%s",
		strings.Join(e.Keys, ", "), more)
}

// Collision returns a *CollisionError if names that the app gave are another node's.
func (n *Names) Collision() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := make(map[string]struct{})
	e := &CollisionError{}
	add := func(key string) {
		if _, ok := seen[key]; ok {
			return
		}
		seen[key] = struct{}{}
		if e.Count++; e.Count <= 10 {
			e.Keys = append(e.Keys, key)
		}
	}
	for _, key := range n.lost {
		add(key)
	}
	if !n.held() {
		// Who had the lease meanwhile may have taken a version for that of an
		// upload that was never finished, and written over it.
		for key, etag := range n.contested {
			if n.stored[key] == etag {
				add(key)
			}
		}
	}
	if e.Count == 0 {
		return nil
	}
	return e
}
