package offload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// The identity names the hosts of the site that a bucket belongs to. A node is a
// member if there is proof that it serves that site; else it is a guest, as a staging
// copy is: it reads, its pages name nothing of the bucket, what its app writes stays
// on its disk, and it changes no object.
//
// A guest's work has not begun: nothing is compared, no item is worked on, no request
// waits, and what would change the bucket all the same is refused by guard. When it
// becomes a member it begins, with what was written meanwhile. A member never becomes
// a guest while it runs.
//
// What proves that a node is a member:
//
//   - it made the identity;
//   - its configuration names one of the hosts;
//   - it was a member before, by a note on its root that holds for this disk, path and
//     machine only: a copy of the disk has the note, too, and says nothing by it;
//   - an upload came for one of the hosts: a request that brought a file's name, after
//     which the app wrote a file of that name. A Host header alone is anybody's;
//   - the admin said so, see Adopt.
//
// An identity without hosts is that of a site whose configuration names none, or was
// made by an older program. It knows nobody, so that whoever uses it is a member, as
// without hosts there were no guests. A disk that it knew before is proof then.
//
// A member whose place is proven has the hosts of its configuration added to the
// identity; if that names none, those that uploads come for. So where hosts are
// configured no request has a say.
//
// (Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one.")

// ErrGuest: this node is a guest in the bucket, and changes nothing there.
var ErrGuest = errors.New("this server is a guest in the bucket and changes nothing there; its status says why, and what to do")

// role is what a node is in its bucket.
type role int32

const (
	unknownRole role = iota // the identity has not been read yet
	guestRole
	memberRole
)

// maxHosts bounds the hosts of an identity.
const maxHosts = 1000

// maxGuestItems bounds the changes that a guest remembers; what is beyond is found by
// the comparison, should it become a member.
const maxGuestItems = 10_000

// membership is what is known of a node's role.
type membership struct {
	role     atomic.Int32
	before   func() bool  // whether an earlier process was a member
	most     int          // maxGuestItems, or less in a test; guarded by queue.mu
	vouching atomic.Int64 // requests whose uploads may prove something

	mu         sync.Mutex
	configured []string  // hosts that the configuration names
	site       siteFile  // the identity as it was read last
	knew       bool      // an earlier process has noted it
	proven     bool      // that this node is a member
	noted      string    // the site that it is noted to be a member of
	served     []string  // hosts of uploads
	tried      time.Time // when hosts were to be added to the identity last
	failed     bool      // and could not be
}

func (m *membership) is(r role) bool { return role(m.role.Load()) == r }

// isGuest reports whether this node must not change the bucket.
func (e *Engine) isGuest() bool { return e.membership.is(guestRole) }

// Guest reports whether this node is a guest in the bucket: see Stats.
func (e *Engine) Guest() bool { return e.isGuest() }

// mayChange is the one answer to whether this node may change an object.
func (e *Engine) mayChange() error {
	if e.isGuest() {
		return ErrGuest
	}
	return nil
}

// namesObjects reports whether pages may name what the bucket has.
func (e *Engine) namesObjects() bool {
	if e.membership.is(unknownRole) {
		return e.membership.before()
	}
	return !e.isGuest()
}

// memberNote stands on the root of a member.
func (e *Engine) memberNote(id string) string { return "1 " + id + " " + e.team.self() }

func (e *Engine) notedMember() string { return e.trees[0].DirNote("", local.AttrMember) }

// wasMember reports whether an earlier process on this disk was a member, of
// whatever site the files' marks are about.
func (e *Engine) wasMember() bool {
	return strings.HasSuffix(e.notedMember(), " "+e.team.self())
}

// SetHosts says which hosts the configuration names. It may be called again with each
// new configuration.
func (e *Engine) SetHosts(hosts []string) {
	var names []string
	for _, host := range hosts {
		if name, ok := media.HostName(host); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	m := &e.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	m.configured = names
	e.settleRole()
}

// hosts are those that the configuration names.
func (m *membership) hosts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return checkedHosts(m.configured)
}

