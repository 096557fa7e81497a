package s3

import (
	"io"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/10")
	f.Add("bytes */10")
	f.Fuzz(func(t *testing.T, s string) {
		if first, last, size, ok := parseContentRange(s); ok && (first < 0 || last < first || size < 0) {
			t.Errorf("%q gave %d-%d/%d", s, first, last, size)
		}
	})
}

// "parts ≥ 8 MiB, grown so that ≤ 10,000 parts".
func TestPartSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1, 16<<20 + 1, 8 << 20 * 10_000, 8<<20*10_000 + 1, 1 << 40, bucket.MaxObjectSize} {
		part := partSizeFor(size)
		if parts := (size + part - 1) / part; part < minPartSize || parts > maxParts || part > 5<<30 || part%(1<<20) != 0 {
			t.Errorf("%d bytes: %d parts of %d", size, parts, part)
		}
	}
}

func TestRangeHeader(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string]bucket.GetOptions{
		"bytes=5-": {Offset: 5}, "bytes=0-0": {Length: 1}, "bytes=5-9": {Offset: 5, Length: 5},
		"bytes=9223372036854775807-": {Offset: 1<<63 - 1, Length: 5},
	} {
		if got, err := rangeHeader(opts); err != nil || *got != want {
			t.Errorf("%+v: %v, %v", opts, got, err)
		}
	}
}

// A released body is not read again, whoever still holds it.
func TestGuardedBody(t *testing.T) {
	t.Parallel()
	b := &guardedBody{body: strings.NewReader("content"), size: 7}
	buf := make([]byte, 4)
	if n, err := b.ReadAt(buf, 3); n != 4 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	b.release()
	if n, err := b.ReadAt(buf, 0); n != 0 || err == nil || err == io.EOF {
		t.Errorf("after release: read %d, %v", n, err)
	}
	if b.fault() != nil {
		t.Errorf("fault: %v", b.fault())
	}
}
