package offload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
)

const (
	productionHost = "www.example.com"
	stagingHost    = "staging.example.com"
)

// newProduction starts a site with some files whose configuration names hosts.
func newProduction(t *testing.T, policy LocalPolicy, hosts ...string) *site {
	t.Helper()
	s := newSite(t, func(c *Config) { c.Local, c.Look, c.Poll = policy, 20*time.Millisecond, 20*time.Millisecond })
	s.hosts = hosts
	return s
}

// fill starts the site and stores some files.
func (s *site) fill() *site {
	s.t.Helper()
	s.ready()
	s.mustRequest(func() { s.writeAll(append(names(5), "album/a.jpg", "album/b.jpg")) })
	s.idle()
	if s.cfg.Local == LocalOwn {
		s.counted()
	}
	return s
}

// copied returns another server with the site's configuration, but for its hosts, and
// a copy of the disk, made by a shell command ("": none).
func (s *site) copied(command string, hosts ...string) *site {
	s.t.Helper()
	c := newProduction(s.t, s.cfg.Local, hosts...)
	c.bucket, c.s3 = s.bucket, s.s3
	if command != "" {
		s.sh(command+` "$1/." "$2"`, s.dir, c.dir)
	}
	return c
}

// everythingIn is all that the bucket has, control objects too.
func (s *site) everythingIn() map[string]string { return s.below("") }

func (s *site) untilGuest() {
	s.t.Helper()
	s.until("to be a guest", func() bool { return s.e.Stats().Guest })
}

func (s *site) untilMember() {
	s.t.Helper()
	s.until("to be a member", func() bool {
		st := s.e.Stats()
		return s.e.guard.IsMember() && !st.Guest && !st.Reconciled.IsZero() && !st.Reconciling && st.Pending == 0
	})
}

// changeIdentity changes what stands in the bucket, as anybody may who can write to it.
func (s *site) changeIdentity(change func(f *identity.File)) {
	s.t.Helper()
	f, err := identity.ParseFile([]byte(s.below("offload/")[identity.ObjectName]))
	mustDo(s.t, err)
	change(&f)
	text, err := json.Marshal(f)
	mustDo(s.t, err)
	_, err = s.e.cfg.Store.Put(s.t.Context(), "offload/"+identity.ObjectName, bytes.NewReader(text), int64(len(text)), bucket.PutOptions{})
	mustDo(s.t, err)
}

// siteHosts are the hosts of the identity.
func (s *site) siteHosts() []string {
	s.t.Helper()
	f, err := identity.ParseFile([]byte(s.below("offload/")["site"]))
	if err != nil {
		s.t.Fatal(err)
	}
	return f.Hosts
}

func (s *site) untilHosts(hosts ...string) {
	s.t.Helper()
	s.until(fmt.Sprintf("the identity to name %s", hosts), func() bool { return slices.Equal(s.siteHosts(), hosts) })
}

// copies are the ways in which a disk gets to another server.
var copies = map[string]string{"with marks": "cp -a", "without marks": "cp -r", "no disk": ""}

// A staging copy, started with production's configuration but for its address, changes
// nothing in production's bucket, whatever its app does and whatever Host its requests
// have; nobody waits for its uploads; and its pages name no object.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one." Promise 2: "Nothing is lost."
func TestStagingCopyHarmsNobody(t *testing.T) {
	t.Parallel()
	for store, start := range map[string]func(testing.TB) s3.Config{"dir": nil, "versitygw": buckettest.StartVersityGW} {
		for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
			for how, command := range copies {
				t.Run(fmt.Sprintf("%s, local %s, %s", store, policy, how), func(t *testing.T) {
					t.Parallel()
					prod := newProduction(t, policy, productionHost)
					if start != nil {
						server := start(t)
						prod.s3 = &server
					}
					prod.fill()
					testStaging(t, prod, prod.copied(command, stagingHost))
				})
			}
		}
	}
}

