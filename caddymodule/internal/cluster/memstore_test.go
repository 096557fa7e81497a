package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// memStore is a store in memory. Time is that of the bubble it is used in.
type memStore struct {
	mu      sync.Mutex
	objects map[string]memObject
	keys    []string // of objects, sorted
	calls   map[buckettest.Op]int
	onPut   func(key string, data []byte) // under mu
}

type memObject struct {
	data   []byte
	etag   string
	stored time.Time
}

func newMemStore() *memStore {
	return &memStore{objects: map[string]memObject{}, calls: map[buckettest.Op]int{}}
}

// etagSeed is for ETags that are by content, as S3's are: equal for equal bodies.
var etagSeed = maphash.MakeSeed()

func (o memObject) info(key string) bucket.Info {
	return bucket.Info{Key: key, Size: int64(len(o.data)), ETag: o.etag, Stored: o.stored}
}

// count returns how many requests of one kind came.
func (m *memStore) count(op buckettest.Op) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[op]
}

// The four requests as they take effect, at one moment each.

func (m *memStore) put(key string, data []byte, opts bucket.PutOptions) (bucket.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[buckettest.OpPut]++
	old, exists := m.objects[key]
	switch {
	case opts.IfNoneMatch && exists:
		return bucket.Info{}, bucket.ErrExists
	case opts.IfMatch != "" && (!exists || old.etag != opts.IfMatch):
		return bucket.Info{}, bucket.ErrChanged
	}
	etag := strconv.FormatUint(maphash.Bytes(etagSeed, data), 36)
	o := memObject{data: data, etag: etag, stored: time.Now().Truncate(time.Second)}
	m.objects[key] = o
	if !exists {
		at, _ := slices.BinarySearch(m.keys, key)
		m.keys = slices.Insert(m.keys, at, key)
	}
	if m.onPut != nil {
		m.onPut(key, data)
	}
	return o.info(key), nil
}

func (m *memStore) get(key string) (*bucket.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[buckettest.OpGet]++
	o, exists := m.objects[key]
	if !exists {
		return nil, bucket.ErrNotFound
	}
	return &bucket.Object{Info: o.info(key), Body: io.NopCloser(bytes.NewReader(o.data))}, nil
}

func (m *memStore) remove(keys []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[buckettest.OpDelete]++
	for _, key := range keys {
		delete(m.objects, key)
		if at, found := slices.BinarySearch(m.keys, key); found {
			m.keys = slices.Delete(m.keys, at, at+1)
		}
	}
}

// list returns one page of 1,000.
func (m *memStore) list(prefix, after string) (page []bucket.Info) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[buckettest.OpList]++
	at, _ := slices.BinarySearch(m.keys, max(prefix, after))
	for _, key := range m.keys[at:] {
		if len(page) == 1000 || !strings.HasPrefix(key, prefix) {
			break
		}
		if key > after {
			page = append(page, m.objects[key].info(key))
		}
	}
	return page
}

func (m *memStore) total() (sum int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.calls {
		sum += n
	}
	return sum
}

// errLost is what a caller sees whose answer, or request, was lost.
var errLost = errors.New("connection reset")

// link is one node's way to the store: requests and answers take time, get
// lost, arrive long after the caller has gone, or stand still.
type link struct {
	store *memStore

	mu      sync.Mutex
	random  *rand.Rand
	latency time.Duration
	lost    float64       // share of requests, and of answers, that are lost
	slow    float64       // share of requests of which they or their answers arrive late
	slowest time.Duration // how late at most
	late    time.Time     // when all of these have arrived
	grain   time.Duration // what times are multiples of
	halts   float64       // share of locks before which a goroutine stands still
	longest time.Duration // how long at most
	cut     bool          // no request arrives
	dead    bool          // as cut, and the caller hears nothing
	paused  chan struct{} // closed when the node goes on; nil: it runs
}

// fate is what happens to a call.
type fate struct {
	there, back         time.Duration
	lostThere, lostBack bool
}

