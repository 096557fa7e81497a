package offload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
)

// request is an upload of a common name, an overwriting, or a delete.
func (n *simNode) request(random *rand.Rand, content string) {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	stem := fmt.Sprintf("image%d", random.IntN(2))
	n.mu.Lock()
	leases := n.leases
	n.mu.Unlock()
	claim := leases.Claim("")
	defer claim.Release()
	claim.Add(stem)
	claim.Look()
	if random.IntN(2) == 0 { // the body comes from afar
		time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
	}
	err := claim.CatchUp(ctx)
	for (err == nil && !claim.Held()) || errors.Is(err, changelog.ErrNotJoined) { // the engine waits until it has joined
		time.Sleep(10 * time.Millisecond)
		err = claim.CatchUp(ctx)
	}
	if err == nil {
		err = n.idle(ctx, nil)
	}
	if err != nil && random.IntN(2) == 0 {
		return // on_failure reject
	}
	time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond)))) // PHP
	key, wrote := n.app(random, stem, content)
	n.w.answered(key, wrote, errors.Join(err, n.idle(ctx, []string{key})))
}

// app does what the app would on this disk.
func (n *simNode) app(random *rand.Rand, stem, content string) (key, wrote string) {
	n.mu.Lock()
	var old string
	var taken []string
	for k := range n.disk {
		if strings.HasPrefix(k, stem) {
			taken = append(taken, k)
		}
	}
	slices.Sort(taken)
	op := random.IntN(4)
	if len(taken) == 0 {
		op = 0
	}
	change := simItem{wrote: true}
	switch op {
	case 2: // overwrites
		key = taken[random.IntN(len(taken))]
		f := n.disk[key]
		old = f.content
		f.content = content
		n.disk[key] = f
	case 3: // deletes
		key = taken[random.IntN(len(taken))]
		f := n.disk[key]
		old, content = f.content, ""
		change.gone, change.deleted = true, f.base
		delete(n.disk, key)
	default:
		for i := 0; ; i++ {
			key = fmt.Sprintf("%s-%d.jpg", stem, i)
			if _, ok := n.disk[key]; !ok {
				break
			}
		}
		n.disk[key] = simFile{content: content}
	}
	n.mu.Unlock()
	n.w.note(n.id, key, "the app writes %q in place of %q", content, old)
	n.w.forget(key, old)
	n.touch(key, change)
	if content == "" {
		n.w.mu.Lock()
		n.w.tried[key] = true
		n.w.mu.Unlock()
	}
	return key, content
}

// forget takes back what was certain of a content that is overwritten or deleted.
func (w *sim) forget(key, old string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old != "" {
		delete(w.sure, old)
		w.past[old] = true
	}
}

// answered checks and notes what a request promised.
func (w *sim) answered(key, content string, err error) {
	w.note("", key, "answered for %q: %v", content, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		return
	}
	if w.tried[key] || w.past[content] {
		return // by now another request, without a claim, changed it again
	}
	if got := w.content(key); w.calm && got != content {
		w.t.Errorf("%s was answered with %q, the bucket has %q", key, content, got)
	}
	w.sure[content] = key
}
