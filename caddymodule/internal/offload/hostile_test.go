package offload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
)

var (
	hostileRuns   = flag.Int("hostile.runs", 1, "campaigns against each kind of bucket")
	hostileRounds = flag.Int("hostile.rounds", 1, "rounds of each")
	hostileSeed   = flag.Uint64("hostile.seed", 0, "run the one campaign of this seed")
)

const (
	// takesUploads is how soon each node takes uploads again after an attack, on a
	// busy machine: leases that an attacker made up last nine seconds at most.
	takesUploads = 40 * time.Second
	// reachable is how long a page may name an object that is not there: a poll is
	// 20 ms here.
	reachable = time.Second
	// secret stands in files beside the media roots.
	secret = "a secret of the app's"
)

// TestHostileBucket lets an attacker write, rename, replace and delete any object in
// the bucket, while apps upload, on three nodes and on one.
//
// Promise 7: "Nothing that a web server might execute or use as configuration […]
// No path leaves a media root […] Whoever can write to the bucket can change media
// and nothing else". Promise 2: "Nothing is lost." What the attacker removed is still
// on a disk, stored again, or in the trash; what it replaced is on a disk, or kept aside.
func TestHostileBucket(t *testing.T) {
	t.Parallel()
	for _, local := range []LocalPolicy{LocalAll, LocalOwn} {
		for _, store := range []string{"directory", "memory"} {
			for i := range *hostileRuns {
				seed := uint64(1) // what a single run searches is to be the same each time
				switch {
				case *hostileSeed != 0:
					seed = *hostileSeed
				case *hostileRuns > 1:
					seed = uint64(time.Now().UnixNano()) + uint64(i)
				}
				t.Run(fmt.Sprintf("%s/%s/seed=%d", local, store, seed), func(t *testing.T) {
					t.Parallel()
					newSiege(t, seed, local, store).run()
				})
			}
		}
	}
}

// siege is one campaign.
type siege struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	local  LocalPolicy
	ns     nodes
	in     breakIn
	// beside are directories whose content nobody may touch.
	beside []string
	before map[string]string // what is beside, and its content
	spared bool              // the identity, in this round: without it no upload is taken

	mu     sync.Mutex
	files  map[string]*appFile
	doubts map[string]bool // keys of requests that failed
	attack map[string]harm // by key
	told   map[string]bool // keys of files and directories that the log was made to call deleted
	deaf   bool            // entries of the log were taken away or replaced: nodes may not have heard of files
	lines  []string        // what the attacker did, for the log of a failure
	asides map[string]bool // keys whose content kept aside was attacked
	// compared: disk and bucket were compared since the attack.
	compared bool

	acknowledged, refused, attacks int
	slowest                        time.Duration // until a node took uploads again
}

// appFile is a file that an app has been told is stored, or, with local own, that it
// has on its disk.
type appFile struct{ content string }

// harm is what the attacker did to the object of a key.
type harm uint8

const (
	taken harm = 1 << iota
	replaced
)

// appDirs are where the apps' files are.
var appDirs = []string{"2026/11", "cache", "closed", "private"}

func newSiege(t *testing.T, seed uint64, local LocalPolicy, store string) *siege {
	w := &siege{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), local: local,
		files: map[string]*appFile{}, doubts: map[string]bool{}, attack: map[string]harm{}, told: map[string]bool{}, asides: map[string]bool{},
	}
	w.ns = newNodes(t, map[LocalPolicy]int{LocalAll: 3, LocalOwn: 1}[local], func(c *Config) {
		c.Local, c.Look, c.LostAfter = local, 20*time.Millisecond, 200*time.Millisecond
	})
	yard := t.TempDir()
	w.ns[0].bucket = yard + "/bucket"
	outside := []string{"/etc/passwd", yard, yard + "/index.php", "../../../index.php"}
	w.furnish(yard)
	memory := newOpenBucket()
	for _, s := range w.ns {
		doc := t.TempDir()
		w.furnish(doc)
		s.dir, s.bucket, s.keepPrivate = doc+"/media", w.ns[0].bucket, []string{"/private/"}
		outside = append(outside, s.dir, doc)
		for _, dir := range appDirs {
			mustDo(t, os.MkdirAll(s.path(dir), 0o755))
		}
		mustDo(t, os.WriteFile(s.path("closed/.htaccess"), []byte("Require all denied"), 0o644))
		mustDo(t, os.WriteFile(s.path("cache/index.php"), []byte("<?php // "+secret), 0o644))
		if store == "memory" {
			s.store = memory
		}
	}
	w.in = openDir{w.ns[0].bucket, outside}
	if store == "memory" {
		w.in = memory
	}
	w.before = w.surroundings()
	w.ns.ready()
	return w
}

