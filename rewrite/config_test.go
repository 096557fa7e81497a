package rewrite

import (
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	ok := func(dst []byte, _ Match) ([]byte, bool) { return dst, false }
	long := "/" + strings.Repeat("a", maxPrefix) + "/"
	many := make([]string, maxNeedles+1)
	for i := range many {
		many[i] = "/dir" + string(rune('a'+i)) + "/"
	}
	for name, c := range map[string]Config{
		"no resolver":       {Prefixes: []string{"/a/"}},
		"no prefixes":       {Resolve: ok},
		"no first slash":    {Resolve: ok, Prefixes: []string{"a/"}},
		"no last slash":     {Resolve: ok, Prefixes: []string{"/a"}},
		"root":              {Resolve: ok, Prefixes: []string{"/"}},
		"empty segment":     {Resolve: ok, Prefixes: []string{"/a//b/"}},
		"dot segment":       {Resolve: ok, Prefixes: []string{"/a/../b/"}},
		"control character": {Resolve: ok, Prefixes: []string{"/a\n/"}},
		"backslash":         {Resolve: ok, Prefixes: []string{`/a\b/`}},
		"too long":          {Resolve: ok, Prefixes: []string{long}},
		"too many":          {Resolve: ok, Prefixes: many},
		"unsearchable":      {Resolve: ok, Prefixes: []string{"/()/"}},
		"empty host":        {Resolve: ok, Prefixes: []string{"/a/"}, Hosts: []string{""}},
	} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), "rewrite: ") {
			t.Errorf("%s: New = %v", name, err)
		}
	}
}

// What stands in place of the needle in prefixes of all sorts.
func TestPrefixes(t *testing.T) {
	for prefix, urls := range map[string][]string{
		"/a/":            {"/a/x.jpg", "https://example.com/a/x.jpg", `/%61/x.jpg`},
		"/ab/":           {"/ab/x.jpg"},
		"/files/":        {"/files/x.jpg"},
		"/my media/x/":   {"/my%20media/x/x.jpg"},
		"/é/":            {"/é/x.jpg", "/%C3%A9/x.jpg", "/%c3%a9/x.jpg"},
		"/日本/":           {"/日本/x.jpg", "/%E6%97%A5%E6%9C%AC/x.jpg"},
		"/blog/uploads/": {"/blog/uploads/x.jpg", "../blog/uploads/x.jpg"},
	} {
		r := newTest(t, func(c *Config) { c.Prefixes = []string{prefix} })
		p := sitePage
		p.Path = "/post/"
		for _, u := range urls {
			in, want := `<img src="`+u+`">`, `<img src="https://cdn.test/m0/x.jpg">`
			if strings.Contains(u, "%61") {
				want = in // the needle itself is escaped
			}
			if got := rewriteAll(t, r, p, in); got != want {
				t.Errorf("%s: %s gives %s", prefix, in, got)
			}
		}
	}
}

func TestNestedPrefixes(t *testing.T) {
	r := newTest(t, func(c *Config) { c.Prefixes = []string{"/media/", "/media/private/", "/m/"} })
	runRows(t, r, sitePage, rows(`
<img src="https://example.com/media/a.jpg"><img src="https://example.com/media/private/a.jpg"> ==> <img src="https://cdn.test/m0/a.jpg"><img src="https://cdn.test/m1/a.jpg">
<img src="/m/a.jpg"> ==> <img src="https://cdn.test/m2/a.jpg">
`))
}

func TestSkip(t *testing.T) {
	in := expand.Replace(`<style>a{b:url({U}a)}</style><p style="b:url({U}a)" data-src="{U}a" onclick="x('{U}a')"><script>"{U}a"</script><meta property=og:image content="{U}a">`)
	for skip, kept := range map[Context]int{
		0: 0, ContextStyle: 2, ContextScript: 2, ContextData: 1, ContextMeta: 1,
		ContextStyle | ContextScript | ContextData | ContextMeta: 6,
	} {
		r := newTest(t, func(c *Config) { c.Skip = skip })
		if got := strings.Count(rewriteAll(t, r, sitePage, in), "example.com"); got != kept {
			t.Errorf("Skip %b leaves %d URLs, want %d", skip, got, kept)
		}
	}
}

