package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
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
//     machine only: a copy of the disk has the note, too, and says nothing by it. Nor
//     does the note of a node whose host the admin has had forgotten since;
//   - its configuration names no host, and an upload came for one of them: a request
//     that brought a file's name, after which the app wrote a file of that name. A Host
//     header alone is anybody's;
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

// membership is what is known of a node's role.
type membership struct {
	role     atomic.Int32
	before   func() bool  // whether an earlier process was a member
	expected atomic.Int64 // requests whose uploads may prove something

	mu         sync.Mutex
	configured []string  // hosts that the configuration names
	site       File      // the identity as it was read last
	knew       bool      // an earlier process has noted it
	proof      string    // why this node is a member; "": nothing proves it
	noted      string    // the site that it is noted to be a member of
	warned     bool      // that its host was forgotten
	served     []string  // hosts of uploads
	tried      time.Time // when hosts were to be added to the identity last
	failed     bool      // and could not be
}

func (m *membership) is(r role) bool { return role(m.role.Load()) == r }

// IsGuest reports whether this node must not change the bucket.
func (g *Guard) IsGuest() bool { return g.membership.is(guestRole) }

// IsMember reports whether it is known that this node may change the bucket.
func (g *Guard) IsMember() bool { return g.membership.is(memberRole) }

// MayChange is the one answer to whether this node may change an object.
func (g *Guard) MayChange() error {
	if g.IsGuest() {
		return ErrGuest
	}
	return nil
}

// NamesObjects reports whether pages may name what the bucket has.
func (g *Guard) NamesObjects() bool {
	if g.membership.is(unknownRole) {
		return g.membership.before()
	}
	return !g.IsGuest()
}

// memberNote stands on the root of a member, guestNote on that of a guest that never
// was one, joiningNote on that of a member that has been a guest since its disk was
// compared with the bucket last, or is one again.
func (g *Guard) memberNote(id string) string  { return noteMember + id + " " + g.cfg.Node.Name() }
func (g *Guard) guestNote(id string) string   { return noteGuest + id + " " + g.cfg.Node.Name() }
func (g *Guard) joiningNote(id string) string { return noteJoining + id + " " + g.cfg.Node.Name() }

// How the notes begin.
const noteMember, noteGuest, noteJoining = "1 ", "0 ", "2 "

func (g *Guard) notedRole() string { return g.cfg.Roots[0].DirNote("", local.AttrMember) }

func (g *Guard) noteRole(note string) {
	if err := g.cfg.Roots[0].SetDirNote("", local.AttrMember, note); err != nil {
		g.cfg.Log().Debug("noting whether this server is one of the site's", keyDir, g.cfg.Roots[0].Dir(), keyError, err)
	}
}

// wasMember reports whether an earlier process on this disk was a member, of
// whatever site the files' marks are about.
func (g *Guard) wasMember() bool {
	note := g.notedRole()
	return (strings.HasPrefix(note, noteMember) || strings.HasPrefix(note, noteJoining)) && strings.HasSuffix(note, " "+g.cfg.Node.Name())
}

// SetHosts says which hosts the configuration names. It may be called again with each
// new configuration.
func (g *Guard) SetHosts(hosts []string) {
	var names []string
	for _, host := range hosts {
		if name, ok := media.HostName(host); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	m := &g.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	m.configured = names
	g.settleRole()
}

// hosts are those that the configuration names.
func (m *membership) hosts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return checkedHosts(m.configured)
}

// judgeRole takes note of an identity that was read; knew says that an earlier
// process has noted it.
func (g *Guard) judgeRole(found File, knew bool) {
	m := &g.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	m.site, m.knew = found, knew
	g.settleRole()
}

// prove notes why this node is a member, whatever the hosts are.
func (g *Guard) prove(why string) {
	m := &g.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proof = why
	g.settleRole()
}

// settleRole decides by what is known now. The caller holds mu.
func (g *Guard) settleRole() {
	m := &g.membership
	if m.site.ID == "" {
		return
	}
	noted, nobody := g.notedRole(), len(m.site.Hosts) == 0
	member, guest, joins := g.memberNote(m.site.ID), g.guestNote(m.site.ID), g.joiningNote(m.site.ID)
	if m.proof == "" {
		m.proof = m.findProof(noted == member || noted == joins)
	}
	switch {
	case m.proof != "" || nobody:
		if g.becomeMember(noted == guest || noted == joins) {
			g.cfg.Log().Warn(m.joined(), keyBucket, g.cfg.Store.String())
		}
		g.warnForgotten()
	case m.role.CompareAndSwap(int32(unknownRole), int32(guestRole)):
		g.cfg.Node.BecomeGuest()
		if noted == member || noted == joins {
			g.noteRole(joins)
		} else {
			g.noteRole(guest)
		}
		g.cfg.Log().Warn(m.advice(), keyBucket, g.cfg.Store.String())
	}
	if m.proof != "" && m.noted != m.site.ID {
		m.noted = m.site.ID
		if g.cfg.Node.Joins() {
			member = joins
		}
		g.noteRole(member)
	}
}