// furnish puts the app's code into a directory.
func (w *siege) furnish(dir string) {
	w.t.Helper()
	w.beside = append(w.beside, dir)
	for name, content := range map[string]string{
		"index.php": "<?php // " + secret, ".htaccess": "Options -Indexes", "wp-config.php": "<?php // " + secret,
		"media.old/a.jpg": "old", "media2/photo.jpg": "beside", "bucket2/media/photo.jpg": "beside",
	} {
		name = filepath.Join(dir, name)
		mustDo(w.t, os.MkdirAll(filepath.Dir(name), 0o755))
		mustDo(w.t, os.WriteFile(name, []byte(content), 0o644))
	}
}

// surroundings is all that is beside the media roots and the bucket, by path.
func (w *siege) surroundings() map[string]string {
	all := map[string]string{}
	for _, dir := range w.beside {
		err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.IsDir() && (name == dir+"/media" || name == dir+"/bucket") {
				return fs.SkipDir
			}
			info, err := e.Info()
			all[name] = info.Mode().String()
			if err == nil && info.Mode().IsRegular() {
				var content []byte
				content, err = os.ReadFile(name)
				sum := sha256.Sum256(content)
				all[name] += " " + hex.EncodeToString(sum[:])
			}
			return err
		})
		mustDo(w.t, err)
	}
	return all
}

func (w *siege) run() {
	for round := range *hostileRounds {
		w.round(round)
		if w.t.Failed() {
			break
		}
	}
	w.t.Logf("seed %d: %d attacks, %d requests acknowledged, %d refused; uploads were taken %s after an attack at the latest",
		w.seed, w.attacks, w.acknowledged, w.refused, w.slowest.Round(time.Millisecond))
	if w.acknowledged == 0 {
		w.t.Error("no request was acknowledged: that was no campaign")
	}
	if w.t.Failed() {
		w.t.Logf("run again with -hostile.seed=%d; the attacker did:\n%s", w.seed, strings.Join(w.lines, "\n"))
	}
}