func testStaging(t *testing.T, prod, staging *site) {
	before, disk := prod.everythingIn(), prod.disk()
	staging.start()
	staging.untilGuest()
	for i, host := range []string{stagingHost, productionHost, "203.0.113.7", "evil.example", ""} {
		for _, key := range names(2) {
			staging.write(key, "edited on staging")
		}
		mine := fmt.Sprintf("mine-%d.jpg", i)
		if err := staging.uploadFor(host, func() {
			staging.write(mine, "staging's own")
			_ = os.Remove(staging.path(names(3)[2]))
			_ = os.Rename(staging.path(names(4)[3]), staging.path("renamed.jpg"))
			_ = os.RemoveAll(staging.path("album"))
		}, "other.jpg"); err != nil {
			t.Errorf("an upload for %q: %v", host, err)
		}
		for _, key := range slices.Concat(names(5), []string{mine}) {
			if etag, _, ok := staging.e.Public([]byte(key)); ok {
				t.Errorf("a page names the object of %s (%s)", key, etag)
			}
		}
	}
	if _, err := staging.e.trash.Empty(t.Context(), time.Now()); err != nil && !errors.Is(err, identity.ErrGuest) {
		t.Error(err)
	}
	if !staging.e.Stats().Guest {
		t.Error("it is no guest any more")
	}
	if n := staging.logs.count("site_hosts " + productionHost); n != 1 {
		t.Errorf("the log says %d times what to do", n)
	}
	if reason := staging.e.Stats().Reason; !strings.Contains(reason, "site_hosts "+productionHost) || !strings.Contains(reason, stagingHost) {
		t.Errorf("the status says %q", reason)
	}
	if _, err := staging.e.Open(t.Context(), names(1)[0], bucket.GetOptions{}); err != nil {
		t.Errorf("reading the site's object: %v", err)
	}
	staging.stop()
	if after := prod.everythingIn(); !maps.Equal(before, after) {
		t.Errorf("the bucket was changed:\n%v\n%v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	if !maps.Equal(prod.disk(), disk) {
		t.Error("production's disk was changed")
	}
}

// A guest that becomes a member stores what it has; what it deleted or what went with
// an earlier process is not deleted in the bucket. A restart leaves it a member, a
// copy of its disk does not become one.
//
// Promise 2: "Nothing is lost." Promise 1: "Durable before visible": of the upload that
// proved it.
func TestGuestBecomesMember(t *testing.T) {
	t.Parallel()
	for way, become := range map[string]func(s *site) error{
		"the configuration names a host": func(s *site) error {
			s.e.guard.SetHosts([]string{"new.example", "WWW.Example.com:443"})
			return nil
		},
		"the configuration, after a restart": func(s *site) error {
			s.stop()
			s.hosts = []string{"new.example", productionHost}
			s.start()
			return nil
		},
		"the admin says so": func(s *site) error { return s.e.guard.Adopt(s.t.Context()) },
		"an upload for a host": func(s *site) error {
			err := s.uploadFor(productionHost, func() { s.write("proof.jpg", "proof") }, "proof.jpg")
			if got := s.objects()["proof.jpg"]; got != "proof" {
				s.t.Errorf("the answer is out, and the bucket has %q", got)
			}
			return err
		},
	} {
		for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
			t.Run(fmt.Sprintf("%s, local %s", way, policy), func(t *testing.T) {
				t.Parallel()
				prod := newProduction(t, policy, productionHost).fill()
				objects := prod.objects()
				s := prod.copied("cp -a", "new.example")
				s.start()
				s.untilGuest()
				mustDo(t, s.uploadFor("new.example", func() {
					s.write("new.jpg", "written as a guest")
					mustDo(t, os.Remove(s.path(names(1)[0])))
					mustDo(t, os.RemoveAll(s.path("album")))
				}, "new.jpg"))
				if _, ok := prod.objects()["new.jpg"]; ok {
					t.Error("a guest stored a file")
				}
				if way == "an upload for a host" {
					s.e.guard.SetHosts(nil) // as of a site whose address is `:80`
				}
				mustDo(t, become(s))
				s.until("what it wrote as a guest", func() bool { return prod.objects()["new.jpg"] == "written as a guest" })
				s.untilMember()
				for key, content := range objects {
					if prod.objects()[key] != content {
						t.Errorf("the object of %s is %q", key, prod.objects()[key])
					}
				}
				if way != "an upload for a host" {
					prod.untilHosts(productionHost, "new.example")
				}
				s.stop()
				s.hosts = []string{"newer.example"}
				s.ready()
				s.untilMember()
				c := s.copied("cp -a", "elsewhere.example")
				c.start()
				c.untilGuest()
			})
		}
	}
}

// A Host header alone proves nothing: not beside another's upload, not with a name of a
// file that is not written, not for a host that the site does not have.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one."
func TestHostHeaderProvesNothing(t *testing.T) {
	t.Parallel()
	prod := newProduction(t, LocalOwn, productionHost).fill()
	staging := prod.copied("cp -a") // its address is `:80`
	staging.start()
	staging.untilGuest()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	attack := staging.e.beginRunning(ctx, "attacker")
	attack.For(productionHost)
	attack.Name("shell.jpg")
	mustDo(t, attack.Ready(ctx))
	mustDo(t, staging.uploadFor("10.0.0.7:80", func() { staging.write("photo.jpg", "an editor's") }, "photo.jpg"))
	mustDo(t, staging.uploadFor("other.example", func() { staging.write("x.jpg", "an editor's") }, "x.jpg"))
	mustDo(t, staging.uploadFor(productionHost, func() { staging.write("y.jpg", "without a name in the request") }))
	mustDo(t, attack.Wait(ctx))
	attack.End()
	if !staging.e.Stats().Guest {
		t.Error("a Host header made it a member")
	}

	// Nor does the site get hosts by it.
	mustDo(t, prod.uploadFor("evil.example", func() { prod.write("e.jpg", "e") }, "e.jpg"))
	prod.e.guard.NameHosts(ctx)
	if got := prod.siteHosts(); !slices.Equal(got, []string{productionHost}) {
		t.Errorf("the identity names %s", got)
	}
}

