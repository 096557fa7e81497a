package offload

import (
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// A comparison that listed an object just before another node's app deleted it
// does not bring it back from this disk's copy.
//
// Promise 6: "Every node sees what a shared disk would show."
func TestStaleListingBringsNothingBack(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2, func(c *Config) { c.Poll = time.Hour }).ready()
	a, b := ns[0], ns[1]
	const key = "2026/11/photo.jpg"
	a.mustUpload(func() { a.write(key, "content") })
	b.mustUpload(func() {}) // catches up
	ns.agree()
	a.mustUpload(func() { a.remove(key) })

	root, rel, _ := b.e.site.Locate(key)
	listed := &bucket.Info{Key: "media/" + key, Size: 7, ETag: "of another version"}
	if err := (&pass{e: b.e, ctx: t.Context()}).enqueue(key, root, rel, listed, ""); err != nil {
		t.Fatal(err)
	}
	b.idle()
	if got := b.readObject(key); got != "" {
		t.Errorf("the deleted object is there again: %q", got)
	}
	b.mustUpload(func() {})
	ns.agree()
	if got := b.read(key); got != "" {
		t.Errorf("the deleted file is still on the other disk: %q", got)
	}
}
