package offload

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/naming"
)

// begin begins a request that brings a file, up to its app's run.
func (s *site) begin(name string) *Request {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r := s.e.beginRunning(ctx, "client")
	s.t.Cleanup(r.End)
	r.Name(name)
	if err := r.Ready(ctx); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// ended ends a request and returns what its client is told.
func (s *site) ended(r *Request) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	defer r.End()
	return r.Wait(ctx)
}

// lapse waits until a node that is out of the bucket's reach has lost the lease.
func (s *site) lapse(r *Request) {
	s.t.Helper()
	s.until("the lease to expire", r.Lapsed)
}

// failing is a fault of the calls about objects below a prefix.
func failing(prefixes ...string) buckettest.Hook {
	return below(buckettest.Fault{Before: buckettest.ErrInjected}, prefixes...)
}

func below(fault buckettest.Fault, prefixes ...string) buckettest.Hook {
	return func(c buckettest.Call) buckettest.Fault {
		for _, prefix := range prefixes {
			if strings.HasPrefix(c.Key, prefix) {
				return fault
			}
		}
		return buckettest.Fault{}
	}
}

// A node that stands still while an upload is under way loses its names: nobody
// may hear of a success whose file has not got its name.
//
// Promise 6: "Before PHP runs for an upload, the node has caught up with the
// change log, so that the app's own check whether a name is taken […] is right."
func TestLostNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		// unreachable is what the node's calls are about that fail meanwhile.
		unreachable []string
		// first: the file is written before another node has the lease.
		first bool
		// late: the other node's app chooses the name only after the first is
		// back, but it has looked before.
		late             bool
		wins, otherFails bool
	}{
		{name: "nothing is stored", unreachable: []string{"media/", "offload/"}},
		{name: "stored and not told", unreachable: []string{"offload/"}, first: true},
		{name: "told before the other stores", unreachable: []string{"offload/"}, first: true, late: true, wins: true, otherFails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var collision *naming.CollisionError
			ns := newNodes(t, 2).ready()
			a, b := ns[0], ns[1]
			r := a.begin("x.jpg")
			a.faults.SetHook(failing(test.unreachable...))
			if test.first {
				a.write("x.jpg", "a's picture")
				a.until("the object", func() bool { return a.objects()["x.jpg"] != "" })
			}
			a.lapse(r)
			var otherErr error
			if test.late {
				other := b.begin("x.jpg")
				wrote := make(chan struct{})
				b.faults.SetHook(below(buckettest.Fault{Hang: wrote}, "offload/log/", "media/")) // or it would have a's file before its app writes
				a.faults.SetHook(nil)
				errA := a.ended(r)
				if test.wins && errA != nil {
					t.Errorf("who wrote to the log first was told: %v", errA)
				}
				b.write("x.jpg", "b's picture")
				close(wrote)
				b.faults.SetHook(nil)
				otherErr = b.ended(other)
			} else {
				otherErr = b.upload(func() { b.write("x.jpg", "b's picture") }, "x.jpg")
				if !test.first {
					a.write("x.jpg", "a's picture")
				}
				a.faults.SetHook(nil)
				if err := a.ended(r); !errors.As(err, &collision) || collision.Count != 1 || collision.Keys[0] != "x.jpg" {
					t.Errorf("who stood still was told: %v", err)
				}
			}
			if test.otherFails != errors.As(otherErr, &collision) || !test.otherFails && otherErr != nil {
				t.Errorf("the other was told: %v", otherErr)
			}
			ns.agree()
			want, aside := "b's picture", "a's picture"
			if test.wins {
				want, aside = aside, want
			}
			if got := b.read("x.jpg"); got != want {
				t.Errorf("x.jpg is %q", got)
			}
			if got := a.conflicts(); len(got) != 1 || got[0] != aside {
				t.Errorf("kept aside: %q", got)
			}
		})
	}
}

// Who lost the lease, but not the name, is told a success.
func TestLapsedWithoutCollision(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	r := a.begin("x.jpg")
	a.faults.SetHook(failing("offload/"))
	a.write("x.jpg", "a's picture")
	a.lapse(r)
	b.mustUpload(func() { b.write("x-1.jpg", "b's picture") }, "x.jpg")
	a.faults.SetHook(nil)
	if err := a.ended(r); err != nil {
		t.Error(err)
	}
	ns.agree()
}

// Ready gets names again that were lost since it returned.
func TestReadyAgain(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	r := a.begin("x.jpg")
	defer r.End()
	a.faults.SetHook(failing("offload/"))
	a.lapse(r)
	b.mustUpload(func() { b.write("x.jpg", "b's picture") }, "x.jpg")
	a.faults.SetHook(nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a.until("the bucket", func() bool { return r.Ready(ctx) == nil && !r.Lapsed() })
	if got := a.read("x.jpg"); got != "b's picture" {
		t.Errorf("the app would find %q", got)
	}
}

// Of two requests of a node only the one whose file lost its name is told so.
func TestCollisionOfAnotherRequest(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 1).ready()
	a := ns[0]
	r, other := a.begin("x.jpg"), a.begin("y.jpg")
	a.putObject("media/x.jpg", "there before")
	a.write("y.jpg", "y")
	if err := a.ended(other); err != nil {
		t.Error(err)
	}
	// What is there was stored long ago for all this node knows.
	r.Rest()
	third := a.begin("z.jpg")
	a.write("x.jpg", "a's picture")
	a.write("z.jpg", "z")
	if err := a.ended(third); err != nil {
		t.Error(err)
	}
	var collision *naming.CollisionError
	if err := a.ended(r); !errors.As(err, &collision) {
		t.Errorf("told: %v", err)
	}
}
