package offload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Most errors of a file may be the file's own, or the store's: a policy or a firewall may
// deny one name or all, a server may fail with one object or with each. So another object
// is tried, of the same class and size, under a name that nobody else uses: what that
// meets is the store's. It tells as well when an outage is over, if no file is left that
// could.

const (
	// trialName is what the names of such objects begin with. It is no name of media.
	trialName = ".media-offload-trial-"
	// maxTrial bounds the size of such an object.
	maxTrial = 1 << 20
	// trialRest is how long a trial that succeeded stands for what has failed for long.
	trialRest = time.Minute
)

// isTrial reports whether a key is that of an object that was stored to try the bucket.
func isTrial(key string) bool { return strings.HasPrefix(key, trialName) }

// trial is what is to be tried.
type trial struct {
	wanted chan struct{}

	mu     sync.Mutex
	sizes  map[media.Class]int64 // of objects, by class
	passed time.Time             // when all that was tried succeeded last
}

func (t *trial) init() {
	t.wanted, t.sizes = make(chan struct{}, 1), make(map[media.Class]int64)
}

// doubt has it tried whether an object of a class and size can be stored, read and
// deleted. fresh: what raised the doubt has not failed for long.
func (t *trial) doubt(class media.Class, size int64, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !fresh && time.Since(t.passed) < trialRest {
		return
	}
	t.add(class, size)
	background.Signal(t.wanted)
}

// open reports whether something is yet to be tried, or was stored perhaps and not deleted.
func (t *trial) open() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sizes) > 0
}

// doubtIfSlow has a small object tried if work on the bucket is not done soon: that tells
// whether it answers at all. done ends it.
func (e *Engine) doubtIfSlow() (done func() bool) {
	return time.AfterFunc(slowCall, func() { e.trial.doubt(media.Public, 0, true) }).Stop
}

// left has an object of a trial of this node deleted that a listing found: its process was
// stopped meanwhile.
func (e *Engine) left(class media.Class, key string) {
	if key == trialName+e.team.self() {
		e.trial.doubt(class, 0, true)
	}
}

// add is doubt without haste. The caller holds mu.
func (t *trial) add(class media.Class, size int64) {
	if class != media.Private {
		class = media.Public
	}
	t.sizes[class] = max(t.sizes[class], min(size, maxTrial))
}

// take returns what is to be tried: a public object, if nothing else is known.
func (t *trial) take(size int64) map[media.Class]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.sizes) == 0 {
		t.add(media.Public, size)
	}
	return maps.Clone(t.sizes)
}

// pass notes that what was tried was stored: its size need not be tried again. all: and
// that nothing else is in doubt.
func (t *trial) pass(tried map[media.Class]int64, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if all {
		t.passed = time.Now()
	}
	for class, size := range tried {
		switch {
		case t.sizes[class] != size:
		case all:
			delete(t.sizes, class)
		default:
			t.sizes[class] = 0
		}
	}
}

// tryFiles tries the bucket when something raises a doubt, and until all is well. Where
// files are taken and a right is missing, it tries less and less often.
func (e *Engine) tryFiles() {
	tick := time.NewTicker(probeMax)
	defer tick.Stop()
	var denied int
	var next time.Time
	for {
		select {
		case now := <-tick.C:
			if well, _ := e.health.isWell(); well && !e.trial.open() || now.Before(next) {
				continue
			}
		case <-e.trial.wanted:
		case <-e.life.Done():
			return
		}
		denied, next = denied+1, time.Now()
		if e.tryBucket() {
			next = next.Add(background.Backoff(denied, probeMax, deniedMax))
			continue
		}
		denied = 0
	}
}

// deniedMax is the longest time between two trials of rights that are missing.
const deniedMax = 30 * time.Second

// tryBucket tries what is in doubt, and notes what it meets. It reports whether files are
// taken, and a right is missing to do something else with them.
func (e *Engine) tryBucket() (denied bool) {
	_, falls := e.health.isWell()
	all := e.trial.take(e.health.shortOf())
	var denies error
	for class, size := range all {
		stored, err := e.tryObject(class, size)
		switch {
		case e.life.Err() != nil || errors.Is(err, ErrGuest):
			return false // that tells nothing
		case err != nil && !stored:
			e.fell(err, size)
			return false
		case err != nil:
			denies = err
		}
	}
	e.trial.pass(all, denies == nil)
	if _, now := e.health.isWell(); now == falls { // what fell meanwhile is tried again
		e.tookTrial()
	}
	switch turned := e.health.denied(denies); {
	case turned && denies != nil:
		e.log().Warn("the bucket takes files, but not all that is needed can be done in it; this is tried again until it can",
			keyBucket, e.store.String(), keyError, denies)
	case turned:
		e.log().Info("all that is needed can be done in the bucket again", keyBucket, e.store.String())
		e.queue.AllDue(time.Now())
	}
	return denies != nil
}

// tookTrial notes that the bucket took all that was tried. Whether it has room for a
// larger file only that can tell.
func (e *Engine) tookTrial() {
	if e.queue.AnyFull() {
		e.took(0)
		return
	}
	e.took(e.health.shortOf())
}

// tryObject stores, reads and deletes an object, and reports whether it was stored.
func (e *Engine) tryObject(class media.Class, size int64) (stored bool, err error) {
	ctx, cancel := context.WithTimeout(e.life, slowCall+time.Duration(size/putRate)*time.Second)
	defer cancel()
	name := e.objectName(trialName+e.team.self(), class)
	var denies []error
	if _, err := e.store.Put(ctx, name, noise(size), size, bucket.PutOptions{Public: class == media.Public}); err != nil {
		return false, fmt.Errorf("trying to store an object: %w", err)
	}
	if o, err := e.store.Get(ctx, name, bucket.GetOptions{}); err != nil {
		denies = append(denies, fmt.Errorf("trying to read an object: %w", err))
	} else {
		_ = o.Body.Close() // only read
	}
	if err := e.store.Delete(ctx, name); err != nil {
		denies = append(denies, fmt.Errorf("trying to delete an object: %w", err))
	}
	return true, errors.Join(denies...)
}

// noise is content that no store makes smaller.
func noise(size int64) *bytes.Reader {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	return bytes.NewReader(content)
}