func (w *siege) round(n int) {
	w.spared = w.random.IntN(3) > 0
	identity, _ := w.in.read("offload/site")
	var work, watching sync.WaitGroup
	over, watched := make(chan struct{}), make(chan struct{})
	for app := range 3 {
		random := rand.New(rand.NewPCG(w.random.Uint64(), 2))
		work.Go(func() {
			for i := 0; !isClosed(over); i++ {
				w.request(random, fmt.Sprintf("%c%d-%d", 'a'+app, n, i))
			}
		})
	}
	watching.Go(func() { w.watch(watched) })
	w.besiege(rand.New(rand.NewPCG(w.random.Uint64(), 3)))
	close(over)
	work.Wait()
	w.putIdentityBack(identity)
	w.takeUploads(n)
	close(watched)
	watching.Wait()
	w.compared = w.local == LocalAll
	if w.compared { // as each day
		for _, s := range w.ns {
			s.e.recon.want(everything, window{})
		}
	}
	w.settles("after the attack")
	again := w.ns[w.random.IntN(len(w.ns))]
	if w.random.IntN(2) == 0 {
		again.stop()
	} else {
		again.kill()
	}
	again.start()
	again.until("the first comparison", func() bool { return !again.e.Stats().Reconciled.IsZero() })
	w.compared = true
	w.settles("after a restart")
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// request does one thing as an app does, on some node.
func (w *siege) request(random *rand.Rand, name string) {
	s := w.ns[random.IntN(len(w.ns))]
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
	defer cancel()
	key, old := w.newKey(random, name), ""
	if random.IntN(3) == 0 {
		key, old = w.someFile(random, name[:1])
	}
	r := s.e.beginRunning(ctx, "client")
	defer r.End()
	r.Name(path.Base(key))
	if err := r.Ready(ctx); err != nil || key == "" {
		w.count(&w.refused)
		time.Sleep(time.Duration(random.Int64N(int64(20 * time.Millisecond)))) // it asks again
		return
	}
	if old != "" && s.read(key) != old {
		return // replaced meanwhile
	}
	content := fmt.Sprintf("%s of %s, %d", strings.Repeat("content ", random.IntN(200)), name, random.Uint64())
	w.changes(key)
	switch {
	case old != "" && random.IntN(2) == 0:
		s.remove(key)
		content = ""
	case random.IntN(4) == 0:
		s.write("2026/11/tmp-"+name+".jpg", content)
		s.rename("2026/11/tmp-"+name+".jpg", key)
	default:
		s.write(key, content)
	}
	err := r.Wait(ctx)
	w.did(key, content, err)
}

func (w *siege) count(n *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

func (w *siege) newKey(random *rand.Rand, name string) string {
	return appDirs[random.IntN(len(appDirs))] + "/" + name + ".jpg"
}

// someFile is one of the app's files.
func (w *siege) someFile(random *rand.Rand, app string) (key, content string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(w.files)) {
		if strings.HasPrefix(path.Base(key), app) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return "", ""
	}
	key = keys[random.IntN(len(keys))]
	return key, w.files[key].content
}

// changes forgets what is known of a file that an app is about to change.
func (w *siege) changes(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.files, key)
	delete(w.attack, key)
	w.doubts[key] = true
}

// did notes how a change ended. With local own the file is on disk, whatever became
// of it in the bucket.
func (w *siege) did(key, content string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.refused++
	} else {
		w.acknowledged++
	}
	if content != "" && (err == nil || w.local == LocalOwn) {
		w.files[key] = &appFile{content}
		delete(w.doubts, key)
	}
}

// besiege attacks for a while.
func (w *siege) besiege(random *rand.Rand) {
	strikes := 60 + random.IntN(60)
	if w.long() {
		strikes = 150 + random.IntN(150)
	}
	for range strikes {
		w.mu.Lock()
		g := grammar{random, slices.Sorted(maps.Keys(w.files))}
		w.mu.Unlock()
		w.strike(g)
		time.Sleep(time.Duration(random.Int64N(int64(6 * time.Millisecond)))) // an attacker's pace
	}
}

// strike is one attack.
func (w *siege) strike(g grammar) {
	names := w.in.names()
	name := g.name(names)
	if w.spares(name) {
		return
	}
	switch g.IntN(12) {
	case 0, 1, 2, 3, 4, 5:
		content := g.content(name)
		w.hurts(fmt.Sprintf("write %d bytes", len(content)), replaced, name, content, func() { w.in.write(name, content) })
	case 6:
		if to := g.name(names); len(names) > 0 {
			from := g.one(names)
			if w.spares(from) || w.spares(to) {
				return
			}
			content, _ := w.in.read(from)
			w.hurts("rename to "+to, taken, from, nil, func() {
				w.hurts("rename from "+from, replaced, to, content, func() { w.in.rename(from, to) })
			})
		}
	case 7, 8, 9:
		w.hurts("remove", taken, name, nil, func() { w.in.remove(name) })
	case 10:
		if dir := path.Dir(name); dir != "." && dir != "/" && g.IntN(8) == 0 && !(w.spared && path.Clean(dir) == "offload") {
			w.hurts("remove all of", taken, dir, nil, func() { w.in.remove(dir) })
		}
	case 11:
		w.hurts("plant", replaced|taken, name, nil, func() { w.in.plant(name, g.Rand) })
	}
}