func (l *link) fate() fate {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latency == 0 {
		return fate{}
	}
	f := fate{there: l.takes(), back: l.takes()}
	if l.random.Float64() < l.slow {
		way := &f.there
		if l.random.IntN(2) == 0 {
			way = &f.back
		}
		*way += time.Duration(l.random.Int64N(int64(l.slowest)))
		if arrives := time.Now().Add(*way); arrives.After(l.late) {
			l.late = arrives
		}
	}
	f.lostThere = l.cut || l.dead || l.random.Float64() < l.lost
	f.lostBack = l.random.Float64() < l.lost
	return f
}

// takes returns how long a request or its answer takes. It is never no time at all:
// no clock would go on.
func (l *link) takes() time.Duration {
	d := l.latency/2 + time.Duration(l.random.Int64N(int64(l.latency)))
	return d.Truncate(l.grain) + time.Microsecond
}

// stand waits while the node is paused.
func (l *link) stand() {
	l.mu.Lock()
	paused := l.paused
	l.mu.Unlock()
	if paused != nil {
		<-paused
	}
}

// halt returns how long a goroutine of the node is to stand still.
func (l *link) halt() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.halts == 0 || l.random.Float64() >= l.halts {
		return 0
	}
	return time.Duration(l.random.Int64N(int64(l.longest) >> l.random.IntN(8)))
}

func (l *link) set(change func(*link)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// call carries a request out: once sent, it takes effect whether the caller
// still waits or not.
func (l *link) call(ctx context.Context, effect func()) error {
	l.stand()
	if err := ctx.Err(); err != nil {
		return err
	}
	err := l.fate().carry(ctx, effect)
	l.stand()
	return err
}

func (f fate) carry(ctx context.Context, effect func()) error {
	sent := time.Now()
	if !pause(ctx.Done(), f.there) {
		if !f.lostThere {
			time.AfterFunc(f.there-time.Since(sent), effect)
		}
		return ctx.Err()
	}
	if f.lostThere {
		return errLost
	}
	effect()
	if !pause(ctx.Done(), f.back) {
		return ctx.Err()
	}
	if f.lostBack {
		return errLost
	}
	return nil
}

func (l *link) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	data := make([]byte, size)
	if _, err := body.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return bucket.Info{}, err
	}
	var info bucket.Info
	var refused error
	if err := l.call(ctx, func() { info, refused = l.store.put(key, data, opts) }); err != nil {
		return bucket.Info{}, fmt.Errorf("storing %s: %w", key, err)
	}
	return info, refused
}

// Copy is not called by the log and the leases.
func (l *link) Copy(context.Context, bucket.Info, string, bool) (bucket.Info, error) {
	return bucket.Info{}, bucket.ErrUnsupported
}

func (l *link) Get(ctx context.Context, key string, _ bucket.GetOptions) (*bucket.Object, error) {
	var object *bucket.Object
	var missing error
	if err := l.call(ctx, func() { object, missing = l.store.get(key) }); err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return object, missing
}

func (l *link) Head(ctx context.Context, key string) (bucket.Info, error) {
	object, err := l.Get(ctx, key, bucket.GetOptions{})
	if err != nil {
		return bucket.Info{}, err
	}
	return object.Info, nil
}

func (l *link) Delete(ctx context.Context, keys ...string) error {
	keys = slices.Clone(keys)
	return l.call(ctx, func() { l.store.remove(keys) })
}

func (l *link) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		for {
			var page []bucket.Info
			if err := l.call(ctx, func() { page = l.store.list(prefix, after) }); err != nil {
				yield(bucket.Info{}, fmt.Errorf("listing %s: %w", prefix, err))
				return
			}
			for _, info := range page {
				if !yield(info, nil) {
					return
				}
				after = info.Key
			}
			if len(page) < 1000 {
				return
			}
		}
	}
}

func (l *link) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return l.List(ctx, prefix, after)
}

func (l *link) PresignGet(context.Context, string, time.Duration) (string, error) {
	return "", bucket.ErrUnsupported
}

func (l *link) Admit(bucket.Admission) {}

func (l *link) AbortUploads(context.Context, string, time.Duration) (int, error) { return 0, nil }

func (l *link) Probe(context.Context, string, ...string) (bucket.Capabilities, error) {
	return bucket.Capabilities{CreateOnly: true, CompareAndSwap: true}, nil
}

func (l *link) String() string { return "memory" }

func (l *link) Close() error { return nil }

var (
	putAnyway = bucket.PutOptions{}
	putOnce   = bucket.PutOptions{IfNoneMatch: true}
)
