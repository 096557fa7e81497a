package buckettest

import (
	"bytes"
	"context"
	"crypto/md5" // what ETags are by definition, not for secrecy
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// memoryPage is how many keys one request for a list returns.
const memoryPage = 1000

// Memory is a store in memory, for tests of many short histories. Each request takes
// effect at one moment; the time is that of the bubble it is used in.
type Memory struct {
	mu      sync.Mutex
	objects map[string]memoryObject
	keys    []string // of objects, sorted
	calls   map[Op]int
	onPut   func(key string, content []byte)
}

type memoryObject struct {
	info    bucket.Info
	content []byte
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{objects: map[string]memoryObject{}, calls: map[Op]int{}}
}

// OnPut has f called with each object that is stored from now on, before anybody can
// see it. f must not call the store.
func (m *Memory) OnPut(f func(key string, content []byte)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onPut = f
}

// Requests returns how many requests came, of the given kinds or of all.
func (m *Memory) Requests(ops ...Op) (sum int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for op, n := range m.calls {
		if len(ops) == 0 || slices.Contains(ops, op) {
			sum += n
		}
	}
	return sum
}

// Contents returns what the objects below a prefix hold, by the rest of their keys.
func (m *Memory) Contents(prefix string) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]string{}
	for key, o := range m.objects {
		if rest, below := strings.CutPrefix(key, prefix); below {
			all[rest] = string(o.content)
		}
	}
	return all
}

// begin locks the store for one request. The caller unlocks it.
func (m *Memory) begin(ctx context.Context, op Op, keys ...string) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	for _, key := range keys {
		if err := bucket.CheckKey(key); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	m.calls[op]++
	return m.mu.Unlock, nil
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	if err := bucket.CheckPut(key, size, &opts); err != nil {
		return bucket.Info{}, err
	}
	content, sum, err := readBody(ctx, body, size)
	if err != nil {
		return bucket.Info{}, err
	}
	if len(opts.MD5) > 0 && !bytes.Equal(opts.MD5, sum) {
		return bucket.Info{}, fmt.Errorf("storing %s: %w: the body has another MD5", key, bucket.ErrRefused)
	}
	unlock, err := m.begin(ctx, OpPut)
	if err != nil {
		return bucket.Info{}, err
	}
	defer unlock()
	old, exists := m.objects[key]
	switch {
	case opts.IfNoneMatch && exists:
		return bucket.Info{}, bucket.ErrExists
	case opts.IfMatch != "" && old.info.ETag != opts.IfMatch:
		return bucket.Info{}, bucket.ErrChanged
	}
	info := opts.Info
	info.Key, info.Size, info.ETag = key, size, hex.EncodeToString(sum)
	info.ModTime, info.Meta = bucket.StorableTime(info.ModTime), maps.Clone(info.Meta)
	return m.set(info, content), nil
}

// readBody reads a body twice, as a store does that verifies what it has got.
func readBody(ctx context.Context, body io.ReaderAt, size int64) (content, sum []byte, err error) {
	read := bytes.NewBuffer(make([]byte, 0, size))
	first, second := md5.New(), md5.New()
	for _, w := range []io.Writer{io.MultiWriter(read, first), second} {
		n, err := bucket.CopyExactly(ctx, w, body, size)
		if err != nil {
			return nil, nil, err
		}
		if n < size {
			return nil, nil, bucket.ShortBody(n, size)
		}
	}
	sum = first.Sum(nil)
	if !bytes.Equal(sum, second.Sum(nil)) {
		return nil, nil, fmt.Errorf("%w: the body changed while it was read", bucket.ErrRefused)
	}
	return read.Bytes(), sum, nil
}

// set makes an object. The caller holds mu.
func (m *Memory) set(info bucket.Info, content []byte) bucket.Info {
	info.Stored = time.Now().Truncate(time.Second)
	if at, found := slices.BinarySearch(m.keys, info.Key); !found {
		m.keys = slices.Insert(m.keys, at, info.Key)
	}
	m.objects[info.Key] = memoryObject{info: info, content: content}
	if m.onPut != nil {
		m.onPut(info.Key, content)
	}
	return info
}