// spares reports whether the attacker leaves a name alone: that of the identity in
// some rounds; and where the bucket is a directory, the names of the directories that
// are in use: with a file in its place nothing below it can be stored, or a symlink.
func (w *siege) spares(name string) bool {
	clean := path.Clean(name)
	if w.spared && clean == "offload/site" {
		return true
	}
	if _, files := w.in.(openDir); !files {
		return false
	}
	inUse := []string{"offload/log", "offload/lease", "offload/conflict", "offload/trash"}
	for _, dir := range appDirs {
		inUse = append(inUse, "media/"+dir, "private/"+dir)
	}
	return slices.ContainsFunc(inUse, func(dir string) bool { return strings.HasPrefix(dir+"/", clean+"/") })
}

// hurts notes what an attack does to the apps' files, before and after it: their
// changes go on meanwhile.
func (w *siege) hurts(what string, h harm, name string, content []byte, do func()) {
	if _, files := w.in.(openDir); files {
		name = path.Clean(name)
	}
	note := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for key := range w.known() {
			for _, prefix := range []string{"media/", "private/"} {
				if object := prefix + key; object == name || strings.HasPrefix(object, name+"/") {
					w.attack[key] |= h
				} else if strings.HasPrefix(name, object+"/") && h&replaced != 0 { // a directory in its place
					w.attack[key] |= replaced | taken
				}
			}
			if aside := "offload/conflict/" + key + "/"; strings.HasPrefix(name, aside) || strings.HasPrefix(aside, name+"/") || isTrashOf(name, key) {
				w.asides[key] = true
			}
		}
		for _, key := range told(content) {
			w.told[key] = true
		}
		w.deaf = w.deaf || strings.HasPrefix(name, "offload/log") || strings.HasPrefix("offload/log/", name+"/")
	}
	note()
	do()
	note()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attacks++
	w.lines = append(w.lines, fmt.Sprintf("%s %q", what, name))
}

// known are the keys that apps have ever named. The caller holds mu.
func (w *siege) known() map[string]bool {
	all := maps.Clone(w.doubts)
	for key := range w.files {
		all[key] = true
	}
	return all
}

// putIdentityBack does what the log tells the admin of a bucket that is away: bring
// back what was there, or say that the present one is meant.
func (w *siege) putIdentityBack(before []byte) {
	present, _ := w.in.read("offload/site")
	was, err := identity.ParseFile(before)
	mustDo(w.t, err)
	if now, err := identity.ParseFile(present); err == nil && now.ID == was.ID {
		return
	}
	for _, s := range w.ns {
		s.until("the bucket to be away", func() bool { return s.e.Stats().State != "running" })
	}
	if w.random.IntN(2) == 0 {
		w.in.remove("offload/site")
		w.in.write("offload/site", before)
		return
	}
	w.in.remove("offload/site")
	for _, s := range w.ns {
		s.until("the bucket to be adopted", func() bool { return s.e.guard.Adopt(w.t.Context()) == nil })
	}
}

// takeUploads has each node take an upload.
func (w *siege) takeUploads(round int) {
	w.t.Helper()
	began := time.Now()
	for i, s := range w.ns {
		for try := 0; ; try++ {
			key := fmt.Sprintf("2026/11/%c%d-after-%d.jpg", 'r'+i, round, try)
			content := fmt.Sprintf("after round %d, %d", round, w.random.Uint64())
			w.changes(key)
			ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
			err := w.uploadNamed(ctx, s, key, content)
			cancel()
			w.did(key, content, err)
			if err == nil {
				break
			}
			if time.Since(began) > takesUploads {
				w.t.Errorf("node %d takes no uploads %s after the attack: %v; %+v", i, time.Since(began), err, s.e.Stats())
				return
			}
		}
	}
	w.slowest = max(w.slowest, time.Since(began))
}

func (w *siege) uploadNamed(ctx context.Context, s *site, key, content string) error {
	r := s.e.beginRunning(ctx, "client")
	defer r.End()
	r.Name(path.Base(key))
	if err := r.Ready(ctx); err != nil {
		return err
	}
	s.write(key, content)
	return r.Wait(ctx)
}

