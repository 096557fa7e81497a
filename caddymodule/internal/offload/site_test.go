package offload

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
)

// patience bounds every wait of a test; a busy machine takes its time.
const patience = 2 * time.Minute

// longestPause is between two looks at what nothing signals: tests that look all the
// time take it from those that they wait for.
const longestPause = 20 * time.Millisecond

// site is an app's media directory, a bucket in another, and an engine
// between them.
type site struct {
	t      *testing.T
	dir    string // of the media
	more   []media.Root
	bucket string
	s3     *s3.Config   // the bucket, instead of the directory
	admin  *s3.Config   // who looks at it, if the engine is another user
	store  bucket.Store // the bucket, instead of both
	mount  mount        // of the bucket, if it is on a disk of its own
	logs   *logBuffer
	cfg    Config
	calls  *calls
	faults *buckettest.Faulty
	hook   buckettest.Hook // of faults at the start
	hosts  []string        // that the configuration names
	set    func(*Engine)   // before it starts
	e      *Engine
	// The admin's lists of patterns.
	openly, keepPrivate, ignore []string
}

func newSite(t *testing.T, change ...func(*Config)) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), bucket: t.TempDir(), logs: new(logBuffer)}
	s.calls = &calls{}
	s.cfg = Config{ScanInterval: 20 * time.Millisecond}
	for _, f := range change {
		f(&s.cfg)
	}
	return s
}

// start starts an engine on what is there now.
func (s *site) start() *Engine {
	s.t.Helper()
	s.calls.mu.Lock()
	s.faults = buckettest.NewFaulty(s.open(), s.hook)
	s.calls.Store = s.faults
	s.calls.mu.Unlock()
	m, err := media.New(media.Config{
		Preset: "generic", Roots: append([]media.Root{{Dir: s.dir, URL: "/uploads/"}}, s.more...),
		Public: s.openly, Private: s.keepPrivate, Ignore: s.ignore,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := s.cfg
	cfg.Site, cfg.Store = m, s.calls
	cfg.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(s.logs, testWriter{s.t}), nil))
	e, err := New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	e.guard.SetHosts(s.hosts)
	if s.set != nil {
		s.set(e)
	}
	e.Start()
	s.e = e
	s.t.Cleanup(s.stop)
	return e
}

// ready starts an engine and waits for its first reconcile.
func (s *site) ready() *Engine {
	s.t.Helper()
	e := s.start()
	s.until("the first reconcile", func() bool { st := e.Stats(); return !st.Reconciled.IsZero() && st.Pending == 0 })
	return e
}

func (s *site) stop() {
	if s.e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.e.Stop(ctx); err != nil {
		s.t.Errorf("stopping: %v", err)
	}
	s.e = nil
}

// kill stops the engine as if the process had been killed: nothing is put in
// order on disk.
func (s *site) kill() {
	note, deletes := s.note(), s.noted()
	withheld, err := local.NewTree(s.dir).ReadNote(local.WithheldDeletes, 1<<30)
	mustDo(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.e.Stop(ctx); err != nil {
		s.t.Errorf("stopping: %v", err)
	}
	s.e = nil
	s.setNote(note)
	mustDo(s.t, local.NewTree(s.dir).SetNote(local.NotedDeletes, deletes))
	mustDo(s.t, local.NewTree(s.dir).SetNote(local.WithheldDeletes, withheld))
}

// note is the mark on the root that says that requests run.
func (s *site) note() string { return local.NewTree(s.dir).DirNote("", local.AttrRunning) }

func (s *site) setNote(note string) {
	s.t.Helper()
	if err := local.NewTree(s.dir).SetDirNote("", local.AttrRunning, note); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; !ok(); pause = min(pause+pause/4, longestPause) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for %s; stats %+v", what, s.e.Stats())
		}
		time.Sleep(pause) // nothing signals this from outside
	}
}

// idle waits until nothing is queued.
func (s *site) idle() {
	s.t.Helper()
	s.until("an empty queue", func() bool {
		if err := s.e.barrier(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		return s.e.Stats().Pending == 0
	})
}

// request does f as the app would during a request, and waits for its files.
func (s *site) request(f func()) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r := s.e.beginRunning(ctx, "client")
	defer r.End()
	f()
	return r.Wait(ctx)
}

// beginRunning begins a request that the app is at work on.
func (e *Engine) beginRunning(ctx context.Context, client string) *Request {
	r := e.Begin(ctx, client)
	r.AppRuns()
	return r
}

// giveUp does f as the app would during a request, and gives up when its answer is
// held and ok.
func (s *site) giveUp(f func(), ok func() bool) error {
	s.t.Helper()
	r := s.e.beginRunning(s.t.Context(), "client")
	defer r.End()
	f()
	return s.waitUntil(r, ok)
}

// waitUntil waits for a request's files until ok, once it is known which they are: no
// time would be short enough for the test, and long enough for a busy machine. It
// returns what the client is told.
func (s *site) waitUntil(r *Request, ok func() bool) (err error) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	held, told := s.e.Stats().Held, make(chan error, 1)
	go func() { told <- r.Wait(ctx) }()
	ended := false
	s.until("the end of a request", func() bool {
		select {
		case err = <-told:
			ended = true
		default:
		}
		return ended || s.e.Stats().Held > held && ok()
	})
	if !ended {
		cancel()
		err = <-told
	}
	return err
}

