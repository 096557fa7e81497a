package media

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestPatterns(t *testing.T) {
	tests := []struct {
		pattern  string
		fits     []string
		fitsNone []string
	}{
		{
			"*.log",
			[]string{"a.log", "x/y/a.log", ".log", "A.LOG", "x.log/inside", "a.b.log"},
			[]string{"a.logs", "log", "a.log.gz", "alog"},
		},
		{
			"cache/",
			[]string{"cache/a", "x/cache/y/a", "CACHE/a"},
			[]string{"cache", "x/cache", "mycache/a", "cache2/a"},
		},
		{
			"cache",
			[]string{"cache", "cache/a", "x/cache/y/a", "x/cache"},
			[]string{"mycache", "cache2", "cache.d"},
		},
		{
			"/a/b",
			[]string{"a/b", "a/b/c", "A/B"},
			[]string{"x/a/b", "a/bc", "a", "a/x/b"},
		},
		{
			"a/b",
			[]string{"a/b", "a/b/c"},
			[]string{"x/a/b", "a/bc"},
		},
		{
			"/a/",
			[]string{"a/b", "a/b/c"},
			[]string{"a", "x/a/b", "ab/c"},
		},
		{
			"/a",
			[]string{"a", "a/b"},
			[]string{"x/a", "ab"},
		},
		{
			"a/*/c",
			[]string{"a/b/c", "a/b/c/d", "a/.b/c"},
			[]string{"a/c", "a/b/x/c"},
		},
		{
			"**/a/b",
			[]string{"a/b", "x/a/b", "x/y/a/b/c"},
			[]string{"a/x/b", "xa/b"},
		},
		{
			"a/**/b",
			[]string{"a/b", "a/x/b", "a/x/y/b", "a/x/y/b/z"},
			[]string{"b", "x/a/b", "a", "a/xb"},
		},
		{
			"a/**",
			[]string{"a/b", "a/b/c"},
			[]string{"a", "x/a/b"},
		},
		{"**", []string{"a", "a/b"}, nil},
		{"/**", []string{"a", "a/b"}, nil},
		{"*", []string{"a", "a/b"}, nil},
		{"**/", []string{"a/b", "a/b/c"}, []string{"a"}},
		{
			"backup-*-db*/",
			[]string{"backup-1-db/a", "x/backup--db2/a"},
			[]string{"backup-1-db", "backup-db/a"},
		},
		{
			"ph?to.jpg",
			[]string{"photo.jpg", "x/phöto.jpg"},
			[]string{"phto.jpg", "phooto.jpg", "ph/to.jpg"},
		},
		{
			"Über/*.PDF",
			[]string{"Über/a.pdf", "Über/A.Pdf"},
			[]string{"über/a.pdf", "x/Über/a.pdf"}, // only ASCII letters fold
		},
		{
			"*.sql.*",
			[]string{"a.sql.gz", "x/a.sql.bz2"},
			[]string{"a.sql", "a.sqlx.gz"},
		},
		{"ab*ab", []string{"abab", "ab-ab"}, []string{"ab", "aba"}},
		{"*ab?ab*", []string{"ab-ab", "xab-abx"}, []string{"abab", "ab", "ab--ab"}},
		{"*.a*b.*", []string{"x.ab.c", ".a-b."}, []string{"x.a.b", ".ab"}},
		{"a***b", []string{"ab", "axyb"}, []string{"a/b"}},
		{"~$*", []string{"~$report.docx"}, []string{"report.docx"}},
		{"a b+c(1)", []string{"a b+c(1)"}, []string{"a b+c"}},
	}
	for _, tt := range tests {
		ps, err := compilePatterns([]string{tt.pattern})
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		for _, path := range tt.fits {
			if !ps.match(appendLower(nil, path)) {
				t.Errorf("%q does not fit %q", tt.pattern, path)
			}
		}
		for _, path := range tt.fitsNone {
			if ps.match(appendLower(nil, path)) {
				t.Errorf("%q fits %q", tt.pattern, path)
			}
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                        "empty",
		"/":                       "empty",
		"//":                      "empty",
		"!a":                      "list of the other class",
		"a[0-9]":                  "class",
		"*.{jpg,png}":             "braces",
		`a\*`:                     "backslash",
		"a//b":                    "empty, . or .. part",
		"./a":                     "empty, . or .. part",
		"a/../b":                  "empty, . or .. part",
		strings.Repeat("a/", 100): "parts",
		strings.Repeat("a", 2000): "longer than",
	} {
		err := CheckPattern(pattern)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckPattern(%.20q) = %v, want %q in it", pattern, err, want)
		}
	}
}