// watch looks all the time for what must never be, and for pages that name what is
// not there.
func (w *siege) watch(over chan struct{}) {
	broken := map[string]time.Time{}
	for !isClosed(over) {
		w.noIntruders()
		for at := range w.deadLinks(func(key string) bool { return w.harmless(key) }) {
			since, known := broken[at]
			if !known {
				broken[at] = time.Now()
			} else if time.Since(since) > reachable && !w.t.Failed() {
				w.t.Errorf("%s has been named by pages for %s, and is not there", at, time.Since(since))
			}
		}
		maps.DeleteFunc(broken, func(at string, since time.Time) bool {
			return !w.deadLinks(func(key string) bool { return strings.HasSuffix(at, " "+key) })[at]
		})
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// harmless reports whether the attacker did nothing to the object of a key.
func (w *siege) harmless(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files[key] != nil && w.attack[key] == 0
}

// deadLinks are the files of those that a node's pages name publicly, although there
// is no object.
func (w *siege) deadLinks(of func(key string) bool) map[string]bool {
	w.mu.Lock()
	keys := slices.Sorted(maps.Keys(w.files))
	w.mu.Unlock()
	dead := map[string]bool{}
	for i, s := range w.ns {
		for _, key := range keys {
			if !of(key) || s.e == nil {
				continue
			}
			if _, _, public := s.e.Public([]byte(key)); !public {
				continue
			}
			if _, there := w.in.read("media/" + key); !there {
				dead[fmt.Sprintf("node %d %s", i, key)] = true
			}
		}
	}
	return dead
}

// noIntruders fails the test if a disk has a file that a web server would run or
// obey, or a file with what only the app may read.
func (w *siege) noIntruders() {
	for i, s := range w.ns {
		for key, content := range readTree(w.t, s.dir, func(key string) bool { return key != "closed/.htaccess" && key != "cache/index.php" }) {
			inWork := strings.HasPrefix(path.Base(key), ".media-offload-") && !strings.Contains(key, "ABCDEFGH")
			if mayRun(key) && !inWork {
				w.t.Errorf("on the disk of node %d: %q", i, key)
			}
			if strings.Contains(content, secret) || strings.Contains(content, "root:x:0:0") {
				w.t.Errorf("%q of node %d has the content of a file beside the roots", key, i)
			}
		}
	}
}

// settles waits until nothing is amiss.
func (w *siege) settles(when string) {
	w.t.Helper()
	var amiss []string
	deadline := time.Now().Add(takesUploads)
	for {
		if amiss = w.amiss(); len(amiss) == 0 {
			break
		}
		if time.Now().After(deadline) {
			w.t.Errorf("%s: %s", when, strings.Join(amiss, "\n"))
			break
		}
		time.Sleep(20 * time.Millisecond) // nothing signals this from outside
	}
	w.noIntruders()
	if now := w.surroundings(); !maps.Equal(now, w.before) {
		w.t.Errorf("%s: beside the media roots there was\n%v\nand is\n%v", when, w.before, now)
	}
	for _, s := range w.ns {
		for name, want := range map[string]string{"closed/.htaccess": "Require all denied", "cache/index.php": "<?php // " + secret} {
			if got := s.read(name); got != want {
				w.t.Errorf("%s: %s is %q", when, name, got)
			}
		}
	}
	w.nothingRunnableIsRead()
}

// long reports whether attacks last longer: in long campaigns, and where one is run again.
func (w *siege) long() bool { return *hostileRuns > 1 || *hostileSeed != 0 }

// amiss is what is not as it should be in the end.
func (w *siege) amiss() (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	disks := make([]map[string]string, len(w.ns))
	for i, s := range w.ns {
		disks[i] = s.disk()
	}
	for _, key := range slices.Sorted(maps.Keys(w.files)) {
		want, h := w.files[key].content, w.attack[key]
		class := w.class(key)
		object, _ := w.in.read(class + key)
		var have []string
		for i, disk := range disks {
			if disk[key] != want {
				have = append(have, fmt.Sprintf("node %d has %.60q", i, disk[key]))
			}
		}
		kept := len(have) < len(disks) || string(object) == want
		lost := !kept && !w.isAside(want) && !w.asides[key] && !w.wasTold(key)
		switch {
		case w.local == LocalOwn && len(have) > 0:
			found = append(found, fmt.Sprintf("%s is gone from the disk that it was written to: %v", key, have))
		case h == 0 && kept && w.isBlocked(class+key):
			// A store cannot hold it: the file stays where it is.
		case w.deaf && (w.asides[key] || h == 0 && w.isAside(want)):
			// The log was put back: of two versions a disk's has the name, the other
			// is kept aside, unless it was attacked there.
		case h == 0 && (len(have) > 0 || string(object) != want):
			found = append(found, fmt.Sprintf("%s, to which nothing was done, should be %.60q: %v, the object is %.60q", key, want, have, object))
		case lost:
			found = append(found, fmt.Sprintf("%s, whose object was removed or replaced, is lost: it is neither on a disk nor aside: %v, the object is %.60q", key, have, object))
		case h == taken && kept && w.compared && string(object) != want && !w.wasTold(key) && !w.isBlocked(class+key):
			found = append(found, fmt.Sprintf("%s, whose object was removed, was not stored again: %v, the object is %.60q", key, have, object))
		}
		for i, s := range w.ns {
			if _, _, public := s.e.Public([]byte(key)); h == 0 && public != (class == "media/") && !w.isBlocked(class+key) {
				found = append(found, fmt.Sprintf("%s: node %d says public: %v", key, i, public))
			}
		}
	}
	return found
}

// isBlocked reports whether the attacker put an object below a name, or made the name
// lie below an object, as no file can.
func (w *siege) isBlocked(name string) bool {
	return slices.ContainsFunc(w.in.names(), func(other string) bool {
		return strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/")
	})
}

// isTrashOf reports whether an object, or a directory of objects, may be a file in the
// trash.
func isTrashOf(name, key string) bool {
	parts := strings.SplitN(name, "/", 5) // offload/trash/<time>-<reason>/<class>/<key>
	return strings.HasPrefix(name+"/", "offload/trash/") &&
		(len(parts) < 5 || key == parts[4] || strings.HasPrefix(key, parts[4]+"/"))
}

// isAside reports whether a content was kept aside, or in the trash.
func (w *siege) isAside(content string) bool {
	return slices.ContainsFunc(w.in.names(), func(name string) bool {
		aside, ok := w.in.read(name)
		return ok && (strings.HasPrefix(name, "offload/conflict/") || strings.HasPrefix(name, "offload/trash/")) && string(aside) == content
	})
}

func (w *siege) class(key string) string {
	if strings.HasPrefix(key, "private/") || strings.HasPrefix(key, "closed/") {
		return "private/"
	}
	return "media/"
}

// wasTold reports whether the log says that a file was deleted, as it does when a
// node's app did: then it may go. The caller holds mu.
func (w *siege) wasTold(key string) bool {
	for ; key != "."; key = path.Dir(key) {
		if w.told[key] {
			return true
		}
	}
	return w.told[everyDir]
}

// nothingRunnableIsRead asks for each such object as a visitor would.
func (w *siege) nothingRunnableIsRead() {
	for _, name := range w.in.names() {
		key, ok := strings.CutPrefix(name, "media/")
		if !ok || !mayRun(key) {
			continue
		}
		for i, s := range w.ns {
			if _, _, public := s.e.Public([]byte(key)); public {
				w.t.Errorf("pages of node %d name %q", i, key)
			}
			o, err := s.e.Open(w.t.Context(), key, bucket.GetOptions{})
			if err == nil {
				_ = o.Body.Close()
				w.t.Errorf("node %d serves %q", i, key)
			}
		}
	}
}

// TestHostileGrammar: the campaign's own opinion of names finds all that it makes.
func TestHostileGrammar(t *testing.T) {
	t.Parallel()
	for _, name := range run {
		if !mayRun("a/"+name) || !mayRun(name) || !mayRun(name+"/x.jpg") {
			t.Errorf("%q passes", name)
		}
	}
	for _, name := range append(slices.Clone(plain), "2026/11/a b.jpg", "report.pl.pdf", "guide.phpstorm.png") {
		if mayRun(name) {
			t.Errorf("%q is taken for a script", name)
		}
	}
	if got := told(grammar{rand.New(rand.NewPCG(1, 1)), nil}.entry()); len(got) > 4 {
		t.Errorf("told %q", got)
	}
}
