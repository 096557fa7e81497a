package rewrite

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// site is the page of the tests: WordPress and Joomla at once.
var sitePage = Page{ContentType: "text/html; charset=utf-8", Scheme: "https", Host: "example.com:8443", Path: "/2026/11/post/?p=1"}

const cdn = "https://cdn.test/m"

// resolveTest knows every path but those that hold "unknown".
func resolveTest(dst []byte, m Match) ([]byte, bool) {
	if bytes.Contains(m.Path, []byte("unknown")) || bytes.HasSuffix(m.Path, []byte("/")) {
		return dst, false
	}
	dst = append(dst, cdn...)
	dst = append(dst, '0'+byte(m.Prefix), '/')
	return append(dst, m.Raw...), true
}

func newTest(t testing.TB, edit ...func(*Config)) *Rewriter {
	t.Helper()
	c := Config{
		Hosts:    []string{"www.example.com", "[::1]:80"},
		Prefixes: []string{"/wp-content/uploads/", "/images/"},
		Resolve:  resolveTest,
	}
	for _, f := range edit {
		f(&c)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rewriteIn runs in through r in chunks whose sizes next gives.
func rewriteIn(t testing.TB, r *Rewriter, p Page, in string, next func() int, flush bool) string {
	t.Helper()
	var out bytes.Buffer
	w := r.NewWriter(&out, p)
	buf := make([]byte, 0, 64)
	for rest := in; rest != ""; {
		n := min(max(next(), 1), len(rest))
		buf = append(buf[:0], rest[:n]...)
		if m, err := w.Write(buf); err != nil || m != n {
			t.Fatalf("Write: %d, %v", m, err)
		}
		clear(buf) // a Writer keeps no reference to its input
		if flush {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func whole(in string) func() int { return func() int { return len(in) } }

func bytewise() int { return 1 }

func random(seed uint64) func() int {
	rnd := rand.New(rand.NewPCG(seed, 1))
	return func() int {
		if rnd.IntN(4) == 0 {
			return 1 + rnd.IntN(200)
		}
		return 1 + rnd.IntN(12)
	}
}

// rewriteAll is the output for in, which must not depend on how it is cut.
func rewriteAll(t testing.TB, r *Rewriter, p Page, in string) string {
	t.Helper()
	out := rewriteIn(t, r, p, in, whole(in), false)
	seed := rand.Uint64()
	for _, c := range []struct {
		name  string
		next  func() int
		flush bool
	}{
		{"byte by byte", bytewise, false},
		{"byte by byte with flushes", bytewise, true},
		{"random chunks", random(seed), false},
		{"random chunks with flushes", random(seed + 1), true},
	} {
		if got := rewriteIn(t, r, p, in, c.next, c.flush); got != out {
			t.Errorf("%s (seed %d) gives another output than in one piece:\n in  %q\n one %q\n got %q", c.name, seed, in, out, got)
		}
	}
	return out
}

// row is a test: in gives out; out empty means that nothing changes.
type row struct{ in, out string }

func runRows(t *testing.T, r *Rewriter, p Page, rows []row) {
	t.Helper()
	for _, c := range rows {
		want := c.out
		if want == "" {
			want = c.in
		}
		got := rewriteAll(t, r, p, c.in)
		if got != want {
			t.Errorf("\n in   %s\n got  %s\n want %s", c.in, got, want)
		}
		if again := rewriteAll(t, r, p, got); again != got {
			t.Errorf("rewriting twice changes %s\n to %s", got, again)
		}
	}
}

// expand shortens the tables: U is a local URL, C what it becomes.
var expand = strings.NewReplacer(
	"{U}", "https://example.com/wp-content/uploads/",
	"{C}", "https://cdn.test/m0/",
	"{UJ}", `https:\/\/example.com\/wp-content\/uploads\/`,
	"{CJ}", `https:\/\/cdn.test\/m0\/`,
	"{UU}", `https:\u002F\u002Fexample.com\u002Fwp-content\u002Fuploads\u002F`,
	"{CU}", `https:\u002F\u002Fcdn.test\u002Fm0\u002F`,
	"{UX}", `https:\x2F\x2Fexample.com\x2Fwp-content\x2Fuploads\x2F`,
	"{CX}", `https:\x2F\x2Fcdn.test\x2Fm0\x2F`,
	"{BT}", "`",
	"{NL}", "\n",
	"{CR}", "\r",
	"{NUL}", "\x00",
	"{BAD}", "\xff\xfe",
	"{UE}", `https:&#x2F;&#x2F;example.com&#x2F;wp-content&#x2F;uploads&#x2F;`,
	"{CE}", `https:&#x2F;&#x2F;cdn.test&#x2F;m0&#x2F;`,
)

func rows(s string) []row {
	var rs []row
	for _, block := range strings.Split(strings.Trim(s, "\n"), "\n") {
		if block == "" || strings.HasPrefix(block, "// ") {
			continue
		}
		in, out, _ := strings.Cut(expand.Replace(block), " ==> ")
		rs = append(rs, row{in, out})
	}
	return rs
}
