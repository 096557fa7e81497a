package offload

import (
	"errors"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/naming"
)

// A node that was killed after it had stored a file, and before anybody was told,
// leaves an object that nobody knows of. It does not take the name from the next
// upload, which has the lease: that one's client is told that it is stored.
//
// Promise 1: "Durable before visible." Promise 2: "Nothing is lost."
func TestUnfinishedUploadGivesWay(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.putObject("media/x.jpg", "never finished")
	b.mustUpload(func() { b.write("x.jpg", "b's picture") }, "X.jpg")
	ns.agree()
	if got := a.read("x.jpg"); got != "b's picture" {
		t.Errorf("the other node has %q", got)
	}
	if got := a.conflicts(); len(got) != 1 || got[0] != "never finished" {
		t.Errorf("kept aside: %q", got)
	}
	if n := b.e.Stats().Conflicts; n != 1 {
		t.Errorf("%d conflicts counted", n)
	}
}

// Without the lease of its name a file does not displace another, and its client
// is told so.
func TestNameWithoutLeaseGivesWay(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.putObject("media/x.jpg", "there before")
	var collision *naming.CollisionError
	if err := b.upload(func() { b.write("x.jpg", "b's picture") }, "another.jpg"); !errors.As(err, &collision) {
		t.Errorf("the client was told: %v", err)
	}
	if got := b.read("x.jpg"); got != "there before" {
		t.Errorf("the node has %q", got)
	}
	if got := a.conflicts(); len(got) != 1 || got[0] != "b's picture" {
		t.Errorf("kept aside: %q", got)
	}
}
