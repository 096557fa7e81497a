package watch

import (
	"log/slog"
	"runtime/debug"
)

// batchSize is how many events are passed to Handle at once, at most. It
// bounds memory when a directory with very many files appears.
const batchSize = 1024

// batch gathers changes, merges those of one path by the rule stated at
// [Event], and passes them on.
type batch struct {
	handle func([]Event)
	log    *slog.Logger

	events []Event
	// index finds the event of a path, per root; an index below fence does
	// not count, so that nothing is merged across a DirGone or Rescan.
	index []map[string]int
	fence int
	// in are the directories in which changes are found, by root.
	in []DirID
	// lost: Handle panicked, so what it was given did not arrive.
	lost bool
}

func newBatch(cfg *Config) *batch {
	b := &batch{
		handle: cfg.Handle,
		log:    cfg.Logger,
		events: make([]Event, 0, batchSize),
		index:  make([]map[string]int, len(cfg.Roots)),
		in:     make([]DirID, len(cfg.Roots)),
	}
	for i := range b.index {
		b.index[i] = make(map[string]int)
	}
	return b
}

// file adds a change of a file. It does not keep path, and does not allocate
// when the path has an event already: a large file that is being written gives
// thousands.
func (b *batch) file(root int, path []byte, op Op, created bool) {
	if i, ok := b.index[root][string(path)]; ok && i >= b.fence {
		if op != Touched {
			b.events[i].Op = op
		}
		return
	}
	b.makeRoom()
	p := string(path)
	b.index[root][p] = len(b.events)
	b.events = append(b.events, Event{Root: root, Path: p, Op: op, Created: created, In: b.in[root]})
}

// fileMoved adds that a file was renamed to another path; to "" is unknown.
func (b *batch) fileMoved(root int, path string, toRoot int, to string) {
	b.file(root, []byte(path), Gone, false)
	if to == "" {
		return
	}
	ev := &b.events[b.index[root][path]]
	ev.ToRoot, ev.To = toRoot, to
}

// dirMoved adds that a directory was renamed to another path; to "" is unknown.
func (b *batch) dirMoved(root int, path string, toRoot int, to string) {
	b.dir(root, path, DirGone)
	ev := &b.events[len(b.events)-1]
	ev.ToRoot, ev.To = toRoot, to
}

// dir adds a DirGone or Rescan.
func (b *batch) dir(root int, path string, op Op) {
	b.makeRoom()
	b.events = append(b.events, Event{Root: root, Path: path, Op: op, In: b.in[root]})
	b.fence = len(b.events)
}

func (b *batch) makeRoom() {
	if len(b.events) == batchSize {
		b.flush()
	}
}

// flush passes on what was gathered.
func (b *batch) flush() {
	if len(b.events) == 0 {
		return
	}
	b.pass()
	clear(b.events)
	b.events = b.events[:0]
	b.fence = 0
	for _, m := range b.index {
		clear(m)
	}
}

// pass calls Handle. A panic there must neither end the process nor pass for
// a delivery.
func (b *batch) pass() {
	defer func() {
		if r := recover(); r != nil {
			b.lost = true
			b.log.Error("handling file changes panicked; all media roots will be looked at again",
				"panic", r, "stack", string(debug.Stack()))
		}
	}()
	b.handle(b.events)
}