// always is for a request that gives up as soon as its answer is held.
func always() bool { return true }

// isOlder reports whether the node takes the bucket for one in an older state.
func (s *site) isOlder() bool {
	older, _ := s.e.guard.Older()
	return older
}

// seesAway reports whether the node knows that the bucket is away.
func (s *site) seesAway() bool { return s.e.guard.Away() != nil }

func (s *site) mustRequest(f func()) {
	s.t.Helper()
	if err := s.request(f); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) path(key string) string { return filepath.Join(s.dir, filepath.FromSlash(key)) }

func (s *site) write(key, content string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(key)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := writeAlone(s.path(key), content); err != nil {
		s.t.Fatal(err)
	}
}

// writeAlone writes a file while no other test starts a process: until that runs it has
// every file open that this process has, and who writes a file is not done with it then.
func writeAlone(name, content string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(name, []byte(content), 0o644)
}

// writeAll writes files that differ in content.
func (s *site) writeAll(keys []string) {
	s.t.Helper()
	for _, key := range keys {
		s.write(key, "content of "+key)
	}
}

func (s *site) remove(key string) {
	s.t.Helper()
	if err := os.RemoveAll(s.path(key)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) rename(from, to string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(to)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.path(from), s.path(to)); err != nil {
		s.t.Fatal(err)
	}
}

// disk returns the content of all files that may leave it, by key.
func (s *site) disk() map[string]string {
	s.t.Helper()
	return readTree(s.t, s.dir, func(key string) bool { return s.e == nil || s.e.site.Class(key, nil) != media.Ignored })
}

// objects returns the public objects by key.
func (s *site) objects() map[string]string {
	return s.below("media/")
}

func (s *site) private() map[string]string {
	return s.below("private/")
}

func readTree(t *testing.T, dir string, want func(key string) bool) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil || !want(filepath.ToSlash(rel)) || health.IsTrial(path.Base(name)) {
			return err
		}
		content, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			return nil // removed meanwhile
		}
		files[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// equal checks that the public objects are the files on disk, byte for byte.
func (s *site) equal() {
	s.t.Helper()
	compare(s.t, s.disk(), s.objects())
}

func compare(t *testing.T, disk, objects map[string]string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(disk)) {
		switch got, ok := objects[key]; {
		case !ok:
			t.Errorf("%s is on disk, not in the bucket", key)
		case got != disk[key]:
			t.Errorf("%s differs: disk has %d bytes %s, bucket %d bytes %s",
				key, len(disk[key]), shortHash(disk[key]), len(got), shortHash(got))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if _, ok := disk[key]; !ok {
			t.Errorf("%s is in the bucket, not on disk", key)
		}
	}
}

func shortHash(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// calls is a store that counts, and fails as it is told.
type calls struct {
	mu sync.Mutex
	bucket.Store
	puts, deletes, heads []string
	onPut                func(key string) error // before
	afterPut             func(key string) error // the answer
	onDelete             func(keys []string) error
}

func (c *calls) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.puts, c.deletes, c.heads = nil, nil, nil
}

func (c *calls) set(f func(*calls)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

func (c *calls) did() (puts, deletes, heads int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.puts), len(c.deletes), len(c.heads)
}

func (c *calls) Put(ctx context.Context, key string, body io.ReaderAt, size int64, opts bucket.PutOptions) (bucket.Info, error) {
	if key == "offload/"+identity.ObjectName { // once, at the start
		return c.Store.Put(ctx, key, body, size, opts)
	}
	c.mu.Lock()
	c.puts = append(c.puts, key)
	before, after := c.onPut, c.afterPut
	c.mu.Unlock()
	if before != nil {
		if err := before(key); err != nil {
			return bucket.Info{}, err
		}
	}
	info, err := c.Store.Put(ctx, key, body, size, opts)
	if err == nil && after != nil {
		if err := after(key); err != nil {
			return bucket.Info{}, err
		}
	}
	return info, err
}

func (c *calls) Delete(ctx context.Context, keys ...string) error {
	c.mu.Lock()
	c.deletes = append(c.deletes, strings.Join(keys, " "))
	before := c.onDelete
	c.mu.Unlock()
	if before != nil && !isTrial(keys) {
		if err := before(keys); err != nil {
			return err
		}
	}
	return c.Store.Delete(ctx, keys...)
}

// isTrial reports whether what is deleted is of a trial of the bucket, which a node begins
// by itself where an answer is slow in coming, as on a busy machine.
func isTrial(keys []string) bool {
	return len(keys) > 0 && strings.Contains(keys[0], "/.media-offload-trial-")
}

func (c *calls) Head(ctx context.Context, key string) (bucket.Info, error) {
	c.mu.Lock()
	c.heads = append(c.heads, key)
	c.mu.Unlock()
	return c.Store.Head(ctx, key)
}

// logBuffer keeps the log for tests to look at.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.buf.String(), text)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// atOnce is how many tests run at once if -parallel does not say it: they wait for
// leases, pauses and disks much more than they compute.
const atOnce = 8

func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce))
	}
	goleak.VerifyTestMain(m)
}

func names(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("2026/11/photo-%d.jpg", i))
	}
	return keys
}

func fullHash(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func (s *site) readObject(key string) string {
	content, err := os.ReadFile(filepath.Join(s.bucket, "media", filepath.FromSlash(key)))
	if err != nil {
		return ""
	}
	return string(content)
}
