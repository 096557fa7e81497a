package rewrite

import (
	"strings"
	"testing"
)

// hashedRows are of a page whose policy names styles and scripts by their hashes.
const hashedRows = `
// what has a hash keeps its bytes
<style>p{background:url({U}a.jpg)}</style>
<STYLE media=all>@import "{U}a.css"; p{background:url({U}a.jpg)}</STYLE>
<p style="background:url({U}a.jpg)"><p STYLE='background:url("{U}a.jpg")'><p style=background:url({U}a.jpg)>
<p onclick="show('{U}a.jpg')" ONLOAD='f("<img src={U}a.jpg>")'>
<script>var a = "{UJ}a.jpg", b = '<img src="{U}b.jpg">'</script>
<script type="module">"{U}a.jpg"</script><script type="Text/JavaScript">"{U}a.jpg"</script>
<script type="importmap">{"imports":{"a":"{U}a.js"}}</script><script type=speculationrules>["{U}a.jpg"]</script>
// what a script makes one of scripts of it later
<script type="text/plain" data-consent>"{U}a.jpg"</script><script type="x-unknown/later">"{U}a.jpg"</script>
<svg><style>p{background:url({U}a.jpg)}</style><script>"{U}a.jpg"</script></svg>
<svg><style><![CDATA[p{background:url({U}a.jpg)}]]></style><p style="background:url({U}a.jpg)"></svg>
<template><style>p{background:url({U}a.jpg)}</style></template><noscript><style>p{background:url({U}a.jpg)}</style></noscript>
// a document within this one has its policy, and a script's markup comes into this one
<iframe srcdoc="<style>p{background:url({U}a.jpg)}</style><script>'{U}a.jpg'</script><p style='background:url({U}a.jpg)'>"></iframe>
<p data-x="<p style='background:url({U}a.jpg)' onclick=&quot;show('{U}a.jpg')&quot;>"><p data-css="p{background:url({U}a.jpg)}">
<script type="application/json">{"html":"<p style=\"background:url({UJ}a.jpg)\">","css":"p{background:url({UJ}a.jpg)}"}</script>
<script type="text/html"><style>p{background:url({U}a.jpg)}</style><p style="background:url({U}a.jpg)"></script>
// the rest moves
<img src="{U}a.jpg" style="background:url({U}b.jpg)" onload="f('{U}c.jpg')"> ==> <img src="{C}a.jpg" style="background:url({U}b.jpg)" onload="f('{U}c.jpg')">
<img srcset="{U}a.jpg 1x"><script src="{U}a.js">"{U}a.jpg"</script><link rel=stylesheet href="{U}a.css"> ==> <img srcset="{C}a.jpg 1x"><script src="{C}a.js">"{U}a.jpg"</script><link rel=stylesheet href="{C}a.css">
<p data-bg="url({U}a.jpg)"><svg><rect cursor="url({U}a.jpg)"/></svg> ==> <p data-bg="url({C}a.jpg)"><svg><rect cursor="url({C}a.jpg)"/></svg>
<script type="application/json">{"a":"{UJ}a.jpg","html":"<img src=\"{UJ}b.jpg\">"}</script> ==> <script type="application/json">{"a":"{CJ}a.jpg","html":"<img src=\"{CJ}b.jpg\">"}</script>
<script type="application/ld+json">["{U}a.jpg"]</script><script type="text/html"><img src="{U}a.jpg"></script> ==> <script type="application/ld+json">["{C}a.jpg"]</script><script type="text/html"><img src="{C}a.jpg"></script>
<iframe srcdoc="<img src='{U}a.jpg'>"></iframe><style>p{}</style><img src="{U}b.jpg"> ==> <iframe srcdoc="<img src='{C}a.jpg'>"></iframe><style>p{}</style><img src="{C}b.jpg">
`

func hashedPage(c Context) Page {
	p := sitePage
	p.Hashed = c
	return p
}

func TestHashed(t *testing.T) {
	for _, edit := range []func(*Config){withPolicy, withMemory} {
		runRows(t, newTest(t, edit), hashedPage(ContextStyle|ContextScript), rows(hashedRows))
	}
}

// Text that has no hash moves, though other text has one.
func TestHashedContexts(t *testing.T) {
	r := newTest(t)
	const styles, scripts = `<style>p{background:url({U}a)}</style><p style="background:url({U}a)">`, `<script>"{U}a"</script><p onclick="x('{U}a')">`
	for _, c := range []struct {
		hashed Context
		want   string
	}{
		{0, strings.ReplaceAll(styles+scripts, "{U}", "{C}")},
		{ContextStyle, styles + strings.ReplaceAll(scripts, "{U}", "{C}")},
		{ContextScript, strings.ReplaceAll(styles, "{U}", "{C}") + scripts},
		{ContextData | ContextMeta, strings.ReplaceAll(styles+scripts, "{U}", "{C}")},
	} {
		in, want := expand.Replace(styles+scripts), expand.Replace(c.want)
		if got := rewriteAll(t, r, hashedPage(c.hashed), in); got != want {
			t.Errorf("%b:\n got  %s\n want %s", c.hashed, got, want)
		}
	}
}

