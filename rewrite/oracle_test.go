package rewrite

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// The oracle knows the rules for URLs by net/url and those for markup by the
// parser of golang.org/x/net/html: parse(rewritten) must be the tree that comes
// of changing the URLs in parse(original).

// oracleURL is what one URL becomes on sitePage.
func oracleURL(s string) string {
	trimmed := strings.Trim(s, " \t\n\f\r")
	i := strings.IndexAny(trimmed, "?#")
	if i < 0 {
		i = len(trimmed)
	}
	head, tail := trimmed[:i], trimmed[i:]
	if strings.ContainsAny(head, "\\\x00\t\n\r\f\ufffd") {
		return s
	}
	base, err := url.Parse("https://example.com" + "/2026/11/post/")
	if err != nil {
		panic(err)
	}
	u, err := base.Parse(head)
	if err != nil || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return s
	}
	switch strings.ToLower(u.Hostname()) {
	case "example.com", "www.example.com", "::1":
	default:
		return s
	}
	for i, p := range []string{"/wp-content/uploads/", "/images/"} {
		at := strings.Index(head, p[1:])
		if at < 0 || !strings.HasPrefix(u.Path, p) {
			continue
		}
		raw := head[at+len(p)-1:]
		out, ok := resolveTest(nil, Match{Prefix: i, Path: []byte(strings.TrimPrefix(u.Path, p)), Raw: []byte(raw)})
		if !ok || raw == "" || strings.Contains(raw, "..") {
			return s
		}
		return strings.Replace(s, trimmed, oracleUnsafe.ReplaceAllStringFunc(string(out), percent)+tail, 1)
	}
	return s
}

func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// onlyMarkup leaves out the contexts that the oracle knows nothing of.
func onlyMarkup(c *Config) { c.Skip = ContextScript | ContextData | ContextMeta }

var (
	oracleUnsafe    = regexp.MustCompile(`[^!#-&(-;=?-\[\]_a-z~]`)
	oracleCandidate = regexp.MustCompile(`[^\s,][^\s]*[^\s,]`)
	oracleCSSURL    = regexp.MustCompile(`"[^"\n]*"?|'[^'\n]*'?|url\([^()"' ]+\)`)
	oracleURLs      = map[string]bool{"src": true, "href": true, "poster": true, "data": true, "action": true, "formaction": true, "cite": true, "background": true}
)

// oracleTree changes the URLs in the tree below n.
func oracleTree(n *html.Node) {
	for i := range n.Attr {
		a := &n.Attr[i]
		switch {
		case n.Data == "base":
		case oracleURLs[a.Key]:
			a.Val = oracleURL(a.Val)
		case a.Key == "srcset":
			a.Val = oracleCandidate.ReplaceAllStringFunc(a.Val, oracleURL)
		case a.Key == "style":
			a.Val = oracleStyle(a.Val)
		}
	}
	if n.Type == html.TextNode && n.Parent != nil && n.Parent.Data == "style" {
		n.Data = oracleStyle(n.Data)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		oracleTree(c)
	}
}

func oracleStyle(s string) string {
	return oracleCSSURL.ReplaceAllStringFunc(s, func(m string) string {
		if m[0] != 'u' {
			return m // a string
		}
		return "url(" + oracleURL(m[4:len(m)-1]) + ")"
	})
}

func parseTree(t testing.TB, s string) *html.Node {
	t.Helper()
	// Without scripting noscript is markup, as the package takes it.
	n, err := html.ParseWithOptions(strings.NewReader(s), html.ParseOptionEnableScripting(false))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sameTree compares what dump writes of two trees, without writing it.
func sameTree(a, b *html.Node) bool {
	for ; a != nil && b != nil; a, b = a.NextSibling, b.NextSibling {
		if a.Type != b.Type || a.Namespace != b.Namespace || a.Data != b.Data || !slices.Equal(a.Attr, b.Attr) ||
			!sameTree(a.FirstChild, b.FirstChild) {
			return false
		}
	}
	return a == nil && b == nil
}

// dump writes a tree, one node a line.
func dump(b *strings.Builder, n *html.Node, depth int) {
	fmt.Fprintf(b, "%*s%d %s %q %q\n", depth, "", n.Type, n.Namespace, n.Data, n.Attr)
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		dump(b, c, depth+1)
	}
}

func dumped(n *html.Node) string {
	var b strings.Builder
	dump(&b, n, 0)
	return b.String()
}

// checkOracle compares the rewriting of in with the oracle's, and reports
// whether they agree.
func checkOracle(t *testing.T, r *Rewriter, in string) bool {
	t.Helper()
	out := rewriteIn(t, r, sitePage, in, whole(in), false)
	want := parseTree(t, in)
	oracleTree(want)
	got := parseTree(t, out)
	if !sameTree(got, want) {
		t.Errorf("rewritten tree differs\n in   %q\n out  %q\n got\n%s want\n%s", in, out, dumped(got), dumped(want))
		return false
	}
	return true
}

var (
	oracleSeed  = flag.Uint64("oracle.seed", 0, "seed of TestOracle; 0 takes a new one")
	oraclePages = flag.Int("oracle.pages", 4000, "pages that TestOracle generates")
)

