package offload

import (
	"fmt"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
)

// What a root's keys begin with is noted on its directory. If the configuration
// gave it another name, or took it away, every file would be stored again, while
// the old objects stayed where they are, public.

// CheckKeys returns an error that says what to do if the keys of a root would not
// be what they were.
func (e *Engine) CheckKeys() error {
	for i, root := range e.site.Roots() {
		was, ok := e.notedName(i)
		if !ok || was == root.Name {
			continue
		}
		return fmt.Errorf("the keys of the files in %s %s until now, and would %s: all would be stored again, and the old objects stay, public as they are. %s. "+
			"To change the keys all the same, move the objects in the bucket to their new keys, then take the note from the directory: setfattr -x %s %s",
			root.Dir, beginning(was), beginning(root.Name), keepKeys(was), local.AttrKeys, root.Dir)
	}
	return nil
}

func beginning(name string) string {
	if name == "" {
		return "were bare"
	}
	return "began with " + name + "/"
}

func keepKeys(name string) string {
	if name == "" {
		return "Leave the root without a name: of several, one may have none"
	}
	return "Give the root the name " + name + " again"
}

// notedName returns the name that is noted on a root for this bucket.
func (e *Engine) notedName(root int) (name string, ok bool) {
	place, name, ok := strings.Cut(e.trees[root].DirNote("", local.AttrKeys), " ")
	return name, ok && place == e.bucketID
}

// noteName notes on a root what its keys begin with, if that is not noted yet. A
// note of another bucket is of no use any more.
func (e *Engine) noteName(root int) {
	if _, ok := e.notedName(root); ok {
		return
	}
	name := e.site.Roots()[root].Name
	if err := e.trees[root].SetDirNote("", local.AttrKeys, e.bucketID+" "+name); err != nil {
		e.log().Debug("noting what the keys of a root begin with", keyDir, e.trees[root].Dir(), keyError, err)
	}
}
