package offload

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// What becomes of a file that is committed and whose object is gone depends on
// who says so.
//
// Promise 2: "Nothing is lost." Promise 6: "Every node sees what a shared disk
// would show."
func TestCommittedFileWithoutObject(t *testing.T) {
	t.Parallel()
	const key = "2026/11/photo.jpg"
	look := func(why verdict.Cause) func(e *Engine) { return func(e *Engine) { e.lookAt(key, why) } }
	for name, c := range map[string]struct {
		look         func(e *Engine)
		file, object string
	}{
		// The log will say who deleted it.
		"told of a Put": {look(verdict.PutElsewhere), "content", ""},
		"just seen":     {look(verdict.OwnLook), "content", ""},
		"found so by a comparison": {func(e *Engine) {
			root, rel, _ := e.site.Locate(key)
			if err := (&pass{e: e, ctx: e.ctx}).enqueue(key, root, rel, nil, ""); err != nil {
				t.Error(err)
			}
		}, "content", ""},
		"told of its delete": {look(verdict.DeletedElsewhere), "", ""},
		// The delete hit more than it was meant for.
		"told of another version's delete": {look(verdict.OtherDeleted), "content", "content"},
		"this node deleted too much":       {func(e *Engine) { e.forgetDeleted(key, nil) }, "content", "content"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNodes(t, 1).ready()[0]
			s.mustUpload(func() { s.write(key, "content") })
			s.idle()
			if err := os.Remove(filepath.Join(s.bucket, "media", filepath.FromSlash(key))); err != nil {
				t.Fatal(err)
			}
			c.look(s.e)
			s.until("the look", func() bool { return s.e.Stats().Pending == 0 })
			s.idle()
			if file, object := s.read(key), s.readObject(key); file != c.file || object != c.object {
				t.Errorf("the file is %q, the object %q; want %q, %q", file, object, c.file, c.object)
			}
		})
	}
}
