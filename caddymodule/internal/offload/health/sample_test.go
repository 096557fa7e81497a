package health

import (
	"fmt"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// A bucket that lacks an object of the sample, or has another version, was put back; what
// the node itself changes says nothing.
func TestSample(t *testing.T) {
	store := buckettest.NewFaulty(buckettest.NewMemory(), nil)
	var s Sample
	lost := func(want bool, when string) {
		t.Helper()
		if got, err := s.Lost(t.Context(), store); got != want || err != nil {
			t.Errorf("%s: %t, %v", when, got, err)
		}
	}
	for i := range 2 * maxSample {
		info, err := buckettest.PutText(t.Context(), store, fmt.Sprintf("media/%d.jpg", i), "content", bucket.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.Add(info.Key, info.ETag)
	}
	if n := len(s.all()); n != maxSample {
		t.Errorf("%d are looked for", n)
	}
	lost(false, "all there")
	for name := range s.all() {
		if _, err := buckettest.PutText(t.Context(), store, name, "other", bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		lost(true, "another version")
		s.Drop(name)
		lost(false, "of its own")
		if err := store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	s.Add("media/denied.jpg", "x")
	store.SetHook(buckettest.Always(buckettest.Fault{Before: errOne}, buckettest.OpHead))
	lost(false, "denied")
	store.SetHook(nil)
	lost(true, "not there")
	s.Reset()
	lost(false, "a new sample")
}

// What a killed probe left goes; what other nodes may be trying just now stays.
func TestProbeRemovesWhatIsLeft(t *testing.T) {
	for several, want := range map[bool]int{false: 0, true: 1} {
		store := buckettest.NewMemory()
		if _, err := buckettest.PutText(t.Context(), store, "offload/probe-x", "left", bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Probe(t.Context(), store, "offload/", several, "offload/"); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range store.List(t.Context(), "offload/probe-x", "") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != want {
			t.Errorf("several %t: %d left", several, n)
		}
	}
}