// A site whose configuration names no host learns its hosts by uploads; each of its
// servers is known by them.
func TestHostsOfUploads(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newProduction(t, policy).fill()
			if got := s.siteHosts(); len(got) != 0 {
				t.Errorf("at the start it names %s", got)
			}
			for _, host := range []string{"evil.example", "192.0.2.1", "localhost:8080"} {
				mustDo(t, s.uploadFor(host, func() { s.write("a.jpg", host) })) // no upload
				mustDo(t, s.uploadFor(host, func() {}, "b.jpg"))                // no file
			}
			for _, host := range []string{"127.0.0.1:80", "[::1]:80", "web"} {
				mustDo(t, s.uploadFor(host, func() { s.write("b.jpg", host) }, "b.jpg"))
			}
			mustDo(t, s.uploadFor("one.example:8443", func() { s.write("one.jpg", "1") }, "one.jpg"))
			s.untilHosts("one.example")
			mustDo(t, s.uploadFor("TWO.example", func() { s.write("two.jpg", "2") }, "two.jpg"))
			s.untilHosts("one.example", "two.example")
			s.stop()
			s.ready()
			s.untilMember()
			// A new server of the site, with nothing on its disk, is known by its first upload.
			c := s.copied("")
			c.start()
			c.untilGuest()
			mustDo(t, c.uploadFor("two.example", func() { c.write("three.jpg", "3") }, "three.jpg"))
			if got := s.objects()["three.jpg"]; got != "3" {
				t.Errorf("the bucket has %q", got)
			}
		})
	}
}

// Sites that were made before identities named hosts go on, one server or several, and
// get their hosts.
func TestOldIdentityGetsHosts(t *testing.T) {
	t.Parallel()
	for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			old := func(s *site) *site {
				s.fill().stop()
				mustDo(t, local.NewTree(s.dir).SetDirNote("", local.AttrMember, ""))
				return s
			}
			a := old(newProduction(t, policy))
			b := newProduction(t, policy)
			b.bucket = a.bucket
			old(b)
			a.hosts, b.hosts = []string{productionHost, "example.com"}, []string{productionHost}
			for _, s := range []*site{b, a} {
				s.ready()
				s.untilMember()
				mustDo(t, s.uploadFor(productionHost, func() { s.write("x.jpg", s.dir) }, "x.jpg"))
				s.until("the file in the bucket", func() bool { return s.objects()["x.jpg"] == s.dir })
				if s.e.Stats().Guest || s.logs.count("guest") > 0 {
					t.Error("it was a guest")
				}
			}
			a.untilHosts(productionHost, "example.com")
			// A new disk without a host in its configuration, beside an identity that knows
			// nobody, works as before.
			c, d := newProduction(t, policy), newProduction(t, policy)
			d.bucket = c.bucket
			old(c)
			d.ready()
			d.untilMember()
		})
	}
}

// A site that gets another domain on the same servers goes on, and the identity gets
// the new host.
func TestNewDomainOnTheSameServer(t *testing.T) {
	t.Parallel()
	s := newProduction(t, LocalAll, productionHost).fill()
	s.e.guard.SetHosts([]string{"new.example"}) // a reload
	s.untilHosts(productionHost, "new.example")
	s.stop()
	s.hosts = []string{"newer.example"}
	s.ready()
	s.untilMember()
	s.untilHosts(productionHost, "new.example", "newer.example")
	if s.logs.count("guest") > 0 {
		t.Error("it was a guest")
	}
	// Somebody takes the hosts away.
	s.changeIdentity(func(f *identity.File) { f.Hosts, f.Added = []string{"evil.example"}, nil })
	s.untilHosts("evil.example", "newer.example")
	if s.e.Stats().Guest {
		t.Error("a member became a guest")
	}
}

// A guest remembers a bounded number of changes, and stores all that it has when it is
// a member.
func TestGuestForgets(t *testing.T) {
	t.Parallel()
	prod := newProduction(t, LocalOwn, productionHost).fill()
	s := prod.copied("cp -a", stagingHost)
	s.start()
	s.untilGuest()
	const most, many = 300, 700
	s.e.queue.Lock()
	s.e.guestMost = most
	s.e.queue.Unlock()
	for i := range many {
		mustDo(t, os.WriteFile(s.path(fmt.Sprintf("n-%d.jpg", i)), nil, 0o644))
	}
	mustDo(t, s.request(func() {}))
	if n := s.e.queue.Len(); n > most+200 {
		t.Errorf("%d changes are remembered", n)
	}
	mustDo(t, s.e.guard.Adopt(t.Context()))
	s.untilMember()
	if n := len(prod.objects()); n < many {
		t.Errorf("%d objects", n)
	}
}