// TestOracle generates pages from pieces that mean something to a tokenizer.
// SVG and MathML are whole, for where an unclosed one ends depends on the tree;
// the tree construction tests have those.
func TestOracle(t *testing.T) {
	r := newTest(t, onlyMarkup)
	seed := *oracleSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	pieces := strings.Split(expand.Replace(`<img src="{U}a.jpg">|<a href='{U}b.jpg?x=1&amp;y#z'>|</a>|<img srcset="{U}a.jpg 1x, /images/b.jpg 2x">|<p style="background:url({U}c.jpg)">|</p>|{U}text.jpg|<!--|-->|--!>|<!-->|<!--->|<!|<?|</|<|>|"|'|=| |/|&quot;|&#x2F;|<textarea>|</textarea>|<title>|</title>|<script>|</script>|<!-- <script>|<style>a{background:url({U}d.jpg)}|</style>|<xmp>|</xmp>|<noscript>|</noscript>|<template>|</template>|<video poster=/images/p.jpg src={U}e.mp4>|<IMG SRC=//example.com/images/q.jpg ALT="{U}">|<img src=a src="{U}a.jpg">|<img alt=">" src="{U}a.jpg">|<img ="{U}a.jpg" src={U}a.jpg|<input value="{U}a.jpg">|<div data=x>|</div>|<![CDATA[|]]>|<svg><g><image href="{U}s.jpg"/><![CDATA[<img src="{U}a.jpg">]]></g></svg>|<svg><style>a{fill:url({U}d.svg)}<![CDATA[b{fill:url({U}e.svg)}]]></style></svg>|<svg><desc><img src="{U}a.jpg"></desc><title><![CDATA[<b>]]></title></svg>|<math><mi><img src="{U}a.jpg"></mi></math>|<iframe>|</iframe>|<img src="{U}%C3%A9.jpg">|`+"\x00|\r\n|\xff"), "|")
	for range *oraclePages {
		var b strings.Builder
		for range 1 + rnd.IntN(12) {
			b.WriteString(pieces[rnd.IntN(len(pieces))])
		}
		if in := b.String(); !oracleErrs.MatchString(in) && !checkOracle(t, r, in) {
			return
		}
	}
}

// oracleErrs are inputs that golang.org/x/net/html v0.60.0 gets wrong: a '<'
// before anything but a letter or slash ends its escaped state of scripts.
var oracleErrs = regexp.MustCompile(`(?is)<script.*<!--.*<[^a-z/]`)

// html5lib is the folder of the html5lib tests that x/net carries.
func html5lib(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/net").Output()
	if err != nil {
		t.Fatalf("finding golang.org/x/net: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "html", "testdata", "html5lib-tests")
}

type tokenizerTest struct {
	Input         string
	InitialStates []string
	LastStartTag  string
	DoubleEscaped bool
}

// TestHTML5LibTokenizer puts an image at each position of each input of the
// html5lib tokenizer tests, in the state that the test begins in: the image is
// one to a browser, or part of a comment, a value, a script.
func TestHTML5LibTokenizer(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(html5lib(t), "tokenizer", "*.test"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tokenizer tests: %v", err)
	}
	r := newTest(t, onlyMarkup)
	checked := 0
	for _, file := range files {
		if n := filepath.Base(file); n == "namedEntities.test" || n == "unicodeChars.test" {
			continue // thousands of inputs of one character reference
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var suite struct{ Tests []tokenizerTest }
		if err := json.Unmarshal(data, &suite); err != nil {
			t.Fatal(err)
		}
		for _, c := range suite.Tests {
			for _, in := range c.inputs() {
				n, ok := injectEverywhere(t, r, in)
				if checked += n; !ok {
					return
				}
			}
		}
	}
	t.Logf("%d pages", checked)
}

// inputs is the input after markup that leads to each initial state.
func (c tokenizerTest) inputs() []string {
	if c.DoubleEscaped {
		return nil
	}
	if len(c.InitialStates) == 0 {
		return []string{c.Input}
	}
	var ins []string
	for _, s := range c.InitialStates {
		switch s {
		case "Data state":
			ins = append(ins, c.Input)
		case "PLAINTEXT state":
			ins = append(ins, "<plaintext>"+c.Input)
		case "RCDATA state", "RAWTEXT state", "Script data state":
			if c.LastStartTag != "" {
				ins = append(ins, "<"+c.LastStartTag+">"+c.Input)
			}
		}
	}
	return ins
}

var injected = expand.Replace(`<img src="{U}a.jpg">`)

func injectEverywhere(t *testing.T, r *Rewriter, in string) (int, bool) {
	t.Helper()
	for i := 0; i <= len(in); i++ {
		if !checkOracle(t, r, in[:i]+injected+in[i:]) {
			return i, false
		}
	}
	return len(in) + 1, true
}

// TestHTML5LibTrees does the same with the inputs of the tree construction
// tests, at each '<'.
func TestHTML5LibTrees(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(html5lib(t), "tree-construction", "*.dat"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tree construction tests: %v", err)
	}
	r := newTest(t, onlyMarkup)
	checked := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range strings.Split(string(data), "#data\n")[1:] {
			in, _, _ := strings.Cut(c, "\n#errors")
			if strings.Contains(c, "#document-fragment") || strings.Contains(c, "#script-on") || ambiguous.MatchString(in) {
				continue
			}
			for i := 0; i <= len(in); i++ {
				if i < len(in) && in[i] != '<' {
					continue
				}
				if !checkOracle(t, r, in[:i]+injected+in[i:]) {
					return
				}
				checked++
			}
		}
	}
	t.Logf("%d pages", checked)
}

// ambiguous are inputs whose tokens depend on the tree: within select and
// frameset, raw text elements are not (or, by the later standard, are) such.
var ambiguous = regexp.MustCompile(`(?i)<select|<frameset`)
