package offload

import (
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
)

// What other nodes did while a node was not running reaches its disk when it is
// back, however much that was, and whatever became of the bucket before.
//
// Promise 6: "Overwrites and deletes reach the other disks". Promise 8: "A deleted
// file does not come back by itself."
func TestDeletedByOthersWhileAway(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(t *testing.T, a *site){
		"after a clean stop": func(*testing.T, *site) {},
		// Its bucket was away before, so that what it lacks may have been lost.
		"and its bucket was away": func(t *testing.T, a *site) {
			tree := local.NewTree(a.dir)
			mustDo(t, tree.SetDirNote("", local.AttrBucket, tree.DirNote("", local.AttrBucket)+" "+"doubted"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 2).ready()
			a, b := ns[0], ns[1]
			keys := ns.haveFiles(40)
			a.idle()
			a.stop()
			before(t, a)
			b.mustUpload(func() {
				for _, key := range keys[:30] {
					b.remove(key)
				}
				b.write(keys[30], "another content")
			})
			a.ready()
			ns.agree()
			if got := a.disk(); len(got) != 10 || got[keys[30]] != "another content" {
				t.Errorf("the disk has %v", got)
			}
			if n := a.logs.count("level=ERROR"); n != 0 {
				t.Errorf("%d errors in the log", n)
			}
		})
	}
}
