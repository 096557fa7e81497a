package offload

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/lease"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/naming"
)

func (s *site) untilJoined() {
	s.t.Helper()
	s.untilMember()
	s.until("all to be compared that was on its disk", s.e.joining.isOver)
}

// nothingAside lets no content be kept aside.
func nothingAside(c buckettest.Call) buckettest.Fault {
	if c.Op == buckettest.OpPut && strings.HasPrefix(c.Key, "offload/conflict/") {
		return buckettest.Fault{Before: buckettest.ErrInjected}
	}
	return buckettest.Fault{}
}

// A guest that becomes a member overwrites nothing of production's: neither what its app
// changed nor what production has replaced since the copy was made. What it changed is
// kept aside. From then on its changes are the site's.
//
// Promise 2: "Nothing is lost."
func TestGuestThatJoinsOverwritesNothing(t *testing.T) {
	t.Parallel()
	ways := map[string]func(s *site){
		"the admin says so": func(s *site) { mustDo(s.t, s.e.guard.Adopt(s.t.Context())) },
		"the configuration, after a restart": func(s *site) {
			s.stop()
			s.write(names(4)[3], "edited while it was stopped")
			s.hosts = []string{stagingHost, productionHost}
			s.start()
		},
		"killed while it compares": func(s *site) {
			s.faults.SetHook(nothingAside)
			s.hosts = []string{stagingHost, productionHost}
			s.e.guard.SetHosts(s.hosts)
			s.until("it to try", func() bool { return s.e.Stats().Retries > 2 })
			s.kill()
			s.faults.SetHook(nil)
			s.start()
		},
	}
	for way, join := range ways {
		for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
			for how, command := range copies {
				if command == "" {
					continue // nothing to change
				}
				t.Run(fmt.Sprintf("%s, local %s, %s", way, policy, how), func(t *testing.T) {
					t.Parallel()
					keys := names(6)
					prod := newProduction(t, policy, productionHost).fill()
					prod.mustRequest(func() { prod.write(keys[5], "a sixth") })
					s := prod.copied(command, stagingHost)
					prod.mustRequest(func() { prod.write(keys[4], "replaced in production") })
					prod.stop()
					before := prod.objects()
					s.start()
					s.untilGuest()
					mustDo(t, s.uploadFor(stagingHost, func() {
						s.write(keys[0], "edited on staging")
						s.write("new.jpg", "staging's own")
					}))
					s.write(keys[1], strings.Repeat("x", len(before[keys[1]]))) // of the same length
					mustDo(t, os.Chtimes(s.path(keys[2]), time.Time{}, time.Now()))
					s.write(keys[5], "edited on staging as well")
					join(s)
					s.untilJoined()
					before["new.jpg"] = "staging's own"
					if after := s.objects(); !maps.Equal(after, before) {
						t.Errorf("the bucket has changed:")
						compare(t, before, after)
					}
					if disk := s.disk(); !maps.Equal(disk, before) {
						t.Errorf("its disk is not as the bucket:")
						compare(t, disk, before)
					}
					kept := s.conflicts()
					for _, want := range []string{"edited on staging", "edited on staging as well"} {
						if !slices.Contains(kept, want) {
							t.Errorf("%q is not kept: %q", want, kept)
						}
					}
					s.mustUpload(func() { s.write(keys[0], "edited by a member") })
					if got := s.readObject(keys[0]); got != "edited by a member" {
						t.Errorf("a member's change: the object is %q", got)
					}
					s.stop()
					s.ready()
					if !s.e.joining.isOver() {
						t.Error("it joins again")
					}
				})
			}
		}
	}
}

// What a guest's app wrote just before it became a member is a guest's, also where the
// watcher tells of it only when all has been compared, or a second comparison comes upon it.
//
// Promise 2: "Nothing is lost."
func TestGuestThatJoinsHearsOfItsWritesLate(t *testing.T) {
	for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			prod := newProduction(t, policy, productionHost).fill()
			prod.stop()
			before := prod.objects()
			s := prod.copied("cp -a", stagingHost)
			// While a request is kept from its claim, no event is taken if an upload may
			// prove something.
			waits, late := make(chan struct{}), make(chan struct{})
			s.set = func(e *Engine) {
				e.names = naming.NewBook(naming.Config{Others: otherNodes{e}, Leaser: func() *lease.Leaser {
					close(waits)
					<-late
					return e.leaser()
				}})
			}
			s.start()
			s.untilGuest()
			s.barrier()
			s.faults.SetHook(nothingAside)
			s.e.guard.SetHosts(nil) // as of a site whose address is `:80`
			s.e.guard.Expect(productionHost)
			r := s.e.names.Begin(0)
			defer r.Release()
			mustDo(t, r.Ready(t.Context()))
			go r.Name("any.jpg")
			<-waits
			s.write(names(1)[0], "edited on staging")
			s.e.guard.SetHosts([]string{productionHost})
			s.until("the comparison", func() bool { return s.e.guard.IsMember() && s.faults.Calls(buckettest.OpList) > 0 })
			for i := 0; i < 30 && s.e.joining.upTo.Load() == anyChange; i++ {
				time.Sleep(10 * time.Millisecond) // nothing signals that it waits for the watcher
			}
			close(late)
			s.barrier()
			s.until("all that differs to be known", func() bool { return s.e.joining.upTo.Load() != anyChange })
			s.compareNow() // finds the file in the queue
			s.faults.SetHook(nil)
			s.untilJoined()
			s.idle()
			if after := s.objects(); !maps.Equal(after, before) {
				compare(t, before, after)
			}
			if kept := s.conflicts(); !slices.Contains(kept, "edited on staging") {
				t.Errorf("the guest's content is not kept: %q", kept)
			}
		})
	}
}

// What went from a guest's disk is kept, also if the copy was made while production's
// requests ran, and so has their note.
//
// Promise 8: "What is missing after a time without the module is fetched, not deleted".
func TestGuestThatJoinsDeletesNothing(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			prod := newProduction(t, policy, productionHost).fill()
			prod.stop()
			before := prod.objects()
			s := prod.copied("cp -a", stagingHost)
			s.start()
			s.untilGuest()
			s.remove(names(1)[0])
			s.remove("album")
			s.stop()
			s.setNote(window{from: time.Now().Add(-time.Minute), to: time.Now()}.String())
			s.hosts = []string{productionHost}
			s.start()
			s.untilJoined()
			if after := s.objects(); !maps.Equal(after, before) {
				compare(t, before, after)
			}
		})
	}
}
