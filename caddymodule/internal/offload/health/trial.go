package health

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
	// trialRate is how many bytes of one give it a second more.
	trialRate = 64 << 10
	// trialLasts is how long an object of a trial may be in the bucket, by far.
	trialLasts = time.Hour
	// trialRest is how long a trial that succeeded stands for what has failed for long.
	trialRest = time.Minute
)

// SlowCall is how long a call may take without being taken for one that is never answered.
const SlowCall = 5 * time.Second

// IsTrial reports whether a key is that of an object that was stored to try the bucket.
func IsTrial(key string) bool { return strings.HasPrefix(key, trialName) }

// trial is what is to be tried.
type trial struct {
	wanted chan struct{}

	mu     sync.Mutex
	sizes  map[media.Class]int64 // of objects, by class
	passed time.Time             // when all that was tried succeeded last
}

// Doubt has it tried whether an object of a class and size can be stored, read and
// deleted. fresh: what raised the doubt has not failed for long.
func (m *Monitor) Doubt(class media.Class, size int64, fresh bool) { m.trial.doubt(class, size, fresh) }

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

// DoubtIfSlow has a small object tried if work on the bucket is not done soon: that tells
// whether it answers at all. done ends it.
func (m *Monitor) DoubtIfSlow() (done func() bool) {
	return time.AfterFunc(SlowCall, func() { m.trial.doubt(media.Public, 0, true) }).Stop
}

// Left has an object of a trial of this node deleted that a listing found: its process was
// stopped meanwhile. It reports whether another node's has been there for so long that
// nobody else will delete it: its node never came back.
func (m *Monitor) Left(class media.Class, key string, stored time.Time) (byAnother bool) {
	if key == trialName+m.cfg.Node() {
		m.trial.doubt(class, 0, true)
		return false
	}
	return time.Since(stored) > trialLasts
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

// Run tries the bucket when something raises a doubt, and until all is well, as long as
// ctx lasts. Where files are taken and a right is missing, it tries less and less often.
func (m *Monitor) Run(ctx context.Context) {
	tick := time.NewTicker(RetryMax)
	defer tick.Stop()
	var denied int
	var next time.Time
	for {
		select {
		case now := <-tick.C:
			if well, _ := m.isWell(); well && !m.trial.open() || now.Before(next) {
				continue
			}
		case <-m.trial.wanted:
		case <-ctx.Done():
			return
		}
		denied, next = denied+1, time.Now()
		if m.tryBucket(ctx) {
			next = next.Add(background.Backoff(denied, RetryMax, deniedMax))
			continue
		}
		denied = 0
	}
}

// deniedMax is the longest time between two trials of rights that are missing.
const deniedMax = 30 * time.Second

// tryBucket tries what is in doubt, and notes what it meets. It reports whether files are
// taken, and a right is missing to do something else with them.
func (m *Monitor) tryBucket(ctx context.Context) (denied bool) {
	_, falls := m.isWell()
	all := m.trial.take(m.shortOf())
	var denies error
	for class, size := range all {
		stored, err := m.tryObject(ctx, class, size)
		switch {
		case ctx.Err() != nil || m.cfg.Ours(err):
			return false // that tells nothing
		case err != nil && !stored:
			m.Fell(err, size)
			return false
		case err != nil:
			denies = err
		}
	}
	m.trial.pass(all, denies == nil)
	if _, now := m.isWell(); now == falls { // what fell meanwhile is tried again
		m.tookTrial()
	}
	switch turned := m.denied(denies); {
	case turned && denies != nil:
		m.cfg.Log().Warn("the bucket takes files, but not all that is needed can be done in it; this is tried again until it can",
			keyBucket, m.cfg.Store.String(), keyError, denies)
	case turned:
		m.cfg.Log().Info("all that is needed can be done in the bucket again", keyBucket, m.cfg.Store.String())
		m.cfg.Queue.AllDue(time.Now())
	}
	return denies != nil
}

// tookTrial notes that the bucket took all that was tried. Whether it has room for a
// larger file only that can tell.
func (m *Monitor) tookTrial() {
	if m.cfg.Queue.AnyFull() {
		m.Took(0)
		return
	}
	m.Took(m.shortOf())
}

// tryObject stores, reads and deletes an object, and reports whether it was stored.
func (m *Monitor) tryObject(ctx context.Context, class media.Class, size int64) (stored bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, SlowCall+time.Duration(size/trialRate)*time.Second)
	defer cancel()
	name := m.cfg.Object(trialName+m.cfg.Node(), class)
	var denies []error
	if _, err := m.cfg.Store.Put(ctx, name, noise(size), size, bucket.PutOptions{Public: class == media.Public}); err != nil {
		return false, fmt.Errorf("trying to store an object: %w", err)
	}
	if o, err := m.cfg.Store.Get(ctx, name, bucket.GetOptions{}); err != nil {
		denies = append(denies, fmt.Errorf("trying to read an object: %w", err))
	} else {
		_ = o.Body.Close() // only read
	}
	if err := m.cfg.Store.Delete(ctx, name); err != nil {
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
