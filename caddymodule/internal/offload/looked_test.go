package offload

import "testing"

// A look may find a file gone before the event about it has come. The delete is
// the app's all the same, also of a file that another node stored.
//
// Promise 1: "every file that was written, renamed or deleted in a media root
// while it ran is committed".
func TestLookFindsDeleteBeforeItsEvent(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	for _, key := range names(6) {
		a.mustUpload(func() { a.write(key, "content of "+key) })
		ns.agree()
		b.idle()
		b.mustUpload(func() {
			root, rel, _ := b.e.site.Locate(key)
			b.remove(key)
			// Works at once; events are gathered for some milliseconds.
			if err := (&pass{e: b.e, ctx: t.Context()}).enqueue(key, root, rel, nil, ""); err != nil {
				t.Error(err)
			}
			b.until("the look", func() bool { return b.e.queue.BackgroundLen() == 0 })
		})
		if got := a.readObject(key); got != "" {
			t.Errorf("%s was deleted and is still there: %q", key, got)
		}
	}
}
