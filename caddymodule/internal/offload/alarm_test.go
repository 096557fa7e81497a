package offload

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// A comparison that comes before the single deletes of a directory have been
// dealt with does not take them for too many.
//
// Promise 8: "a reconcile never deletes more than a small share of either side:
// it stops and says so."
func TestDirectoryDeletedElsewhereIsNoAlarm(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	ns.haveFiles(30)
	b.idle()
	stuck := make(chan struct{})
	release := sync.OnceFunc(func() { close(stuck) })
	defer release()
	b.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if c.Op == buckettest.OpHead && strings.HasPrefix(c.Key, "media/2026/") {
			return buckettest.Fault{Hang: stuck}
		}
		return buckettest.Fault{}
	})
	before := b.e.Stats().Reconciled
	a.mustUpload(func() { a.remove("2026") })
	b.until("the comparison", func() bool { return b.e.Stats().Reconciled.After(before) })
	release()
	ns.agree()
	if n := len(b.disk()); n != 0 {
		t.Errorf("%d files are left", n)
	}
	if b.logs.count("no file is removed") > 0 {
		t.Error("the deletes of one directory were taken for too many")
	}
}

// After a kill the other nodes are asked to look at all directories that its
// requests had changed, however many.
//
// Promise 6: "Every node sees what a shared disk would show."
func TestTellTouchedOfManyDirectories(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1).ready()[0]
	p := &pass{e: s.e, shared: true, during: window{from: time.Now(), to: time.Now()}}
	for i := range maxTouched + 1 {
		dir := fmt.Sprint("d/", i)
		if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		p.dir(0, dir)
	}
	if len(p.touched) != 1 || p.touched[0] != everyDir {
		t.Errorf("%d directories are told of", len(p.touched))
	}
	p.dir(0, "d/0")
	if len(p.touched) != 1 {
		t.Errorf("all and %d", len(p.touched)-1)
	}
}