// judgeRole takes note of an identity that was read; knew says that an earlier
// process has noted it.
func (e *Engine) judgeRole(found siteFile, knew bool) {
	m := &e.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	m.site, m.knew = found, knew
	e.settleRole()
}

// prove notes that this node is a member, whatever the hosts are.
func (e *Engine) prove() {
	m := &e.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proven = true
	e.settleRole()
}

// settleRole decides by what is known now. The caller holds mu.
func (e *Engine) settleRole() {
	m := &e.membership
	if m.site.ID == "" {
		return
	}
	nobody := len(m.site.Hosts) == 0
	m.proven = m.proven || nobody && m.knew || slices.ContainsFunc(m.configured, m.isSites) ||
		e.notedMember() == e.memberNote(m.site.ID)
	switch {
	case m.proven || nobody:
		e.becomeMember()
	case m.role.CompareAndSwap(int32(unknownRole), int32(guestRole)):
		e.queue.giveUp(nil)
		e.log().Warn(m.advice(), keyBucket, e.store.String())
	}
	if !m.proven || m.noted == m.site.ID {
		return
	}
	m.noted = m.site.ID
	if err := e.trees[0].SetDirNote("", local.AttrMember, e.memberNote(m.site.ID)); err != nil {
		e.log().Debug("noting that this server is one of the site's", keyDir, e.trees[0].Dir(), keyError, err)
	}
}

// isSites reports whether a host is the site's. The caller holds mu.
func (m *membership) isSites(host string) bool { return slices.Contains(m.site.Hosts, host) }

// becomeMember lets the work begin. What a guest deleted is not passed on: nobody
// knew whose files those are.
func (e *Engine) becomeMember() {
	e.queue.mu.Lock()
	was := role(e.membership.role.Swap(int32(memberRole)))
	if was == guestRole {
		e.queue.forget(func(it *item) bool { return it.gone || it.kind == aDirGone })
	}
	e.queue.mu.Unlock()
	if was == memberRole {
		return
	}
	e.index.changes.Add(1) // pages name objects from now on
	if was == guestRole {
		e.log().Info("this server is one of the site's now: what it has is compared with the bucket and stored", keyBucket, e.store.String())
		e.queue.allDue(time.Now())
		e.recon.want(everything, window{})
	}
}

// forget drops the items that are to be dropped and are not being worked on. The
// caller holds mu.
func (q *queue) forget(drop func(*item) bool) {
	for _, it := range q.items {
		if drop(it) && !it.running() {
			q.satisfy(it, it.gen, nil)
			q.unschedule(it)
			it.move = nil // what it waited for does not bring it back
			q.remove(it)
		}
	}
}

// advice says why a node is a guest, and what to do. The caller holds mu.
func (m *membership) advice() string {
	own, otherwise := "no host", "It is one of the site's from its first upload for one of these hosts on, or at once"
	if len(m.configured) > 0 {
		own, otherwise = someOf(m.configured), "That is right for a staging copy. If it is the same site"
	}
	return fmt.Sprintf("this server is a guest in the bucket, which belongs to the site %s, while its configuration names %s: "+
		"it reads, changes nothing in the bucket, and what its app writes stays on this disk alone. "+
		"%s: write `site_hosts %s`, or run `media-offload adopt`",
		someOf(m.site.Hosts), own, otherwise, m.site.Hosts[0])
}

// someOf names the first of many hosts.
func someOf(hosts []string) string {
	const few = 3
	if len(hosts) <= few {
		return strings.Join(hosts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(hosts[:few], ", "), len(hosts)-few)
}

// guestReason says why this node is a guest, and what to do; "" if it is none.
func (e *Engine) guestReason() string {
	if !e.isGuest() {
		return ""
	}
	m := &e.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.site.Hosts) == 0 {
		return ""
	}
	return m.advice()
}

// For notes the host that the request is for. To be called before Ready.
func (r *Request) For(host string) {
	name, ok := media.HostName(host)
	if !ok || r.vouches != "" || !r.e.membership.asks(name) {
		return
	}
	r.vouches = name
	r.e.membership.vouching.Add(1)
}

// asks reports whether an upload for a host would prove anything new.
func (m *membership) asks(host string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.site.ID == "":
		return true
	case m.isSites(host):
		return !m.proven
	case slices.Contains(m.served, host):
		return false
	}
	return m.serves(host)
}

