package offload

import (
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// What an app puts in the place of a file that another node stored, while the bucket
// takes nothing, has the name after a restart: the new file bears no mark, but that it
// was made of the version in the bucket is not forgotten.
//
// Promise 2: "Nothing is lost."
func TestOverwriteSurvivesARestart(t *testing.T) {
	t.Parallel()
	const key = "d/x.jpg"
	for name, write := range map[string]func(b *site){
		"by a request": func(b *site) {
			err := b.giveUp(func() { b.overwriteByRename(key, "new") }, always)
			if err == nil {
				b.t.Error("the answer was not held")
			}
		},
		"at the shell": func(b *site) { b.overwriteByRename(key, "new"); b.barrier() },
		"twice": func(b *site) {
			b.overwriteByRename(key, "not yet")
			b.barrier()
			b.e.noteBases()
			b.overwriteByRename(key, "new")
			b.barrier()
		},
		"in place": func(b *site) { b.write(key, "new"); b.barrier() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 2).ready()
			a, b := ns[0], ns[1]
			taken := ns.storedByTheFirst(key)
			write(b)
			b.stop()
			taken()
			b.ready()
			ns.untilRead(key, "new")
			if got := a.conflicts(); len(got) != 0 {
				t.Errorf("kept aside: %q", got)
			}
		})
	}
}

// A version that another node stored meanwhile keeps the name, and both are kept.
//
// Promise 6, about two contents: "The first keeps the name".
func TestOverwriteAfterARestartIsNoFirst(t *testing.T) {
	t.Parallel()
	const key = "x.jpg"
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	taken := ns.storedByTheFirst(key)
	b.overwriteByRename(key, "b's")
	b.barrier()
	b.stop()
	a.mustUpload(func() { a.write(key, "a's") }, key)
	taken()
	b.ready()
	ns.untilRead(key, "a's")
	if got := a.conflicts(); len(got) != 1 || got[0] != "b's" {
		t.Errorf("kept aside: %q", got)
	}
}

// storedByTheFirst has the first of two nodes store a file, after which the bucket takes
// nothing from the second, until taken is called.
func (ns nodes) storedByTheFirst(key string) (taken func()) {
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write(key, "old") })
	ns.untilRead(key, "old")
	b.idle()
	return b.fail(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}, buckettest.OpPut))
}

// overwriteByRename puts another file in the place of a file, as uploads and rsync do.
func (s *site) overwriteByRename(key, content string) {
	s.t.Helper()
	s.write(".tmp", content)
	s.rename(".tmp", key)
}
