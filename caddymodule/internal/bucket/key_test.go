package bucket

import (
	"errors"
	"io"
	"path"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"", "a", "/a", "a//b", "a/../b", "a\x00", "a\xff", strings.Repeat("a", 256), "é/日.jpg", "a.json/b", ".nfs1"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		err := CheckKey(key)
		if err != nil {
			if !errors.Is(err, ErrRefused) || !utf8.ValidString(err.Error()) || len(err.Error()) > 2000 {
				t.Errorf("a bad error: %q", err)
			}
			return
		}
		if path.Clean("/"+key) != "/"+key || !utf8.ValidString(key) || strings.ContainsAny(key, "\x00\n\r\x1b\x7f") || len(key) > 1024 {
			t.Errorf("%q was taken", key)
		}
		if dirKeyFault(key) == "" && isReserved(strings.SplitN(key, "/", 2)[0]) {
			t.Errorf("%q was taken for a directory", key)
		}
		meta := metaName(key)
		if path.Clean(meta) != meta || !strings.HasPrefix(meta, dirMeta+"/") {
			t.Errorf("%q has the record %q", key, meta)
		}
	})
}

func FuzzUnixTime(f *testing.F) {
	for _, s := range []string{"0", "1.5", "-1.5", "-0.000000001", "1e9", "1.", ".5", "--1", "9999999999999999999", "1.0000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := parseUnix(s)
		if got.IsZero() {
			return
		}
		if again := parseUnix(formatUnix(got)); !again.Equal(got) {
			t.Errorf("%q: %v became %v", s, got, again)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/10")
	f.Add("bytes */10")
	f.Fuzz(func(t *testing.T, s string) {
		if first, last, size, ok := parseContentRange(s); ok && (first < 0 || last < first || size < 0) {
			t.Errorf("%q gave %d-%d/%d", s, first, last, size)
		}
	})
}

func TestUnixTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"1700000000":           time.Unix(1700000000, 0),
		"1700000000.123456789": time.Unix(1700000000, 123456789),
		"1.5":                  time.Unix(1, 5e8),
		"-1.5":                 time.Unix(-2, 5e8),
		"-0.25":                time.Unix(-1, 75e7),
		"0":                    time.Unix(0, 0),
	} {
		if got := parseUnix(text); !got.Equal(want) {
			t.Errorf("parseUnix(%q) = %v, want %v", text, got, want)
		}
		if got := formatUnix(want); got != text {
			t.Errorf("formatUnix(%v) = %q, want %q", want, got, text)
		}
	}
	for _, text := range []string{"", "x", "1.x", "1.5.5", "1.", "+1", "99999999999999", "2026-01-01"} {
		if got := parseUnix(text); !got.IsZero() {
			t.Errorf("parseUnix(%q) = %v", text, got)
		}
	}
}

// "parts ≥ 8 MiB, grown so that ≤ 10,000 parts".
func TestPartSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1, 16<<20 + 1, 8 << 20 * 10_000, 8<<20*10_000 + 1, 1 << 40, maxObjectSize} {
		part := partSizeFor(size)
		if parts := (size + part - 1) / part; part < minPartSize || parts > maxParts || part > 5<<30 || part%(1<<20) != 0 {
			t.Errorf("%d bytes: %d parts of %d", size, parts, part)
		}
	}
}

func TestRangeHeader(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string]GetOptions{
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
