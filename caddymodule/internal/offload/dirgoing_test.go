package offload

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// A file that went with its directory is not brought back because another node
// tells of it before its object is deleted.
//
// Promise 1: "every file that was written, renamed or deleted in a media root
// while it ran is committed".
func TestToldOfWhileItsDirectoryGoes(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1).ready()[0]
	s.mustUpload(func() { s.write("d/x.jpg", "content") })
	s.idle()
	var once sync.Once
	s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		if c.Op == buckettest.OpList && strings.HasPrefix(c.Key, "media/d/") {
			once.Do(func() {
				s.e.lookAt("d/x.jpg", verdict.PutElsewhere)
				deadline := time.Now().Add(300 * time.Millisecond)
				for s.read("d/x.jpg") == "" && time.Now().Before(deadline) {
					time.Sleep(time.Millisecond) // nothing signals that it is not brought
				}
			})
		}
		return buckettest.Fault{}
	})
	s.mustUpload(func() { s.rename("d", "e") })
	s.idle()
	if object, file := s.readObject("d/x.jpg"), s.read("d/x.jpg"); object != "" || file != "" {
		t.Errorf("the object is %q, the file %q", object, file)
	}
	s.equal()
}

// The app may delete at once what another node wrote into new directories.
//
// Promise 1: "every file that was written, renamed or deleted in a media root
// while it ran is committed".
func TestDeletedAsSoonAsItIsThere(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	for i := range 20 {
		key := fmt.Sprintf("%d%s/x.jpg", i, strings.Repeat("/d", 30))
		ns[0].mustUpload(func() { ns[0].write(key, "content") })
		ns[1].mustUpload(func() { ns[1].remove(key) })
		if object := ns[0].readObject(key); object != "" {
			t.Fatalf("%s was deleted, and the bucket has it", key)
		}
	}
	ns.agree()
}
