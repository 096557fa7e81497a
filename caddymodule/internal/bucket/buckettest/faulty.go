package buckettest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// Op names a method of Store.
type Op string

// The operations that a Faulty can disturb.
const (
	OpPut          Op = "Put"
	OpCopy         Op = "Copy"
	OpGet          Op = "Get"
	OpHead         Op = "Head"
	OpDelete       Op = "Delete"
	OpList         Op = "List"
	OpPresignGet   Op = "PresignGet"
	OpAbortUploads Op = "AbortUploads"
	OpProbe        Op = "Probe"
)

// Call is one call of a store's method.
type Call struct {
	Op Op
	// Key is the object's key; of Copy that of the source, of Delete the first one, of List,
	// AbortUploads and Probe the prefix.
	Key string
	// Keys are all of a Delete.
	Keys []string
	// Size of the body of a Put.
	Size int64
	// N counts the calls of this Op from 1, ForKey those of this Op and Key.
	N, ForKey int
}

// Fault is what happens to a call. The zero value is: nothing. The parts apply
// in the order below.
type Fault struct {
	// Delay is waited for first; the end of the call's context ends it.
	Delay time.Duration
	// Hang blocks the call until the channel is closed or the context ends.
	Hang <-chan struct{}
	// Before is returned without the inner store being called.
	Before error
	// Cut lets only CutAfter bytes of a body (Get: what is read; Put: what is
	// sent) or entries of a List through, then it fails.
	Cut      bool
	CutAfter int64
	// Unlisted is what a List leaves out, and yields in its place if anything is there.
	Unlisted *bucket.UnlistedError
	// After is returned although the inner store did the work: the answer was
	// lost.
	After error
}

// ErrInjected is the error of cut bodies and of the faults of Randomly.
var ErrInjected = errors.New("injected fault")

// Hook decides what happens to a call. It may be called from several
// goroutines at once.
type Hook func(Call) Fault

// Faulty is a store that fails on demand, for tests. Without a hook it behaves
// as the store it wraps.
type Faulty struct {
	inner bucket.Store

	mu     sync.Mutex
	hook   Hook
	calls  map[Op]int
	forKey map[opKey]int
}

type opKey struct {
	op  Op
	key string
}

// NewFaulty wraps a store. A nil hook disturbs nothing. Closing the Faulty
// closes inner.
func NewFaulty(inner bucket.Store, hook Hook) *Faulty {
	return &Faulty{inner: inner, hook: hook, calls: map[Op]int{}, forKey: map[opKey]int{}}
}

// SetHook replaces the hook for calls that begin from now on; nil: no faults.
func (f *Faulty) SetHook(hook Hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// Calls returns how many calls of op there were.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// OnCall returns a hook with one fault, for the n-th call of op.
func OnCall(op Op, n int, fault Fault) Hook {
	return func(c Call) Fault {
		if c.Op == op && c.N == n {
			return fault
		}
		return Fault{}
	}
}

// Always returns a hook with the same fault for all calls of the given
// operations, or of any if none is given.
func Always(fault Fault, ops ...Op) Hook {
	return func(c Call) Fault {
		for _, op := range ops {
			if c.Op == op {
				return fault
			}
		}
		if len(ops) == 0 {
			return fault
		}
		return Fault{}
	}
}

// Randomly returns a hook that disturbs the given share (0 to 1) of calls: they
// fail before or after the work, or their bodies are cut. What happens to a
// call depends on seed, operation, key and ForKey alone, so it is the same in
// each run however the goroutines are scheduled.
func Randomly(seed uint64, share float64) Hook {
	return func(c Call) Fault {
		h := fnv.New64a()
		_, _ = fmt.Fprintf(h, "%s\x00%s\x00%d", c.Op, c.Key, c.ForKey)
		random := rand.New(rand.NewPCG(seed, h.Sum64()))
		if random.Float64() >= share {
			return Fault{}
		}
		switch random.IntN(3) {
		case 0:
			return Fault{Before: ErrInjected}
		case 1:
			return Fault{After: ErrInjected}
		}
		return Fault{Cut: true, CutAfter: random.Int64N(64 << 10)}
	}
}

// begin counts the call and does what comes before the work.
func (f *Faulty) begin(ctx context.Context, op Op, key string) (Fault, error) {
	return f.beginCall(ctx, Call{Op: op, Key: key})
}

func (f *Faulty) beginCall(ctx context.Context, call Call) (Fault, error) {
	f.mu.Lock()
	f.calls[call.Op]++
	f.forKey[opKey{call.Op, call.Key}]++
	call.N, call.ForKey = f.calls[call.Op], f.forKey[opKey{call.Op, call.Key}]
	hook := f.hook
	f.mu.Unlock()
	if hook == nil {
		return Fault{}, nil
	}
	fault := hook(call)
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-ctx.Done():
			return fault, ctx.Err()
		}
	}
	if fault.Hang != nil {
		select {
		case <-fault.Hang:
		case <-ctx.Done():
			return fault, ctx.Err()
		}
	}
	return fault, fault.Before
}

// or returns err, or else the fault that comes after the work.
func (f Fault) or(err error) error {
	if err != nil {
		return err
	}
	return f.After
}

