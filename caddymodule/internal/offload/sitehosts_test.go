package offload

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
)

func (s *site) untilLogged(text string) {
	s.t.Helper()
	s.until("the log to say "+text, func() bool { return s.logs.count(text) > 0 })
}

// A staging copy that was made a member by mistake has a way back: its host is
// forgotten, and from its next start it is a guest, as is every later copy of that name.
// What happens when it joins, and that it did, stands in the log.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one."
func TestForgottenHost(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			prod := newProduction(t, policy, productionHost).fill()
			staging := prod.copied("cp -a", stagingHost)
			staging.start()
			staging.untilGuest()
			staging.e.guard.SetHosts([]string{stagingHost, productionHost}) // the mistake
			staging.untilMember()
			prod.untilHosts(productionHost, stagingHost)
			for _, want := range []string{"level=WARN", "production, too", "names " + productionHost, "media-offload site forget"} {
				if staging.logs.count(want) == 0 {
					t.Errorf("the log of who joins lacks %q", want)
				}
			}
			staging.untilLogged("the site has a new host")
			staging.stop()

			mustDo(t, prod.e.guard.ForgetHost(t.Context(), stagingHost))
			prod.untilHosts(productionHost)
			before := prod.everythingIn()
			staging.hosts = []string{stagingHost} // the mistake is undone
			staging.start()
			staging.untilGuest()
			later := prod.copied("", stagingHost)
			later.start()
			later.untilGuest()
			for _, s := range []*site{staging, later} {
				mustDo(t, s.uploadFor(stagingHost, func() { s.write("mine.jpg", "staging's own") }, "mine.jpg"))
				s.stop()
			}
			if after := prod.everythingIn(); !maps.Equal(before, after) {
				t.Errorf("the bucket was changed:\n%v\n%v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
			}

			// It is one again by the admin's word alone, and its host is not the site's by
			// that of its configuration.
			staging.hosts = []string{stagingHost, productionHost}
			staging.ready()
			staging.untilMember()
			staging.e.guard.NameHosts(t.Context())
			prod.untilHosts(productionHost)
			staging.stop()
			mustDo(t, prod.e.guard.AddHost(t.Context(), stagingHost))
			prod.untilHosts(productionHost, stagingHost)
			later.start()
			later.untilMember()
		})
	}
}

// A server that runs while its host is forgotten stays a member until its next start,
// says so once, and does not write its host again.
func TestForgottenWhileItRuns(t *testing.T) {
	t.Parallel()
	prod := newProduction(t, LocalAll, productionHost).fill()
	staging := prod.copied("", stagingHost)
	staging.start()
	staging.untilGuest()
	mustDo(t, staging.e.guard.Adopt(t.Context()))
	prod.untilHosts(productionHost, stagingHost)
	mustDo(t, prod.e.guard.ForgetHost(t.Context(), stagingHost))
	staging.untilLogged("from its next start")
	staging.e.guard.NameHosts(t.Context())
	mustDo(t, staging.uploadFor(stagingHost, func() { staging.write("still.jpg", "of a member") }, "still.jpg"))
	if got := prod.objects()["still.jpg"]; got != "of a member" {
		t.Errorf("the object is %q", got)
	}
	prod.untilHosts(productionHost)
	staging.stop()
	staging.start()
	staging.untilGuest()
	if n := staging.logs.count("from its next start"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	// The admin's word on that server counts more.
	mustDo(t, staging.e.guard.Adopt(t.Context()))
	prod.untilHosts(productionHost, stagingHost)
	staging.stop()
	staging.start()
	staging.untilMember()
}

// Where the configuration names hosts, no request has a say in whether it is one of the
// site's servers.
func TestUploadProvesNothingBesideConfiguredHosts(t *testing.T) {
	t.Parallel()
	prod := newProduction(t, LocalOwn, productionHost).fill()
	staging := prod.copied("cp -a", stagingHost)
	staging.start()
	staging.untilGuest()
	mustDo(t, staging.uploadFor(productionHost, func() { staging.write("x.jpg", "with an odd Host") }, "x.jpg"))
	if !staging.e.Stats().Guest {
		t.Error("an upload made a member of a server that is configured for another host")
	}
}

// What cannot be forgotten, and by whom.
func TestForgetRefused(t *testing.T) {
	t.Parallel()
	prod := newProduction(t, LocalOwn, productionHost).fill()
	guest := prod.copied("", stagingHost)
	guest.start()
	guest.untilGuest()
	mustDo(t, prod.e.guard.AddHost(t.Context(), "old.example"))
	for host, want := range map[string]string{
		"nobody.example": "not one of the site's",
		"localhost":      "no name of a host",
		"":               "no name of a host",
		productionHost:   "configuration names it",
	} {
		if err := prod.e.guard.ForgetHost(t.Context(), host); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("forgetting %q: %v", host, err)
		}
	}
	for _, err := range []error{guest.e.guard.ForgetHost(t.Context(), productionHost), guest.e.guard.AddHost(t.Context(), stagingHost)} {
		if !errors.Is(err, identity.ErrGuest) {
			t.Errorf("a guest: %v", err)
		}
	}
	prod.e.guard.SetHosts(nil)
	mustDo(t, prod.e.guard.ForgetHost(t.Context(), productionHost))
	if err := prod.e.guard.ForgetHost(t.Context(), "old.example"); err == nil || !strings.Contains(err.Error(), "the last") {
		t.Errorf("forgetting the last host: %v", err)
	}
	prod.untilHosts("old.example")
}

// The identity tells when each host was added, and by which server; servers that change
// it at the same time lose nothing of each other's.
func TestIdentityTells(t *testing.T) {
	t.Parallel()
	prod := newProduction(t, LocalOwn, productionHost).fill()
	other := prod.copied("", productionHost)
	other.ready()
	var all sync.WaitGroup
	want := []string{productionHost}
	for i, s := range []*site{prod, other, prod, other} {
		host := string(rune('a'+i)) + ".example"
		want = append(want, host)
		all.Go(func() {
			if err := s.e.guard.AddHost(t.Context(), host); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	id, err := other.e.guard.Site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	machine, err := os.Hostname()
	mustDo(t, err)
	var got []string
	for _, h := range id.Hosts {
		got = append(got, h.Name)
		if time.Since(h.Added) > time.Hour || h.By != machine {
			t.Errorf("%+v", h)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || id.ID == "" {
		t.Errorf("%s names %s", id.ID, got)
	}
	mustDo(t, prod.e.guard.ForgetHost(t.Context(), "a.example"))
	if id, err = other.e.guard.Site(t.Context()); err != nil || !slices.Equal(id.Forgotten, []string{"a.example"}) {
		t.Errorf("%+v, %v", id, err)
	}
}