func TestBase(t *testing.T) {
	r := newTest(t)
	for _, c := range []struct{ path, base, url, want string }{
		{"/", "", "images/a", "https://cdn.test/m1/a"},
		{"/index.php?a=/b/", "", "images/a", "https://cdn.test/m1/a"},
		{"/blog/post", "", "images/a", ""},
		{"/blog/post", "", "./../images/a", "https://cdn.test/m1/a"},
		{"", "", "images/a", ""},
		{"/", "", "x:images/a", ""},
		{"/x/", "/", "images/a", "https://cdn.test/m1/a"},
		{"/x/", "https://www.example.com/", "images/a", "https://cdn.test/m1/a"},
		{"/x/", "https://www.example.com", "images/a", "https://cdn.test/m1/a"},
		{"/x/", "//other.test/", "images/a", ""},
		{"/x/", "//other.test/", "/images/a", ""},
		{"/x/", "//other.test/", "//example.com/images/a", "https://cdn.test/m1/a"},
		{"/x/", "data:x", "/images/a", ""},
		{"/", "sub/", "images/a", ""},
		{"/", "../../", "images/a", ""},
		{"/", "&#x2F;&quot;", "images/a", "https://cdn.test/m1/a"},
	} {
		p := sitePage
		p.Path = c.path
		in := `<img src="` + c.url + `">`
		want := in
		if c.want != "" {
			want = `<img src="` + c.want + `">`
		}
		if c.base != "" {
			tag := `<base target=_top><base href="` + c.base + `"><base href="/images/">`
			in, want = tag+in, tag+want
		}
		if got := rewriteAll(t, r, p, in); got != want {
			t.Errorf("%s, base %q: %s", c.path, c.base, got)
		}
	}
}

// "ASCII-compatible encodings rewritten bytewise, UTF-16 and unknown passed".
func TestContentTypes(t *testing.T) {
	r := newTest(t)
	img := expand.Replace(`<img src="{U}a.jpg">`)
	js := expand.Replace(`{"a":"{U}a.jpg"}`)
	for _, c := range []struct {
		contentType, in string
		changes         bool
	}{
		{"text/html", img, true},
		{"TEXT/HTML ; Charset=\"utf8\"", img, true},
		{"text/html; charset=ISO-8859-15", img, true},
		{"text/html; charset=windows-1252", "\xe9" + img, true},
		{"text/html; charset=iso-8859-1", expand.Replace("<img src=\"{U}\xe9.jpg\">"), false},
		{"text/html; charset=utf-16le", img, false},
		{"text/html; charset=shift_jis", img, false},
		{"text/html; charset=unheard-of", img, false},
		{"text/html", "\xff\xfe" + img, false},
		{"text/html", "\xfe\xff" + img, false},
		{"text/html", "\xef\xbb\xbf" + img, true},
		{"text/html", "\xef\xbb\xbf  " + js, true},
		{"text/html", strings.Repeat(" ", 400) + js, true},
		{"text/html", strings.Repeat(" ", 600) + js, false},
		{"text/html", "[gallery] " + js, false},
		{"text/html", "{ " + js, false},
		{"text/plain", js, true},
		{"text/plain", img, false},
		{"text/plain", "see " + img, false},
		{"application/json", "\n" + img, true},
		{"application/javascript", js, false},
		{"image/jpeg", img, false},
		{"application/octet-stream", img, false},
		{"", img, false},
		{"application/xhtml+xml", img, true},
		{"application/xml", `<?xml version="1.0"?><html>` + img, true},
		{"application/vnd.api+json", js, true},
	} {
		p := sitePage
		p.ContentType = c.contentType
		if got := rewriteAll(t, r, p, c.in); (got != c.in) != c.changes {
			t.Errorf("%q %.50q: gives %.80q", c.contentType, c.in, got)
		}
		if c.changes && !Rewritable(c.contentType) {
			t.Errorf("Rewritable(%q) = false", c.contentType)
		}
	}
}