// Copy implements Store.
func (m *Memory) Copy(ctx context.Context, from bucket.Info, to string, _ bool) (bucket.Info, error) {
	unlock, err := m.begin(ctx, OpCopy, from.Key, to)
	if err != nil {
		return bucket.Info{}, err
	}
	defer unlock()
	o, exists := m.objects[from.Key]
	switch {
	case !exists:
		return bucket.Info{}, bucket.ErrNotFound
	case o.info.ETag != from.ETag:
		return bucket.Info{}, bucket.ErrChanged
	}
	o.info.Key = to
	return m.set(o.info, o.content), nil
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key string, opts bucket.GetOptions) (*bucket.Object, error) {
	unlock, err := m.begin(ctx, OpGet, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	o, exists := m.objects[key]
	switch {
	case !exists:
		return nil, bucket.ErrNotFound
	case opts.IfMatch != "" && o.info.ETag != opts.IfMatch:
		return nil, bucket.ErrChanged
	case opts.AtMost > 0 && o.info.Size > opts.AtMost:
		return nil, bucket.ErrTooLarge
	}
	part := o.content
	if opts.Offset != 0 || opts.Length != 0 {
		if opts.Offset < 0 || opts.Length < 0 || opts.Offset >= o.info.Size {
			return nil, bucket.ErrRange
		}
		if part = part[opts.Offset:]; opts.Length > 0 {
			part = part[:min(opts.Length, int64(len(part)))]
		}
	}
	o.info.Meta = maps.Clone(o.info.Meta)
	return &bucket.Object{Info: o.info, Body: &memoryBody{ctx: ctx, left: part}}, nil
}

// memoryBody ends with its context.
type memoryBody struct {
	ctx  context.Context
	left []byte
}

func (b *memoryBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if len(b.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

func (b *memoryBody) Close() error { return nil }

// Head implements Store.
func (m *Memory) Head(ctx context.Context, key string) (bucket.Info, error) {
	unlock, err := m.begin(ctx, OpHead, key)
	if err != nil {
		return bucket.Info{}, err
	}
	defer unlock()
	o, exists := m.objects[key]
	if !exists {
		return bucket.Info{}, bucket.ErrNotFound
	}
	o.info.Meta = maps.Clone(o.info.Meta)
	return o.info, nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, keys ...string) error {
	unlock, err := m.begin(ctx, OpDelete, keys...)
	if err != nil {
		return err
	}
	defer unlock()
	for _, key := range keys {
		delete(m.objects, key)
		if at, found := slices.BinarySearch(m.keys, key); found {
			m.keys = slices.Delete(m.keys, at, at+1)
		}
	}
	return nil
}

// List implements Store.
func (m *Memory) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return inPages(func(after string) ([]bucket.Info, error) { return m.page(ctx, prefix, after) }, after)
}

// inPages yields what a request after the other returns.
func inPages(request func(after string) ([]bucket.Info, error), after string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		for {
			page, err := request(after)
			if err != nil {
				yield(bucket.Info{}, err)
				return
			}
			for _, info := range page {
				if !yield(info, nil) {
					return
				}
				after = info.Key
			}
			if len(page) < memoryPage {
				return
			}
		}
	}
}

// page is one request of List.
func (m *Memory) page(ctx context.Context, prefix, after string) (page []bucket.Info, err error) {
	unlock, err := m.begin(ctx, OpList)
	if err != nil {
		return nil, err
	}
	defer unlock()
	at, _ := slices.BinarySearch(m.keys, max(prefix, after))
	for _, key := range m.keys[at:] {
		if len(page) == memoryPage || !strings.HasPrefix(key, prefix) {
			break
		}
		if key > after {
			info := m.objects[key].info
			page = append(page, bucket.Info{Key: key, Size: info.Size, ETag: info.ETag, Stored: info.Stored})
		}
	}
	return page, nil
}

// ListNames implements Store.
func (m *Memory) ListNames(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	return m.List(ctx, prefix, after)
}

// PresignGet implements Store.
func (m *Memory) PresignGet(context.Context, string, time.Duration) (string, error) {
	return "", bucket.ErrUnsupported
}

// AbortUploads implements Store: there are none.
func (m *Memory) AbortUploads(ctx context.Context, _ string, _ time.Duration) (int, error) {
	return 0, ctx.Err()
}

// Probe implements Store.
func (m *Memory) Probe(ctx context.Context, prefix string, _ ...string) (bucket.Capabilities, error) {
	return bucket.Probe(ctx, m, prefix)
}

// Admit implements Store: a memory is always the same bucket.
func (m *Memory) Admit(bucket.Admission) {}

// Check implements Store: it takes anything.
func (m *Memory) Check(context.Context) error { return nil }

// String implements Store.
func (m *Memory) String() string { return "memory" }

// Close implements Store.
func (m *Memory) Close() error { return nil }