// hashedMetaRows: a policy in a meta element counts from there on.
const hashedMetaRows = `
<style>a{b:url({U}a)}</style><meta http-equiv="Content-Security-Policy" content="default-src 'sha256-AA=='"><style>a{b:url({U}a)}</style><script>"{U}a"</script><img src="{U}a"> ==> <style>a{b:url({C}a)}</style><meta http-equiv="Content-Security-Policy" content="default-src 'sha256-AA=='"><style>a{b:url({U}a)}</style><script>"{U}a"</script><img src="{C}a">
<meta http-equiv="Content-Security-Policy" content="style-src 'self' 'sha256-AA=='"><p style="a:url({U}a)" onclick="'{U}a'"> ==> <meta http-equiv="Content-Security-Policy" content="style-src 'self' https://cdn.test/?&lt;&amp;&quot;' 'sha256-AA=='"><p style="a:url({U}a)" onclick="'{C}a'">
<meta http-equiv=content-security-policy content="style-src &#39;sha256-AA==&#39;"><meta http-equiv=content-security-policy content="script-src 'sha256-AA=='"><p style="a:url({U}a)" onclick="'{U}a'">
// its content is not changed, but read
<meta content="style-src 'self' 'sha256-AA=='" http-equiv="Content-Security-Policy"><p style="a:url({U}a)">
<meta http-equiv="Content-Security-Policy" content=style-src&#32;'sha256-AA=='><p style="a:url({U}a)">
// none
<meta http-equiv="Content-Security-Policy" content="style-src 'self'"><p style="a:url({U}a)"> ==> <meta http-equiv="Content-Security-Policy" content="style-src 'self' https://cdn.test/?&lt;&amp;&quot;'"><p style="a:url({C}a)">
<meta http-equiv="Content-Security-Policy-Report-Only" content="style-src 'sha256-AA=='"><p style="a:url({U}a)"> ==> <meta http-equiv="Content-Security-Policy-Report-Only" content="style-src 'sha256-AA=='"><p style="a:url({C}a)">
<!-- <meta http-equiv="Content-Security-Policy" content="style-src 'sha256-AA=='"> --><p style="a:url({U}a)"> ==> <!-- <meta http-equiv="Content-Security-Policy" content="style-src 'sha256-AA=='"> --><p style="a:url({C}a)">
`

func TestHashedInMeta(t *testing.T) {
	r := newTest(t, withPolicy)
	runRows(t, r, sitePage, rows(hashedMetaRows))
	for _, in := range []string{
		`<meta http-equiv="Content-Security-Policy" content="style-src 'sha256-AA=='"/><style>a{b:url({U}a)}</style><p style="a:url({U}a)"/>`,
		`<meta http-equiv="Content-Security-Policy" content="script-src 'sha256-AA=='"/><script>"{U}a"</script><script><![CDATA["{U}a"]]></script>`,
	} {
		p := sitePage
		p.ContentType = "application/xhtml+xml"
		in = expand.Replace(in)
		if got := rewriteAll(t, r, p, in); got != in {
			t.Errorf("XHTML:\n in  %s\n got %s", in, got)
		}
	}
	// What is not read may be one.
	long := `<meta http-equiv="Content-Security-Policy" content="style-src 'sha256-AA==' ` + strings.Repeat("x", DefaultMaxToken) + `">`
	in := expand.Replace(long + `<style>a{b:url({U}a)}</style>`)
	for _, size := range []int{len(in), 1000} {
		if got := rewriteIn(t, r, sitePage, in, func() int { return size }, true); got != in {
			t.Errorf("after a policy over the limit, in pieces of %d bytes: %s", size, got[len(long):])
		}
	}
	skips := newTest(t, withPolicy, func(c *Config) { c.Skip = ContextMeta })
	in = expand.Replace(`<meta http-equiv="Content-Security-Policy" content="style-src 'self' 'sha256-AA=='"><style>a{b:url({U}a)}</style>`)
	if got := rewriteAll(t, skips, sitePage, in); got != in {
		t.Errorf("where meta elements are skipped: %s", got)
	}
}

// A tag or a script that came before is the same as one that comes for the first time,
// on a page with hashes and on one without, and before and after a policy.
func TestMemoryOfHashed(t *testing.T) {
	const (
		tags = `<p style="a:url({U}a)" data-x="{U}b"><p onclick="'{U}a'" data-x="{U}b"><script>"{U}a"</script><script type="application/json">["<p style='a:url({U}a)'>", "{U}a"]</script>`
		meta = `<meta http-equiv="Content-Security-Policy" content="default-src 'sha256-AA=='">`
	)
	r, known := newTest(t, withPolicy), newTest(t, withPolicy, withMemory)
	for i := range 4 {
		for _, hashed := range []Context{0, ContextStyle | ContextScript, ContextStyle, ContextScript} {
			for _, in := range []string{tags, tags + meta + tags, meta + tags} {
				in = expand.Replace(in)
				want := rewriteIn(t, r, hashedPage(hashed), in, whole(in), false)
				if got := rewriteIn(t, known, hashedPage(hashed), in, whole(in), false); got != want {
					t.Errorf("pass %d, %b:\n in   %s\n got  %s\n want %s", i, hashed, in, got, want)
				}
			}
		}
	}
}