// findProof looks for what proves that this node is a member, as its disk was before or
// not. The caller holds mu.
func (m *membership) findProof(before bool) string {
	for _, host := range m.configured {
		if m.isSites(host) {
			return "its configuration names " + host
		}
	}
	switch {
	case len(m.site.Hosts) == 0 && m.knew:
		return "the site has no hosts, and this disk has its files"
	case before && !m.forgotten():
		return "it was one before"
	}
	return ""
}

// forgotten reports whether the admin has said that this node's host is not the site's.
// The caller holds mu.
func (m *membership) forgotten() bool {
	return !slices.ContainsFunc(m.configured, m.isSites) &&
		slices.ContainsFunc(m.configured, func(host string) bool { return slices.Contains(m.site.Forgotten, host) })
}

// warnForgotten says once that this node is a member until its next start only. The
// caller holds membership.mu.
func (g *Guard) warnForgotten() {
	m := &g.membership
	if m.warned || !m.forgotten() {
		return
	}
	m.warned = true
	g.cfg.Log().Warn("the hosts of this server's configuration were taken from the site's: from its next start it is a guest. "+
		"Until then what its app does happens in production, too: if it is a staging copy, restart it now",
		"hosts", someOf(m.configured), keyBucket, g.cfg.Store.String())
}

// joined says what it means that a guest is a member now. The caller holds mu.
func (m *membership) joined() string {
	return fmt.Sprintf("this server was a guest and is one of the site's from now on, as %s: what its app uploads, changes and deletes "+
		"happens in production, too. What only its disk has is stored in the bucket; of what its app changed as a guest production's file "+
		"stays, and this disk's content is kept below offload/conflict/; what it deleted as a guest is there again. "+
		"If it is a staging copy, stop it, and run `media-offload site forget` with its host on a server of production",
		cmp.Or(m.proof, "the site has no hosts any more"))
}

// isSites reports whether a host is the site's. The caller holds mu.
func (m *membership) isSites(host string) bool { return slices.Contains(m.site.Hosts, host) }

// becomeMember lets the work begin, and reports whether the node joins: it was a guest
// until now, or, if the role was not known yet, its disk is a guest's.
func (g *Guard) becomeMember(guestsDisk bool) (joins bool) {
	was := role(g.membership.role.Load())
	if was == memberRole {
		return false
	}
	joins = was == guestRole || guestsDisk
	g.cfg.Node.BecomeMember(was == guestRole, joins, func() { g.membership.role.Store(int32(memberRole)) })
	return joins
}

// Joined notes that all has been compared that was on the disk when this node became a
// member.
func (g *Guard) Joined() {
	m := &g.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proof == "" {
		g.noteRole("") // the site has no hosts, and knows nobody
		return
	}
	g.noteRole(g.memberNote(m.site.ID))
}

// adoptAsGuest makes a member of a guest, at the admin's word; if its hosts were
// forgotten they are the site's again.
func (g *Guard) adoptAsGuest(ctx context.Context) error {
	hosts := g.membership.hosts()
	if err := g.changeSite(ctx, func(f *File) bool { return f.remember(hosts) }); err != nil {
		return fmt.Errorf("joining the site: %w", err)
	}
	if err := g.lookAtIdentity(ctx); err != nil {
		return fmt.Errorf("joining the site: %w", err)
	}
	g.prove(adopted)
	return nil
}

// adopted is what the admin's word proves.
const adopted = "it was told to by `media-offload adopt`"

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

// GuestReason says why this node is a guest, and what to do; "" if it is none.
func (g *Guard) GuestReason() string {
	if !g.IsGuest() {
		return ""
	}
	m := &g.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.site.Hosts) == 0 {
		return ""
	}
	return m.advice()
}

// Expect reports whether an upload for a host would prove anything. If so, the caller
// calls Expected when its request has ended.
func (g *Guard) Expect(host string) bool {
	if !g.membership.asks(host) {
		return false
	}
	g.membership.expected.Add(1)
	return true
}

// Expected ends what Expect began.
func (g *Guard) Expected() { g.membership.expected.Add(-1) }

// Expects reports whether uploads are under way that may prove something.
func (g *Guard) Expects() bool { return g.membership.expected.Load() > 0 }

// asks reports whether an upload for a host would prove anything new.
func (m *membership) asks(host string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.site.ID == "":
		return true
	case m.isSites(host):
		return m.proof == "" && len(m.configured) == 0
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
	return m.proof == "" && slices.Contains(m.configured, host)
}

// Vouch takes note of an upload that came for a host: a request that brought a file's name,
// after which the app wrote a file of that name.
func (g *Guard) Vouch(host string) {
	m := &g.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.isSites(host):
		if len(m.configured) > 0 { // it says itself which hosts it is for
			return
		}
	case !m.serves(host) || slices.Contains(m.served, host) || len(m.served) >= maxHosts:
		return
	default:
		m.served = append(m.served, host)
	}
	m.proof = cmp.Or(m.proof, "an upload came for "+host)
	g.settleRole()
}