func TestIndexedPatternsAreAllSeen(t *testing.T) {
	ps, err := compilePatterns([]string{"name", "name/", "dir/", "*.ext", "*.d/", "/top/a", "/top/b/", "*x*", "**/deep/er"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"a/name": true, "a/dir": false, "a/dir/b": true, "a.ext": true, "a.d": false, "a.d/b": true,
		"top/a": true, "top/b": false, "top/b/c": true, "top": false, "axb": true, "a/deep/er": true, "a/b": false,
	} {
		if got := ps.match([]byte(path)); got != want {
			t.Errorf("match(%q) = %v", path, got)
		}
	}
	var none patterns
	if none.match([]byte("a")) || !none.empty() || ps.empty() {
		t.Error("an empty list fits or a list is taken for empty")
	}
}

// TestPatternTimeIsBounded matches what makes a matcher that tries again after
// each star run for ages.
func TestPatternTimeIsBounded(t *testing.T) {
	for pattern, path := range map[string]string{
		strings.Repeat("*a", 127) + "b":           strings.Repeat("a", maxSegment),
		strings.Repeat("**/a/", 30) + "b":         strings.Repeat("a/", maxKey/2-1) + "a",
		strings.Repeat("**/*a*a*a*/", 30) + "b":   strings.Repeat("aaaaaaa/", maxKey/8-1) + "a",
		"**/" + strings.Repeat("*/", 60) + "none": strings.Repeat("a/", maxKey/2-1) + "a",
	} {
		ps, err := compilePatterns([]string{pattern})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if ps.match([]byte(path)) {
			t.Errorf("%.20q… fits", pattern)
		}
		// Tens of microseconds in fact; a blow-up would not end today.
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%.20q… took %v", pattern, d)
		}
	}
}

// patternRegexp says by a regular expression what a pattern fits.
func patternRegexp(pattern string) *regexp.Regexp {
	body, dir := strings.CutSuffix(pattern, "/")
	expr := "^"
	if !strings.Contains(body, "/") {
		expr += "(.*/)?"
	}
	parts := strings.Split(strings.TrimPrefix(body, "/"), "/")
	for i, part := range parts {
		last := i == len(parts)-1
		switch {
		case part == "**" && last:
			expr += "[^/]+"
			continue
		case part == "**":
			expr += "([^/]+/)*"
			continue
		}
		part = regexp.QuoteMeta(part)
		for strings.Contains(part, `\*\*`) {
			part = strings.ReplaceAll(part, `\*\*`, `\*`)
		}
		part = strings.ReplaceAll(part, `\*`, "[^/]*")
		expr += strings.ReplaceAll(part, `\?`, "[^/]")
		if !last {
			expr += "/"
		}
	}
	if dir {
		return regexp.MustCompile("(?s)" + expr + "/")
	}
	return regexp.MustCompile("(?s)" + expr + "(/|$)")
}

// FuzzPattern compares the matcher with Go's regular expressions.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"*.log", "a/b.log"}, {"/a/**/b", "a/x/y/b"}, {"cache/", "x/cache/a"}, {"a?c*", "abcd"}, {"**", "a"}, {"a/**", "a/b"},
		{"*a*b*/", "xaxb/y"}, {"**/x/", "x/y"}, {"é?", "éa"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		ps, err := compilePatterns([]string{pattern})
		if err != nil || CheckKey(path) != nil {
			return
		}
		pattern, path = string(appendLower(nil, pattern)), string(appendLower(nil, path))
		want := patternRegexp(strings.ToValidUTF8(pattern, "\uFFFD")).MatchString(path)
		if got := ps.match([]byte(path)); got != want && strings.ToValidUTF8(pattern, "\uFFFD") == pattern {
			t.Errorf("%q on %q: %v, want %v", pattern, path, got, want)
		}
	})
}