// serves reports whether an upload for a host that is not the site's shows that it
// should be. The caller holds mu.
func (m *membership) serves(host string) bool {
	switch {
	case !m.is(memberRole):
		return false
	case len(m.configured) == 0:
		return true
	}
	return !m.proven && slices.Contains(m.configured, host)
}

// noteUploads notes on the requests that brought the names of files that these were
// written.
func (e *Engine) noteUploads(events []watch.Event) {
	for _, ev := range events {
		key := e.site.Key(ev.Root, ev.Path)
		if ev.Op == watch.Gone || ev.Op == watch.DirGone || ev.Op == watch.Rescan ||
			media.CheckKey(key) != nil || e.site.Class(key, nil) == media.Ignored {
			continue
		}
		e.admitted.bringing(key, func(n *requestNames) bool {
			n.uploaded = true
			return true
		})
	}
}

// vouch proves what the request's upload proves. All events until now are noted.
func (r *Request) vouch() {
	n := &r.names
	n.mu.Lock()
	uploaded := n.uploaded
	n.mu.Unlock()
	if r.vouches == "" || !uploaded {
		return
	}
	e, m := r.e, &r.e.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.isSites(r.vouches):
	case !m.serves(r.vouches) || slices.Contains(m.served, r.vouches) || len(m.served) >= maxHosts:
		return
	default:
		m.served = append(m.served, r.vouches)
	}
	m.proven = true
	e.settleRole()
}

// unnamed are hosts that the identity lacks, if it is time to name them.
func (m *membership) unnamed(every time.Duration) (hosts []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.proven || !m.is(memberRole) || time.Since(m.tried) < every || len(m.site.Hosts) >= maxHosts {
		return nil
	}
	for _, host := range slices.Concat(m.configured, m.served) {
		if !m.isSites(host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// nameHosts adds to the identity the hosts that it lacks.
func (e *Engine) nameHosts(ctx context.Context) {
	m := &e.membership
	hosts := m.unnamed(e.cfg.Look)
	if len(hosts) == 0 || e.awayReason() != nil {
		return
	}
	err := e.changeSite(ctx, func(f *siteFile) bool {
		had := len(f.Hosts)
		f.Hosts = checkedHosts(append(f.Hosts, hosts...))
		return len(f.Hosts) > had
	})
	m.mu.Lock()
	had := m.failed
	m.tried, m.failed = time.Now(), err != nil
	m.mu.Unlock()
	if err != nil {
		if !had {
			e.log().Warn("the site's hosts could not be noted in the bucket; that is tried again", keyBucket, e.store.String(), keyError, err)
		}
		return
	}
	if err := e.checkIdentity(ctx); err != nil {
		e.log().Debug("looking at the bucket's identity", keyError, err)
	}
}

// changeSite changes the identity, unless change finds that nothing is to be done. Who
// changes it at the same time is heard.
func (e *Engine) changeSite(ctx context.Context, change func(f *siteFile) bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for range maxTurns {
		data, etag, err := e.readSite(ctx)
		if err != nil {
			return err
		}
		f, err := parseSiteFile(data)
		if err != nil || !change(&f) {
			return err
		}
		err = e.writeSite(ctx, f, bucket.PutOptions{IfMatch: etag})
		if errors.Is(err, bucket.ErrUnsupported) { // one node, then
			err = e.writeSite(ctx, f, bucket.PutOptions{})
		}
		if !errors.Is(err, bucket.ErrChanged) {
			return err
		}
	}
	return errors.New("the identity changes all the time")
}

// checkedHosts are those of a list that are names of hosts, each once, and no more than
// an identity has. Anybody may have written the list who can write to the bucket.
func checkedHosts(list []string) (hosts []string) {
	seen := make(map[string]struct{})
	for _, host := range list {
		name, ok := media.HostName(host)
		if _, twice := seen[name]; !ok || twice || name != host {
			continue
		}
		seen[name] = struct{}{}
		if hosts = append(hosts, name); len(hosts) == maxHosts {
			break
		}
	}
	return hosts
}
