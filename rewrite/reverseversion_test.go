package rewrite

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

func newVersionReverse(t testing.TB) *Reverse {
	t.Helper()
	r, err := NewReverse(ReverseConfig{Bases: map[string]string{"https://cdn.test/m/": "/media/"}, Version: "v=mo####"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var versionCases = []struct{ ct, in, out string }{
	{typeJSON, `{"a":"https://cdn.test/m/a?v=mo01aF"}`, `{"a":"https://www.example.com/media/a"}`},
	{typeJSON, `["https:\/\/cdn.test\/m\/a?v=mo01af#x","https://cdn.test/m/a?x=1&v=mo01af#y"]`, `["https:\/\/www.example.com\/media\/a#x","https://www.example.com/media/a?x=1#y"]`},
	{typeJSON, `["https://cdn.test/m/a?v=mo01af&x=1","https://cdn.test/m/a?v=mo01af\u0026amp;x=1","https://cdn.test/m/a?y&amp;v=mo01af&#38;x"]`, `["https://www.example.com/media/a?x=1","https://www.example.com/media/a?x=1","https://www.example.com/media/a?y&#38;x"]`},
	{typeForm, "a=https%3A%2F%2Fcdn.test%2Fm%2Fa%3Fv%3Dmo01af&b=1", "a=https%3A%2F%2Fwww.example.com%2Fmedia%2Fa&b=1"},
	{typeForm, "a=https%3A%2F%2Fcdn.test%2Fm%2Fa%3Fv%3Dmo01af%26x%3D1&b=1", "a=https%3A%2F%2Fwww.example.com%2Fmedia%2Fa%3Fx%3D1&b=1"},
	{typeForm, "a=https://cdn.test/m/a?v=mo01af&b=1", "a=https://www.example.com/media/a&b=1"},
	{typeForm, "a=https%253A%252F%252Fcdn.test%252Fm%252Fa%253Fx%2526v%253Dmo01af", "a=https%253A%252F%252Fwww.example.com%252Fmedia%252Fa%253Fx"},
	{typePart, "--XX\r\n\r\nhttps://cdn.test/m/a?v=mo01af\r\n--XX\r\n\r\nhttps://cdn.test/m/a?v=mo01af--XX--\r\n--XX--\r\n", "--XX\r\n\r\nhttps://www.example.com/media/a\r\n--XX\r\n\r\nhttps://www.example.com/media/a--XX--\r\n--XX--\r\n"},
	// Others', or of no URL of ours.
	{typeJSON, `["https://other.test/a?v=mo01af"]`, ``},
	{typeJSON, `["https://cdn.test/m/a?v=mo01","?v=mox1af","?xv=mo01af"]`, `["https://www.example.com/media/a?v=mo01","?v=mox1af","?xv=mo01af"]`},
	// A serialized string holds its length.
	{typeJSON, `["https://cdn.test/m/b","s:28:\"https://cdn.test/m/a?v=mo01af\";"]`, `["https://www.example.com/media/b","s:28:\"https://cdn.test/m/a?v=mo01af\";"]`},
}

// A version is taken off in each way that a body goes: whole, in pieces, and without a
// change of its length.
func TestReverseVersions(t *testing.T) {
	r := newVersionReverse(t)
	for far, cases := range map[int]int{0: len(versionCases), 1: len(versionCases), reverseChunk - 30: 2} {
		for _, c := range versionCases[:cases] {
			body, want := c.in, c.out
			if want == "" {
				want = body
			}
			if c.ct != typePart { // in front of it
				before := `["` + strings.Repeat("x", far) + `",`
				if c.ct == typeForm {
					before = "x=" + strings.Repeat("x", far) + "&"
				}
				body, want = before+body, before+want
			}
			if got := turn(t, r, body, c.ct, origin); got != want {
				t.Errorf("%s after %d bytes\n in   %.300q\n got  %.300q\n want %.300q", c.ct, far, body, got, want)
			}
			sized, err := io.ReadAll(r.NewSizedReader(iotest.HalfReader(strings.NewReader(body)), c.ct, ""))
			if got, want := strings.TrimRight(string(sized), " &"), want; err != nil ||
				len(sized) != len(body) || c.out != "" && strings.Contains(got, "=mo01af") != strings.Contains(want, "=mo01af") {
				t.Errorf("%s, sized: %d of %d bytes, %v\n in   %.300q\n got  %.300q", c.ct, len(sized), len(body), err, body, got)
			}
		}
	}
}

func TestNewVersion(t *testing.T) {
	for _, pattern := range []string{"v", "=x", "v=.*", "v=x-", "v=" + strings.Repeat("#", maxVersion), "v=ä", "a=b=c"} {
		if _, err := NewReverse(ReverseConfig{Bases: map[string]string{"https://cdn.test/m/": "/media/"}, Version: pattern}); err == nil {
			t.Errorf("NewReverse with version %q = nil error", pattern)
		}
	}
}

// FuzzReverseVersions: a body becomes the same whole and in pieces, and keeps its
// length where that was told.
func FuzzReverseVersions(f *testing.F) {
	for _, c := range versionCases {
		f.Add(c.in, c.ct)
	}
	r := newVersionReverse(f)
	version := regexp.MustCompile(`(?i)mo[0-9a-f]{4}`)
	f.Fuzz(func(t *testing.T, body, ct string) {
		got := turn(t, r, body, ct, origin)
		if !version.MatchString(body) {
			plain := newReversePlain(t)
			if want, _ := plain.Body([]byte(body), ct, origin); !bytes.Equal(want, []byte(got)) {
				t.Errorf("%q became %q, without versions %q", body, got, want)
			}
		}
	})
}

func newReversePlain(t testing.TB) *Reverse {
	t.Helper()
	r, err := NewReverse(ReverseConfig{Bases: map[string]string{"https://cdn.test/m/": "/media/"}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
