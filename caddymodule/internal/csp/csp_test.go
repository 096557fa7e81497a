package csp

import (
	"strings"
	"testing"
)

func newTestCSP(t testing.TB, publicURL string) *Source {
	t.Helper()
	s, err := New(publicURL)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestExtendPolicy: {P} stands for the public folder. An empty want means that
// the policy keeps its bytes.
func TestExtendPolicy(t *testing.T) {
	const all = "; media-src 'self' {P}; font-src 'self' {P}; style-src 'self' {P}; script-src 'self' {P}; object-src 'self' {P}; " +
		"frame-src 'self' {P}; connect-src 'self' {P}; manifest-src 'self' {P}"
	for _, test := range []struct{ name, policy, want string }{
		{"empty", "", ""},
		{"nothing about loading", "frame-ancestors 'self'; base-uri 'none'; sandbox allow-scripts; upgrade-insecure-requests", ""},
		{"one kind", "img-src 'self'", "img-src 'self' {P}"},
		{"the others too", "img-src 'self' data:; media-src 'self';font-src 'self'", "img-src 'self' data: {P}; media-src 'self' {P};font-src 'self' {P}"},
		{"case and space", " IMG-SRC\t'SELF' ; x", " IMG-SRC\t'SELF' {P}; x"},
		{"default", "default-src 'self'", "default-src 'self'; img-src 'self' {P}" + all},
		{"default, semicolon at the end", "default-src 'self'; ", "default-src 'self'; img-src 'self' {P}" + all},
		{"default 'none'", "default-src 'none'; img-src 'self'; script-src 'nonce-abc'", "default-src 'none'; img-src 'self' {P}; script-src 'nonce-abc'"},
		{"'none'", "object-src 'none'; img-src 'none'", ""},
		{"empty list", "img-src", ""},
		{"nonces and hashes", "script-src 'self' 'nonce-abc' 'sha256-AA==' 'strict-dynamic'", "script-src 'self' 'nonce-abc' 'sha256-AA==' 'strict-dynamic' {P}"},
		{"only nonces", "script-src 'nonce-abc'; style-src 'unsafe-inline'", ""},
		{"elements", "style-src-elem 'self'; style-src 'self'; style-src-attr 'self'", "style-src-elem 'self' {P}; style-src 'self'; style-src-attr 'self'"},
		{"elements fall back", "style-src 'self' 'unsafe-inline'; script-src 'unsafe-eval'", "style-src 'self' 'unsafe-inline' {P}; script-src 'unsafe-eval'"},
		{"frames", "frame-src 'self'; child-src 'self'", "frame-src 'self' {P}; child-src 'self'"},
		{"frames fall back", "child-src 'self' blob:", "child-src 'self' blob:; frame-src 'self' blob: {P}"},
		{"a second one does not count", "img-src 'self'; img-src *", "img-src 'self' {P}; img-src *"},
		{"two policies", "img-src 'self', img-src https:, img-src 'self' x.test", "img-src 'self' {P}, img-src https:, img-src 'self' x.test {P}"},
		{"the site by name", "img-src www.site.test; media-src *.site.test; font-src https://www.site.test:443/x/; connect-src site.test", "img-src www.site.test {P}; media-src *.site.test {P}; font-src https://www.site.test:443/x/ {P}; connect-src site.test"},
		{"anything", "img-src * data:; media-src https:; font-src http:; style-src data:", ""},
		{"allowed already", "img-src 'self' cdn.test; media-src 'self' *.test; font-src 'self' https://CDN.test/m/; connect-src 'self' cdn.test:*/", ""},
		{"not quite allowed", "img-src 'self' cdn.test/n/; media-src 'self' cdn.test:8443; font-src 'self' *.cdn.test; connect-src 'self' cdn.test/m",
			"img-src 'self' cdn.test/n/ {P}; media-src 'self' cdn.test:8443 {P}; font-src 'self' *.cdn.test {P}; connect-src 'self' cdn.test/m {P}"},
		{"not by scheme", "img-src 'self' wss://cdn.test", "img-src 'self' wss://cdn.test {P}"},
	} {
		want := test.want
		if want == "" {
			want = test.policy
		}
		want = strings.ReplaceAll(want, "{P}", "https://cdn.test/m/")
		s := newTestCSP(t, "https://cdn.test/m/")
		got := s.extend(test.policy, "www.site.test:8080")
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, want)
		}
		if again := s.extend(got, "www.site.test:8080"); again != got {
			t.Errorf("%s: extended again: %s", test.name, again)
		}
	}
}

// TestPolicySource: other forms of public URLs.
func TestPolicySource(t *testing.T) {
	for _, test := range []struct{ public, policy, want string }{
		{"https://cdn.test/a;b,c/", "img-src 'self'", "img-src 'self' https://cdn.test/a%3Bb%2Cc/"},
		{"https://cdn.test:8443/", "img-src 'self' cdn.test", "img-src 'self' cdn.test https://cdn.test:8443/"},
		{"https://cdn.test:8443/", "img-src 'self' cdn.test:8443", "img-src 'self' cdn.test:8443"},
		{"http://cdn.test/", "img-src 'self' cdn.test", "img-src 'self' cdn.test http://cdn.test/"},
		{"http://cdn.test/", "img-src 'self' http:", "img-src 'self' http:"},
		{"https://site.test/cdn/", "img-src 'self'", "img-src 'self'"},
	} {
		if got := newTestCSP(t, test.public).extend(test.policy, "site.test"); got != test.want {
			t.Errorf("%s: %s, want %s", test.public, got, test.want)
		}
	}
}

// FuzzExtendPolicy: no policy makes the parser panic; an extended one begins
// its directives as before, allows nothing but the public folder besides, and
// is not extended again.
func FuzzExtendPolicy(f *testing.F) {
	for _, policy := range []string{
		"default-src 'self'; img-src *, script-src 'nonce-x' https://a.test:*/b/;", "child-src [::1]:80", "img-src 'self' *.; ;;",
	} {
		f.Add(policy, "site.test")
	}
	f.Fuzz(func(t *testing.T, policy, self string) {
		s := newTestCSP(t, "https://cdn.test/m/")
		got := s.extend(policy, self)
		if again := s.extend(got, self); again != got {
			t.Errorf("%q became %q and then %q", policy, got, again)
		}
		if got == policy {
			return
		}
		before := make(map[string]bool)
		for _, word := range allWords(policy) {
			before[word] = true
		}
		for _, kind := range kinds {
			before[kind[0]], before[ownDirective(kind)] = true, true
		}
		for _, word := range allWords(got) {
			if !before[word] && word != "https://cdn.test/m/" {
				t.Errorf("%q became %q: %q is new", policy, got, word)
			}
		}
	})
}

func allWords(policy string) []string {
	return strings.FieldsFunc(policy, func(c rune) bool { return strings.ContainsRune(space+";,", c) })
}

func BenchmarkExtendPolicy(b *testing.B) {
	s := newTestCSP(b, "https://cdn.test/m/")
	b.ReportAllocs()
	for b.Loop() {
		s.extend("default-src 'self'; script-src 'self' 'nonce-abc' https://www.googletagmanager.com; style-src 'self' 'unsafe-inline'; img-src 'self' data: https:", "site.test")
	}
}
