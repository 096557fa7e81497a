package offload

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// Where servers have different versions of a file, because an overwrite was told to nobody
// when the bucket was found to be in an older state, one of them has the name, on all
// disks, and the others are kept aside: no server puts its own over what another has put
// back, and what is written afterwards has the name.
//
// Promise 6: "Every node sees what a shared disk would show." Promise 2: "Nothing is lost."
func TestServersPutBackOnce(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 3, func(c *Config) { c.Look = 20 * time.Millisecond })
	ns.ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write("r.jpg", "V1") })
	ns.agree()
	deaf := nodes{a, ns[2]}
	for _, s := range deaf {
		s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
			if c.Op == buckettest.OpGet && strings.HasPrefix(c.Key, "offload/log/") {
				return buckettest.Fault{Before: errors.New("not now")}
			}
			return buckettest.Fault{}
		})
	}
	b.mustUpload(func() { b.write("r.jpg", "V2") })
	b.idle()
	log := filepath.Join(a.bucket, "offload", "log")
	entries, err := os.ReadDir(log)
	mustDo(t, err)
	mustDo(t, os.Remove(filepath.Join(log, entries[len(entries)-1].Name())))
	for _, s := range deaf {
		s.faults.SetHook(nil)
	}
	for _, s := range ns {
		s.until("the older state to be noticed", func() bool { return s.logs.count("is in an older state") > 0 })
	}
	for _, s := range ns {
		s.until("the comparison to find nothing", func() bool { return !s.isOlder() })
	}
	ns.agree()
	back := 0
	for _, s := range ns {
		back += s.logs.count("the bucket came back with another version")
	}
	if back > 1 {
		t.Errorf("it was put back %d times", back)
	}
	versions := append(a.conflicts(), a.read("r.jpg"))
	slices.Sort(versions)
	if !slices.Equal(slices.Compact(versions), []string{"V1", "V2"}) {
		t.Errorf("there are %q", versions)
	}
	b.mustUpload(func() { b.write("r.jpg", "V3") })
	ns.untilRead("r.jpg", "V3")
	b.mustUpload(func() { b.remove("r.jpg") })
	b.gone(ns, "r.jpg")
}

// What a server stores again, because somebody took the object away, is what it has, which
// need not be what the site had: where another server has something else, that is kept.
//
// Promise 2: "Nothing is lost."
func TestStoredAgainIsNoOverwrite(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2, shortLostAfter).ready()
	a, b := ns[0], ns[1]
	b.stop()
	a.mustUpload(func() { a.write("r.jpg", "V1") })
	a.putObject("media/r.jpg", "a stranger's")
	b.start()
	b.until("it to fetch what there is", func() bool { return b.read("r.jpg") == "a stranger's" })
	b.idle()
	b.until("its place in the log to be noted", b.hasNotedItsPlace)
	b.removeObjects("r.jpg")
	b.compareNow()
	b.until("the object to be stored again", func() bool { return b.readObject("r.jpg") == "a stranger's" })
	ns.agree()
	if got := a.conflicts(); !slices.Equal(got, []string{"V1"}) {
		t.Errorf("kept aside: %q", got)
	}
}