// Put implements Store.
func (f *Faulty) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	fault, err := f.beginCall(ctx, Call{Op: OpPut, Key: key, Size: size})
	if err != nil {
		return bucket.Info{}, err
	}
	if fault.Cut && fault.CutAfter < size {
		body = cutReaderAt{body, fault.CutAfter}
	}
	info, err := f.inner.Put(ctx, key, body, size, opts)
	if err = fault.or(err); err != nil {
		return bucket.Info{}, err
	}
	return info, nil
}

// cutReaderAt fails from an offset on.
type cutReaderAt struct {
	body io.ReaderAt
	end  int64
}

func (c cutReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= c.end {
		return c.body.ReadAt(p, off)
	}
	n, err := c.body.ReadAt(p[:max(0, c.end-off)], off)
	if err == nil {
		err = ErrInjected
	}
	return n, err
}

// Copy implements Store.
func (f *Faulty) Copy(ctx context.Context, from bucket.Info, to string, public bool) (bucket.Info, error) {
	fault, err := f.begin(ctx, OpCopy, from.Key)
	if err != nil {
		return bucket.Info{}, err
	}
	info, err := f.inner.Copy(ctx, from, to, public)
	if err = fault.or(err); err != nil {
		return bucket.Info{}, err
	}
	return info, nil
}

// Get implements Store.
func (f *Faulty) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	fault, err := f.begin(ctx, OpGet, key)
	if err != nil {
		return nil, err
	}
	object, err := f.inner.Get(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	if fault.After != nil {
		_ = object.Body.Close()
		return nil, fault.After
	}
	if fault.Cut {
		object.Body = &cutBody{ReadCloser: object.Body, left: fault.CutAfter}
	}
	return object, nil
}

// cutBody fails after some bytes, as a broken connection does.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, ErrInjected
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// Head implements Store.
func (f *Faulty) Head(ctx context.Context, key string) (bucket.Info, error) {
	fault, err := f.begin(ctx, OpHead, key)
	if err != nil {
		return bucket.Info{}, err
	}
	info, err := f.inner.Head(ctx, key)
	if err = fault.or(err); err != nil {
		return bucket.Info{}, err
	}
	return info, nil
}

// Delete implements Store.
func (f *Faulty) Delete(ctx context.Context, keys ...string) error {
	first := ""
	if len(keys) > 0 {
		first = keys[0]
	}
	fault, err := f.beginCall(ctx, Call{Op: OpDelete, Key: first, Keys: keys})
	if err != nil {
		return err
	}
	return fault.or(f.inner.Delete(ctx, keys...))
}

// List implements Store.
func (f *Faulty) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return f.list(ctx, f.inner.List, prefix, after)
}

// ListNames implements Store. It is an OpList.
func (f *Faulty) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return f.list(ctx, f.inner.ListNames, prefix, after)
}

func (f *Faulty) list(ctx context.Context, inner func(context.Context, string, string) iter.Seq2[bucket.Info, error], prefix, after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		fault, err := f.begin(ctx, OpList, prefix)
		if err != nil {
			yield(bucket.Info{}, err)
			return
		}
		var n int64
		left := false
		for info, err := range inner(ctx, prefix, after) {
			if err == nil && fault.Cut && n == fault.CutAfter {
				info, err = bucket.Info{}, ErrInjected
			}
			n++
			if fault.Unlisted != nil && err == nil && fault.Unlisted.Covers(info.Key) {
				if left {
					continue
				}
				left, info, err = true, bucket.Info{}, fault.Unlisted
			}
			if !yield(info, err) || err != nil && !bucket.IsUnlisted(err) {
				return
			}
		}
		if fault.After != nil {
			yield(bucket.Info{}, fault.After)
		}
	}
}

// PresignGet implements Store.
func (f *Faulty) PresignGet(ctx context.Context, key string, ttl time.Duration) (string, error) {
	fault, err := f.begin(ctx, OpPresignGet, key)
	if err != nil {
		return "", err
	}
	url, err := f.inner.PresignGet(ctx, key, ttl)
	return url, fault.or(err)
}

// AbortUploads implements Store.
func (f *Faulty) AbortUploads(ctx context.Context, prefix string, age time.Duration) (int, error) {
	fault, err := f.begin(ctx, OpAbortUploads, prefix)
	if err != nil {
		return 0, err
	}
	n, err := f.inner.AbortUploads(ctx, prefix, age)
	return n, fault.or(err)
}

// Probe implements Store.
func (f *Faulty) Probe(ctx context.Context, prefix string, closed ...string) (bucket.Capabilities, error) {
	fault, err := f.begin(ctx, OpProbe, prefix)
	if err != nil {
		return bucket.Capabilities{}, err
	}
	caps, err := f.inner.Probe(ctx, prefix, closed...)
	return caps, fault.or(err)
}

// Admit implements Store. The check is no call of it: it has no faults.
func (f *Faulty) Admit(check bucket.Admission) { f.inner.Admit(check) }

// Check implements Store. It is no call of it: it has no faults.
func (f *Faulty) Check(ctx context.Context) error { return f.inner.Check(ctx) }

// String implements Store.
func (f *Faulty) String() string { return f.inner.String() }

// Close implements Store.
func (f *Faulty) Close() error { return f.inner.Close() }
