package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// hosts are the hosts in an identity: see membership.
type hosts struct {
	// Hosts are those that the site was written for.
	Hosts hostList `json:"hosts,omitempty"`
	// Added tells of them when and by whom.
	Added hostNotes `json:"added,omitempty"`
	// Forgotten are hosts that the admin took away, the latest last. No configuration
	// and no upload adds them again.
	Forgotten hostList `json:"forgotten,omitempty"`
}

// maxHosts bounds the hosts of an identity, and those that were forgotten.
const maxHosts = 1000

// hostList is a list of hosts as anybody may have written it.
type hostList []string

// UnmarshalJSON takes the hosts out of what stands there; it never fails.
func (l *hostList) UnmarshalJSON(data []byte) error {
	var values []any
	_ = json.Unmarshal(data, &values) // no list: none
	var list []string
	for _, v := range values {
		if s, ok := v.(string); ok {
			list = append(list, s)
		}
	}
	*l = checkedHosts(list)
	return nil
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

// hostNote tells how a host came into an identity.
type hostNote struct {
	Time time.Time `json:"t"`
	By   string    `json:"by,omitempty"` // the machine's name
}

// hostNotes are those of hosts, as anybody may have written them.
type hostNotes map[string]hostNote

// UnmarshalJSON takes the notes out of what stands there; it never fails.
func (n *hostNotes) UnmarshalJSON(data []byte) error {
	var values map[string]json.RawMessage
	_ = json.Unmarshal(data, &values) // no object: none
	*n = make(hostNotes)
	for host, value := range values {
		var note hostNote
		if json.Unmarshal(value, &note) == nil && isMachineName(note.By) {
			(*n)[host] = note
		}
	}
	return nil
}

// machineName is the name of this machine, "" if it has none that can be told.
func machineName() string {
	name, err := os.Hostname()
	if err != nil || !isMachineName(name) {
		return ""
	}
	return name
}

// isMachineName reports whether a text can be the name of a machine, or is empty.
func isMachineName(s string) bool {
	const longest = 64 // Linux knows no longer one
	return len(s) <= longest && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// check drops what does not fit together.
func (h *hosts) check() {
	h.Forgotten = slices.DeleteFunc(h.Forgotten, func(host string) bool { return slices.Contains(h.Hosts, host) })
	for host := range h.Added {
		if !slices.Contains(h.Hosts, host) {
			delete(h.Added, host)
		}
	}
}

// add adds those hosts that are not the site's, and reports whether there were any.
func (h *hosts) add(hosts []string) bool {
	had := len(h.Hosts)
	h.Hosts = checkedHosts(append(h.Hosts, hosts...))
	for _, host := range h.Hosts[had:] {
		if h.Added == nil {
			h.Added = make(hostNotes)
		}
		h.Added[host] = hostNote{time.Now().UTC().Truncate(time.Second), machineName()}
	}
	return len(h.Hosts) > had
}

// forget takes a host away for good.
func (h *hosts) forget(host string) {
	h.Hosts = slices.DeleteFunc(h.Hosts, func(x string) bool { return x == host })
	delete(h.Added, host)
	h.Forgotten = append(h.Forgotten, host)
	if over := len(h.Forgotten) - maxHosts; over > 0 {
		h.Forgotten = h.Forgotten[over:]
	}
}

// remember lets hosts be added again.
func (h *hosts) remember(hosts []string) (changed bool) {
	had := len(h.Forgotten)
	h.Forgotten = slices.DeleteFunc(h.Forgotten, func(host string) bool { return slices.Contains(hosts, host) })
	return len(h.Forgotten) < had
}

// lacks are those hosts that are to be added.
func (h *hosts) lacks(hosts []string) (lacking []string) {
	for _, host := range hosts {
		if !slices.Contains(h.Hosts, host) && !slices.Contains(h.Forgotten, host) {
			lacking = append(lacking, host)
		}
	}
	return lacking
}

// Host is a host of the site.
type Host struct {
	Name  string
	Added time.Time // zero: unknown
	By    string    // the machine that added it; "": unknown
}

// Site is what the bucket says of the site that it belongs to.
type Site struct {
	ID    string
	Hosts []Host
	// Forgotten are hosts that the admin took away.
	Forgotten []string
}

// Site returns what the bucket says now.
func (g *Guard) Site(ctx context.Context) (Site, error) {
	f, err := g.fileNow(ctx)
	if err != nil {
		return Site{}, err
	}
	id := Site{ID: f.ID, Forgotten: f.Forgotten}
	for _, host := range f.Hosts {
		id.Hosts = append(id.Hosts, Host{Name: host, Added: f.Added[host].Time, By: f.Added[host].By})
	}
	return id, nil
}

// fileNow looks at the bucket and returns its identity.
func (g *Guard) fileNow(ctx context.Context) (File, error) {
	if err := g.Check(ctx); err != nil {
		return File{}, err
	}
	m := &g.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.site, nil
}

// ForgetHost takes a host from the site: whose configuration names no other one of its
// hosts is a guest from its next start on, also if it was a member before.
func (g *Guard) ForgetHost(ctx context.Context, host string) error {
	name, ok := media.HostName(host)
	if !ok {
		return fmt.Errorf("%q is no name of a host, as staging.example.com", host)
	}
	if slices.Contains(g.membership.hosts(), name) {
		return fmt.Errorf("this server's own configuration names it: where %s is not the site's, take it out there first, or run this on another server", name)
	}
	err := g.changeHosts(ctx, func(f *File) error {
		switch {
		case !slices.Contains(f.Hosts, name):
			return fmt.Errorf("%s is not one of the site's hosts", name)
		case len(f.Hosts) == 1:
			return fmt.Errorf("%s is the last of the site's hosts: without one every server would be the site's; add the right one first, by `media-offload site add`", name)
		}
		f.forget(name)
		return nil
	})
	if err == nil {
		g.cfg.Log().Info("the site has a host less; a server that runs for it is a member until its next start", "host", name, keyBucket, g.cfg.Store.String())
	}
	return err
}

// AddHost adds a host to the site, also one that was forgotten.
func (g *Guard) AddHost(ctx context.Context, host string) error {
	name, ok := media.HostName(host)
	if !ok {
		return fmt.Errorf("%q is no name of a host, as www.example.com", host)
	}
	return g.changeHosts(ctx, func(f *File) error {
		f.remember([]string{name})
		if !f.add([]string{name}) {
			return fmt.Errorf("%s is one of the site's hosts already, or it has %d", name, maxHosts)
		}
		return nil
	})
}

// changeHosts changes the hosts of the identity, at the admin's word, and looks at what
// has become of it.
func (g *Guard) changeHosts(ctx context.Context, change func(f *File) error) error {
	if _, err := g.fileNow(ctx); err != nil {
		return err
	}
	if err := g.MayChange(); err != nil {
		return err
	}
	var refused error
	err := g.changeSite(ctx, func(f *File) bool {
		refused = change(f)
		return refused == nil
	})
	if err := errors.Join(refused, err); err != nil {
		return err
	}
	return g.Check(ctx)
}

// NameHosts adds to the identity the hosts that it lacks.
func (g *Guard) NameHosts(ctx context.Context) {
	m := &g.membership
	hosts := m.unnamed(g.cfg.Look)
	if len(hosts) == 0 || g.Away() != nil {
		return
	}
	var added []string
	err := g.changeSite(ctx, func(f *File) bool {
		added = f.lacks(hosts)
		return f.add(added)
	})
	m.mu.Lock()
	had := m.failed
	m.tried, m.failed = time.Now(), err != nil
	m.mu.Unlock()
	if err != nil {
		if !had {
			g.cfg.Log().Warn("the site's hosts could not be noted in the bucket; that is tried again", keyBucket, g.cfg.Store.String(), keyError, err)
		}
		return
	}
	if len(added) > 0 {
		g.cfg.Log().Info("the site has a new host: any server whose configuration names it is one of the site's from now on; "+
			"`media-offload site forget` takes it back", "hosts", added, keyBucket, g.cfg.Store.String())
	}
	if err := g.Check(ctx); err != nil {
		g.cfg.Log().Debug("looking at the bucket's identity", keyError, err)
	}
}

// unnamed are hosts that the identity lacks, if it is time to name them.
func (m *membership) unnamed(every time.Duration) (hosts []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proof == "" || !m.is(memberRole) || time.Since(m.tried) < every || len(m.site.Hosts) >= maxHosts {
		return nil
	}
	return m.site.lacks(slices.Concat(m.configured, m.served))
}

// changeSite changes the identity, unless change finds that nothing is to be done. Who
// changes it at the same time is heard.
func (g *Guard) changeSite(ctx context.Context, change func(f *File) bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for range maxTurns {
		data, etag, err := g.readSite(ctx)
		if err != nil {
			return err
		}
		f, err := ParseFile(data)
		if err != nil || !change(&f) {
			return err
		}
		err = g.writeSite(ctx, f, bucket.PutOptions{IfMatch: etag})
		if errors.Is(err, bucket.ErrUnsupported) { // one node, then
			err = g.writeSite(ctx, f, bucket.PutOptions{})
		}
		if !errors.Is(err, bucket.ErrChanged) {
			return err
		}
	}
	return errors.New("the identity changes all the time")
}