func TestHeaders(t *testing.T) {
	r := newTest(t)
	for _, c := range []struct {
		rewrite func(string, Page) string
		rows    string
	}{
		{r.HeaderLocation, `
{U}a.jpg?x#y ==> {C}a.jpg?x#y
/images/a.jpg ==> https://cdn.test/m1/a.jpg
https://other.test/wp-content/uploads/a.jpg
`},
		{r.HeaderRefresh, `
5; url={U}a.jpg ==> 5; url={C}a.jpg
0;URL='{U}a.jpg' ==> 0;URL='{C}a.jpg'
5
5; url=/about/
`},
		{r.HeaderLink, `
<{U}a.css>; rel=preload; as=style ==> <{C}a.css>; rel=preload; as=style
</images/a.jpg>;rel="preload";imagesrcset="/images/a.jpg 1x, {U}b.jpg 2x", <{U}b.js> ==> <https://cdn.test/m1/a.jpg>;rel="preload";imagesrcset="https://cdn.test/m1/a.jpg 1x, {C}b.jpg 2x", <{C}b.js>
<https://api.w.org/>; rel="x"; title="<{U}a.jpg>"
<{U}a.jpg
`},
	} {
		for _, row := range rows(c.rows) {
			want := row.out
			if want == "" {
				want = row.in
			}
			if got := c.rewrite(row.in, sitePage); got != want {
				t.Errorf("%s\n got  %s\n want %s", row.in, got, want)
			}
		}
	}
}

// The resolver's answer is escaped for its place, whatever it is.
func TestReplacementIsEscaped(t *testing.T) {
	r := newTest(t, func(c *Config) {
		c.Resolve = func(dst []byte, m Match) ([]byte, bool) {
			return append(dst, "https://cdn.test/é \"'<>(),&=\\x"...), true
		}
	})
	const safe = "https://cdn.test/%C3%A9%20%22%27%3C%3E"
	for _, c := range []struct{ in, want string }{
		{`<img src=/images/a>`, `<img src=` + safe + `(),&amp;=%5Cx>`},
		{`<img srcset="/images/a 1x">`, `<img srcset="` + safe + `(),&amp;=%5Cx 1x">`},
		{`<p style="a:url(/images/a)">`, `<p style="a:url(` + safe + `%28%29,&amp;=%5Cx)">`},
		{`<script>"\/\/example.com\/images\/a"</script>`, `<script>"` + strings.ReplaceAll(safe, "/", `\/`) + `(),&=%5Cx"</script>`},
	} {
		if got := rewriteAll(t, r, sitePage, c.in); got != c.want {
			t.Errorf("%s\n got  %s\n want %s", c.in, got, c.want)
		}
	}
}

func TestProtocolRelativeReplacement(t *testing.T) {
	r := newTest(t, func(c *Config) {
		c.Resolve = func(dst []byte, m Match) ([]byte, bool) { return append(dst, "//cdn.test/a"...), true }
	})
	for scheme, want := range map[string]string{"http": `<img src="http://cdn.test/a?b">`, "": `<img src="//cdn.test/a?b">`} {
		p := sitePage
		p.Scheme = scheme
		if got := rewriteAll(t, r, p, `<img src="/images/x?b">`); got != want {
			t.Errorf("scheme %q: %s, want %s", scheme, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	var got []string
	r := newTest(t, func(c *Config) {
		c.Resolve = func(dst []byte, m Match) ([]byte, bool) {
			got = append(got, string(m.Path)+" "+string(m.Raw))
			return dst, false
		}
	})
	rewriteIn(t, r, sitePage, `<img src="/images/%C3%A9&amp;+%2B%zz.jpg?a"><script>"\/\/example.com\/images\/a\u00e9.jpg#x"</script>`, func() int { return 1 << 20 }, false)
	if want := []string{"é&++%zz.jpg %C3%A9&+%2B%zz.jpg", "aé.jpg aé.jpg"}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
}
