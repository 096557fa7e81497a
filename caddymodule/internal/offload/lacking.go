package offload

import (
	"context"
	"maps"
	"path"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// A file that was committed and has no object any more was deleted by another node, or
// somebody else took the object away. A node that has read all of the change log since
// its last comparison knows which: what a node deleted, the log told. It has the file
// stored again, but not at once: who deletes an object tells of that just after.
//
// Where the log may not have told all (see unclear), such a file is taken for deleted. It
// goes by way of the trash: if that is wrong, each node in turn may come to it.

// maxLacking bounds the files that wait to be stored again; those beyond are found by
// the next comparison.
const maxLacking = 10_000

// lacking are the files whose objects are gone although no node is known to have
// deleted them. It belongs to the reconcile loop.
type lacking struct {
	files map[string]lackingFile // by key
	more  bool                   // there was no room for all
	timer *time.Timer
}

type lackingFile struct {
	foreign
	since time.Time
}

func (l *lacking) init() {
	l.files = make(map[string]lackingFile)
	l.timer = time.NewTimer(0)
	<-l.timer.C
}

// add has files looked at again after a time, and reports how many are new.
func (l *lacking) add(files []foreign, after time.Duration) (added int) {
	now := time.Now()
	for _, f := range files {
		if _, known := l.files[f.key]; known {
			continue
		}
		if len(l.files) == maxLacking {
			l.more = true
			break
		}
		l.files[f.key] = lackingFile{f, now}
		added++
	}
	if added > 0 && added == len(l.files) {
		l.timer.Reset(after)
	}
	return added
}

// passOnLacking has the files stored again that lack their objects, unless the log
// tells soon that a node deleted them.
func (p *pass) passOnLacking() {
	e := p.e
	n := e.lacking.add(p.lacking, e.cfg.LostAfter)
	if n == 0 {
		return
	}
	e.log().Warn("objects of committed files are gone from the bucket, and no server has told that it deleted them: "+
		"unless one does so soon, the files are stored again", keyFiles, n)
}

// storeLacking stores the files again that have lacked their objects for long enough.
func (e *Engine) storeLacking() {
	l := &e.lacking
	ctx, cancel := context.WithTimeout(e.life, callTimeout)
	defer cancel()
	if e.team.log.CatchUp(ctx) != nil { // who reads the log logs why
		l.timer.Reset(e.cfg.LostAfter)
		return
	}
	now := time.Now()
	wait := time.Duration(-1)
	for key, f := range l.files {
		if left := e.cfg.LostAfter - now.Sub(f.since); left > 0 {
			if wait < 0 || left < wait {
				wait = left
			}
			continue
		}
		delete(l.files, key)
		if e.recon.unclearNow().covers(f.foreign) {
			continue // the comparison that this has brought about decides
		}
		if err := e.enqueueLook(e.life, f.foreign, verdict.ObjectLost); err != nil {
			return // the engine stops
		}
	}
	switch {
	case wait >= 0:
		l.timer.Reset(wait)
	case l.more:
		l.more = false
		e.recon.want(everything, window{})
	}
}

// unclear are the directories in which, as far as the change log tells, another node may
// have deleted files without telling of each: it was killed, or entries of the log were
// missed. The number grows with each time that was said.
type unclear map[scope]uint64

// covers reports whether a file is in one of the directories.
func (u unclear) covers(f foreign) bool {
	if _, all := u[everything]; all {
		return true
	}
	if len(u) == 0 {
		return false
	}
	for dir := path.Dir(f.rel); ; dir = path.Dir(dir) {
		if dir == "." || dir == "/" {
			dir = ""
		}
		if _, ok := u[scope{f.root, dir}]; ok || dir == "" {
			return ok
		}
	}
}

// blur notes that another node may have deleted files in a directory, until a
// comparison has settled which. It returns what that has to compare.
func (r *reconciler) blur(s scope) scope {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blurs++
	if _, all := r.unclear[everything]; all || s == everything || len(r.unclear) >= maxScopes {
		r.unclear, s = unclear{}, everything
	}
	r.unclear[s] = r.blurs
	return s
}

// unclearNow returns what is not settled yet.
func (r *reconciler) unclearNow() unclear {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.unclear)
}

// settle notes that a comparison of what has settled what it knew to be unclear.
func (r *reconciler) settle(what map[scope]struct{}, known unclear) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, whole := what[everything]
	for s, n := range known {
		if _, compared := what[s]; (compared || whole) && r.unclear[s] == n {
			delete(r.unclear, s)
		}
	}
}

// isSettled reports whether the change log has told all.
func (r *reconciler) isSettled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.unclear) == 0
}
