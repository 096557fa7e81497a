package offload

import (
	"os"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// Where all deletes count, one that is found while another node's change of the
// same key is looked at counts, too.
//
// Promise 8: "What a process deletes while the module watches is deleted".
func TestDeleteAlwaysWhileLooking(t *testing.T) {
	t.Parallel()
	s := newNodes(t, 1, func(c *Config) { c.Deletes = DeletesAlways }).ready()[0]
	const key = "2026/11/a.jpg"
	s.write(key, "content")
	s.until("the object", func() bool { return s.readObject(key) != "" })
	s.idle()
	if err := os.Remove(s.path(key)); err != nil {
		t.Fatal(err)
	}
	s.e.lookAt(key, verdict.PutElsewhere)
	s.idle()
	if object, file := s.readObject(key), s.read(key); object != "" || file != "" {
		t.Errorf("the object is %q, the file %q", object, file)
	}
}
