package buckettest

import (
	"bytes"
	"context"
	"crypto/md5" // what ETags are by definition, not for secrecy
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// testTime bounds each test of the suite.
const testTime = 3 * time.Minute

// Run runs the contract suite. open returns a new, empty store each time it is
// called; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) bucket.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context, bucket.Store)
	}{
		{"Sizes", testSizes},
		{"Describes", testDescribes},
		{"Keys", testKeys},
		{"RefusedKeys", testRefusedKeys},
		{"RefusedOptions", testRefusedOptions},
		{"Ranges", testRanges},
		{"ReadsVersion", testReadsVersion},
		{"ShortBody", testShortBody},
		{"WrongMD5", testWrongMD5},
		{"ChangingBody", testChangingBody},
		{"UnreadableBody", testUnreadableBody},
		{"BodyIsLent", testBodyIsLent},
		{"CreateOnly", testCreateOnly},
		{"CreateOnlyLarge", testCreateOnlyLarge},
		{"CreateOnlyRace", testCreateOnlyRace},
		{"CompareAndSwap", testCompareAndSwap},
		{"CompareAndSwapRace", testCompareAndSwapRace},
		{"WholeOrNothing", testWholeOrNothing},
		{"ReadAfterWrite", testReadAfterWrite},
		{"Absent", testAbsent},
		{"Delete", testDelete},
		{"DeleteMany", testDeleteMany},
		{"Copy", testCopy},
		{"CopyKeys", testCopyKeys},
		{"CopyVersion", testCopyVersion},
		{"ListOrder", testListOrder},
		{"ListParts", testListParts},
		{"ListNames", testListNames},
		{"AtMost", testAtMost},
		{"ListMany", testListMany},
		{"Ended", testEnded},
		{"CancelledPut", testCancelledPut},
		{"CancelledGet", testCancelledGet},
		{"AbortUploads", testAbortUploads},
		{"Probe", testProbe},
		{"PresignGet", testPresignGet},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := open(t)
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), testTime)
			defer cancel()
			c.test(t, ctx, store)
		})
	}
}

// Pattern is a body of a given size, the same for the same seed, that takes no
// memory.
type Pattern struct {
	Seed uint64
	Size int64
}

// noise is what patterns are cut from: each block of a body is it, turned by
// an amount of the block's own.
var noise = func() (block [64 << 10]byte) {
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(block[:])
	return block
}()

// ReadAt implements io.ReaderAt.
func (p Pattern) ReadAt(buf []byte, off int64) (int, error) {
	n := 0
	for n < len(buf) && off < p.Size {
		turn := (p.Seed + uint64(off)/uint64(len(noise)) + 1) * 0x9e3779b97f4a7c15 >> 32
		at := (uint64(off) + turn) % uint64(len(noise))
		inBlock := int64(len(noise)) - off%int64(len(noise))
		m := copy(buf[n:], noise[at:min(at+uint64(min(inBlock, p.Size-off)), uint64(len(noise)))])
		n, off = n+m, off+int64(m)
	}
	if n < len(buf) {
		return n, io.EOF
	}
	return n, nil
}

// Reader reads the whole body.
func (p Pattern) Reader() io.Reader { return io.NewSectionReader(p, 0, p.Size) }

// MD5 is that of the whole body, in hex.
func (p Pattern) MD5() string { return MD5(p.Reader()) }

// MD5 is that of what r yields, in hex; the error's text if it fails.
func MD5(r io.Reader) string {
	sum := md5.New()
	if _, err := io.Copy(sum, r); err != nil {
		return err.Error()
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// PutText stores a text.
func PutText(ctx context.Context, s bucket.Store, key, text string, opts bucket.PutOptions) (bucket.Info, error) {
	return s.Put(ctx, key, strings.NewReader(text), int64(len(text)), opts)
}

// put stores a short text and fails the test if that fails.
func put(t *testing.T, ctx context.Context, s bucket.Store, key, body string) bucket.Info {
	t.Helper()
	info, err := s.Put(ctx, key, bytes.NewReader([]byte(body)), int64(len(body)), bucket.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// tryPut stores a short text with options.
func tryPut(ctx context.Context, s bucket.Store, key, body string, opts bucket.PutOptions) (bucket.Info, error) {
	return s.Put(ctx, key, bytes.NewReader([]byte(body)), int64(len(body)), opts)
}

func get(ctx context.Context, s bucket.Store, key string, opts bucket.GetOptions) (string, bucket.Info, error) {
	o, err := s.Get(ctx, key, opts)
	if err != nil {
		return "", bucket.Info{}, err
	}
	body, err := io.ReadAll(o.Body)
	return string(body), o.Info, errors.Join(err, o.Body.Close())
}

// wantContent fails the test unless key has the content.
func wantContent(t *testing.T, ctx context.Context, s bucket.Store, key, want string) {
	t.Helper()
	got, _, err := get(ctx, s, key, bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("%s has %.40q, want %.40q", key, got, want)
	}
}

// wantError fails the test unless err is of the kind.
func wantError(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%s: got error %v, want one that is: %v", what, err, kind)
	}
}

// list returns all keys, and fails the test on error.
func list(t *testing.T, ctx context.Context, s bucket.Store, prefix, after string) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(ctx, prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// inParallel runs n calls at once and returns their errors.
func inParallel(n int, call func(i int) error) []error {
	errs := make([]error, n)
	done := make(chan struct{})
	start := make(chan struct{})
	for i := range n {
		go func() {
			<-start
			errs[i] = call(i)
			done <- struct{}{}
		}()
	}
	close(start)
	for range n {
		<-done
	}
	return errs
}

func textOf(n int) string { return fmt.Sprintf("content number %d", n) }

func readerOf(s string) io.Reader { return bytes.NewReader([]byte(s)) }

// CheckError fails the test unless err is the sentinel want (nil: none of them) and has
// text in it.
func CheckError(t testing.TB, err, want error, text string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	sentinels := []error{
		bucket.ErrNotFound, bucket.ErrExists, bucket.ErrChanged, bucket.ErrRange, bucket.ErrRefused,
		bucket.ErrDenied, bucket.ErrFull, bucket.ErrNoBucket, bucket.ErrClock, bucket.ErrUnsupported,
	}
	for _, sentinel := range sentinels {
		if is := errors.Is(err, sentinel); is != errors.Is(want, sentinel) {
			t.Errorf("is %q: %v, for: %v", sentinel, is, err)
		}
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("lacks %q: %v", text, err)
	}
}
