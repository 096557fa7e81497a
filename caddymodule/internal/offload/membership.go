package offload

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
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/deletes"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
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

// maxGuestItems bounds the changes that a guest remembers; what is beyond is found by
// the comparison, should it become a member.
const maxGuestItems = 10_000

// membership is what is known of a node's role.
type membership struct {
	role     atomic.Int32
	before   func() bool  // whether an earlier process was a member
	most     int          // maxGuestItems, or less in a test; guarded by the queue's lock
	vouching atomic.Int64 // requests whose uploads may prove something

	mu         sync.Mutex
	configured []string  // hosts that the configuration names
	site       siteFile  // the identity as it was read last
	knew       bool      // an earlier process has noted it
	proof      string    // why this node is a member; "": nothing proves it
	noted      string    // the site that it is noted to be a member of
	warned     bool      // that its host was forgotten
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

// memberNote stands on the root of a member, guestNote on that of a guest that never
// was one, joiningNote on that of a member that has been a guest since its disk was
// compared with the bucket last, or is one again.
func (e *Engine) memberNote(id string) string  { return noteMember + id + " " + e.team.self() }
func (e *Engine) guestNote(id string) string   { return noteGuest + id + " " + e.team.self() }
func (e *Engine) joiningNote(id string) string { return noteJoining + id + " " + e.team.self() }

// How the notes begin.
const noteMember, noteGuest, noteJoining = "1 ", "0 ", "2 "

func (e *Engine) notedRole() string { return e.trees[0].DirNote("", local.AttrMember) }

func (e *Engine) noteRole(note string) {
	if err := e.trees[0].SetDirNote("", local.AttrMember, note); err != nil {
		e.log().Debug("noting whether this server is one of the site's", keyDir, e.trees[0].Dir(), keyError, err)
	}
}

// wasMember reports whether an earlier process on this disk was a member, of
// whatever site the files' marks are about.
func (e *Engine) wasMember() bool {
	note := e.notedRole()
	return (strings.HasPrefix(note, noteMember) || strings.HasPrefix(note, noteJoining)) && strings.HasSuffix(note, " "+e.team.self())
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

// prove notes why this node is a member, whatever the hosts are.
func (e *Engine) prove(why string) {
	m := &e.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proof = why
	e.settleRole()
}

// settleRole decides by what is known now. The caller holds mu.
func (e *Engine) settleRole() {
	m := &e.membership
	if m.site.ID == "" {
		return
	}
	noted, nobody := e.notedRole(), len(m.site.Hosts) == 0
	member, guest, joins := e.memberNote(m.site.ID), e.guestNote(m.site.ID), e.joiningNote(m.site.ID)
	if m.proof == "" {
		m.proof = m.findProof(noted == member || noted == joins)
	}
	switch {
	case m.proof != "" || nobody:
		if e.becomeMember(noted == guest || noted == joins) {
			e.log().Warn(m.joined(), keyBucket, e.store.String())
		}
		e.warnForgotten()
	case m.role.CompareAndSwap(int32(unknownRole), int32(guestRole)):
		e.becomeGuest()
		if noted == member || noted == joins {
			e.noteRole(joins)
		} else {
			e.noteRole(guest)
		}
		e.log().Warn(m.advice(), keyBucket, e.store.String())
	}
	if m.proof != "" && m.noted != m.site.ID {
		m.noted = m.site.ID
		if !e.joining.isOver() {
			member = joins
		}
		e.noteRole(member)
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
func (e *Engine) warnForgotten() {
	m := &e.membership
	if m.warned || !m.forgotten() {
		return
	}
	m.warned = true
	e.log().Warn("the hosts of this server's configuration were taken from the site's: from its next start it is a guest. "+
		"Until then what its app does happens in production, too: if it is a staging copy, restart it now",
		"hosts", someOf(m.configured), keyBucket, e.store.String())
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

// becomeGuest ends the waits of requests, and keeps what has been deleted until now.
func (e *Engine) becomeGuest() {
	e.queue.GiveUp(nil)
	e.queue.Lock()
	defer e.queue.Unlock()
	for it := range e.queue.All() {
		if s := it.Task(); s.IsDelete() && !it.Fresh {
			e.guest.Add(deletes.File{Key: it.Key, Root: it.Root}, it.Kind == work.DirGone, it.In, it.InRequest)
		}
	}
}

// becomeMember lets the work begin, and reports whether the node joins: it was a guest
// until now, or, if the role was not known yet, its disk is a guest's. What a guest deleted
// is not passed on: nobody knew whose files those are.
func (e *Engine) becomeMember(guestsDisk bool) (joins bool) {
	e.queue.Lock()
	was := role(e.membership.role.Load())
	joins = was == guestRole || was == unknownRole && guestsDisk
	if joins {
		e.joining.begin()
	}
	e.membership.role.Store(int32(memberRole))
	if was == guestRole {
		e.queue.Forget(func(it *work.Item) bool { return it.Gone() || it.Kind == work.DirGone })
		e.queue.Since(time.Now())
	}
	e.guest.Clear()
	e.guestForgot = 0
	e.queue.Unlock()
	if was == memberRole {
		return false
	}
	e.index.Grew() // pages name objects from now on
	if was == guestRole {
		e.queue.AllDue(time.Now())
		e.recon.want(everything, window{})
	}
	return joins
}

// adoptAsGuest makes a member of a guest, at the admin's word; if its hosts were
// forgotten they are the site's again.
func (e *Engine) adoptAsGuest(ctx context.Context) error {
	hosts := e.membership.hosts()
	if err := e.changeSite(ctx, func(f *siteFile) bool { return f.remember(hosts) }); err != nil {
		return fmt.Errorf("joining the site: %w", err)
	}
	if err := e.lookAtIdentity(ctx); err != nil {
		return fmt.Errorf("joining the site: %w", err)
	}
	e.prove(adopted)
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

// noteUploads notes on the requests that brought the names of files that these were
// written.
func (e *Engine) noteUploads(events []watch.Event) {
	for _, ev := range events {
		key := e.site.Key(ev.Root, ev.Path)
		if ev.Op == watch.Gone || ev.Op == watch.DirGone || ev.Op == watch.Rescan ||
			media.CheckKey(key) != nil || e.site.Class(key, nil) == media.Ignored {
			continue
		}
		e.names.Wrote(key)
	}
}

// vouch proves what the request's upload proves. All events until now are noted.
func (r *Request) vouch() {
	if r.vouches == "" || !r.Wrote() {
		return
	}
	e, m := r.e, &r.e.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.isSites(r.vouches):
		if len(m.configured) > 0 { // it says itself which hosts it is for
			return
		}
	case !m.serves(r.vouches) || slices.Contains(m.served, r.vouches) || len(m.served) >= maxHosts:
		return
	default:
		m.served = append(m.served, r.vouches)
	}
	m.proof = cmp.Or(m.proof, "an upload came for "+r.vouches)
	e.settleRole()
}
