package bucket

import (
	"errors"
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
	})
}

func FuzzUnixTime(f *testing.F) {
	for _, s := range []string{"0", "1.5", "-1.5", "-0.000000001", "1e9", "1.", ".5", "--1", "9999999999999999999", "1.0000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ParseUnix(s)
		if got.IsZero() {
			return
		}
		if again := ParseUnix(FormatUnix(got)); !again.Equal(got) {
			t.Errorf("%q: %v became %v", s, got, again)
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
		if got := ParseUnix(text); !got.Equal(want) {
			t.Errorf("ParseUnix(%q) = %v, want %v", text, got, want)
		}
		if got := FormatUnix(want); got != text {
			t.Errorf("FormatUnix(%v) = %q, want %q", want, got, text)
		}
	}
	for _, text := range []string{"", "x", "1.x", "1.5.5", "1.", "+1", "99999999999999", "2026-01-01"} {
		if got := ParseUnix(text); !got.IsZero() {
			t.Errorf("ParseUnix(%q) = %v", text, got)
		}
	}
}
