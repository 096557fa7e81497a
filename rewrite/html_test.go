package rewrite

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// Promise 4: "A page is changed only where a browser reads a URL […] Text,
// comments, textareas and form values keep their bytes".
func TestHTML(t *testing.T) {
	runRows(t, newTest(t), sitePage, rows(htmlRows))
}

const htmlRows = `
// URL attributes
<img src="{U}a.jpg"> ==> <img src="{C}a.jpg">
<img src='{U}a.jpg'> ==> <img src='{C}a.jpg'>
<img src={U}a.jpg> ==> <img src={C}a.jpg>
<img src=  "  {U}a.jpg "> ==> <img src=  "  {C}a.jpg ">
<IMG ALT=x SRC="{U}a.jpg"/> ==> <IMG ALT=x SRC="{C}a.jpg"/>
<a href="{U}a.pdf?v=1&amp;b=2#frag">x</a> ==> <a href="{C}a.pdf?v=1&amp;b=2#frag">x</a>
<object data="{U}a.swf"></object> ==> <object data="{C}a.swf"></object>
<video src="{U}a.mp4" poster="{U}p.jpg"> ==> <video src="{C}a.mp4" poster="{C}p.jpg">
<a ping="{U}a {U}b" href=/> ==> <a ping="{C}a {C}b" href=/>
<image xlink:href="{U}a.svg"/> ==> <image xlink:href="{C}a.svg"/>
// PHP's serialize format, in which a length stands before each string
<div data-instance="a:1:{s:4:&quot;text&quot;;s:45:&quot;&lt;img src='{U}a.png'&gt;&quot;;}"> ==> <div data-instance="a:1:{s:4:&quot;text&quot;;s:45:&quot;&lt;img src='{U}a.png'&gt;&quot;;}">
<script>x = {"raw":"O:8:\"stdClass\":1:{s:1:\"a\";s:9:\"<img src='{U}a.png'>\";}","b":"{U}b.png"}</script> ==> <script>x = {"raw":"O:8:\"stdClass\":1:{s:1:\"a\";s:9:\"<img src='{U}a.png'>\";}","b":"{C}b.png"}</script>
<div data-x="s:1:x {U}a.png"><div data-x="a:x" style="background:url({U}b.png)"> ==> <div data-x="s:1:x {U}a.png"><div data-x="a:x" style="background:url({C}b.png)">
// forms of the URL
<img src="http://example.com/wp-content/uploads/a.jpg"> ==> <img src="{C}a.jpg">
<img src="HTTPS://EXAMPLE.com:99/wp-content/uploads/a.jpg"> ==> <img src="{C}a.jpg">
<img src="//www.example.com/wp-content/uploads/a.jpg"> ==> <img src="{C}a.jpg">
<img src="//[::1]:81/wp-content/uploads/a.jpg"> ==> <img src="{C}a.jpg">
<img src="/wp-content/uploads/a.jpg"> ==> <img src="{C}a.jpg">
<img src="../../../wp-content/uploads/a.jpg"> ==> <img src="{C}a.jpg">
<img src="https://example.com//images/a.jpg"> ==> <img src="https://cdn.test/m1/a.jpg">
<img src="/images/hero image.jpg"> ==> <img src="https://cdn.test/m1/hero%20image.jpg">
<img src="{U}%C3%89t%C3%A9_b.jpg?123"> ==> <img src="{C}%C3%89t%C3%A9_b.jpg?123">
<img src="{UE}a.jpg"> ==> <img src="{CE}a.jpg">
// not the site's media
<img src="{U}unknown.jpg">
<img src="{U}">
<img src="{U}2024/">
<img src="https://example.com.evil/wp-content/uploads/a.jpg">
<img src="https://evil-example.com/wp-content/uploads/a.jpg">
<img src="https://user@example.com/wp-content/uploads/a.jpg">
<img src="ftp://example.com/wp-content/uploads/a.jpg">
<img src="/media/templates/x/images/a.png">
<img src="//images/a.png">
<img src="images/a.png">
<img src="/wp-content/uploads-old/a.jpg">
<img src="{U}../a.jpg">
<img src="{U}a/%2e%2e/a.jpg">
<img src="{U}a%2fb.jpg">
<img src="{U}a%00b.jpg">
<img src="https://x.test/?u={U}a.jpg">
<img src="https://x.test/#{U}a.jpg">
// srcset
<img srcset="{U}a.jpg 1x, {U}b.jpg 2x"> ==> <img srcset="{C}a.jpg 1x, {C}b.jpg 2x">
<img srcset="data:image/png;base64,AA== 1x, {U}b.jpg 2x,/images/c,d.jpg 3x"> ==> <img srcset="data:image/png;base64,AA== 1x, {C}b.jpg 2x,https://cdn.test/m1/c,d.jpg 3x">
<link rel=preload imagesrcset="{U}a.jpg, {U}b.jpg 300w"> ==> <link rel=preload imagesrcset="{C}a.jpg, {C}b.jpg 300w">
// style
<div style="background-image:url({U}a.jpg)"> ==> <div style="background-image:url({C}a.jpg)">
<div style="background:url(&quot;{U}a.jpg&quot;)"> ==> <div style="background:url(&quot;{C}a.jpg&quot;)">
<div style='background:url("{U}a.jpg"), url( /images/b.png )'> ==> <div style='background:url("{C}a.jpg"), url( https://cdn.test/m1/b.png )'>
<style>.a{background:url('{U}a.jpg')}</style> ==> <style>.a{background:url('{C}a.jpg')}</style>
<svg><style>.a{background:url('{U}a.jpg')}</style></svg> ==> <svg><style>.a{background:url('{C}a.jpg')}</style></svg>
// data attributes
<img data-src="{U}a.jpg" data-srcset="{U}a.jpg 2x"> ==> <img data-src="{C}a.jpg" data-srcset="{C}a.jpg 2x">
<div data-bg="url({U}a.jpg)"> ==> <div data-bg="url({C}a.jpg)">
<div data-large_image="{U}a.jpg" data-x="/images/a.jpg"> ==> <div data-large_image="{C}a.jpg" data-x="/images/a.jpg">
<div data-wp-context="{&quot;uploadedSrc&quot;:&quot;{UJ}a.jpg&quot;,&quot;b&quot;:1}"> ==> <div data-wp-context="{&quot;uploadedSrc&quot;:&quot;{CJ}a.jpg&quot;,&quot;b&quot;:1}">
<div data-settings='{"a":"{U}a.jpg"}'> ==> <div data-settings='{"a":"{C}a.jpg"}'>
<div data-html="&lt;img src=&quot;{U}a.jpg&quot;&gt;"> ==> <div data-html="&lt;img src=&quot;{C}a.jpg&quot;&gt;">
<button data-clipboard-text="{U}a.jpg">
<div data-path="local-images:/x.jpg" data-y="see {U}a.jpg here">
<iframe srcdoc="&lt;img src=&quot;{U}a.jpg?a&amp;amp;b&quot;&gt;"></iframe> ==> <iframe srcdoc="&lt;img src=&quot;{C}a.jpg?a&amp;amp;b&quot;&gt;"></iframe>
<a onclick="window.open('{U}a.pdf')"> ==> <a onclick="window.open('{C}a.pdf')">
// meta
<meta property="og:image" content="{U}a.jpg"> ==> <meta property="og:image" content="{C}a.jpg">
<meta content="{U}a.jpg" name='twitter:image'> ==> <meta content="{C}a.jpg" name='twitter:image'>
<meta name="msapplication-TileImage" content="{U}a.jpg"> ==> <meta name="msapplication-TileImage" content="{C}a.jpg">
<meta http-equiv="Refresh" content="5; URL='{U}a.jpg'"> ==> <meta http-equiv="Refresh" content="5; URL='{C}a.jpg'">
<meta name="description" content="{U}a.jpg">
<meta property="og:description" content="{U}a.jpg">
// scripts
<script>var a="{U}a.jpg",b='{UJ}b.jpg';</script> ==> <script>var a="{C}a.jpg",b='{CJ}b.jpg';</script>
<script>x("{UU}a.jpg","{UX}a.jpg")</script> ==> <script>x("{CU}a.jpg","{CX}a.jpg")</script>
<script type="application/json">{"a":"{UJ}a.jpg","{UJ}b.jpg":1}</script> ==> <script type="application/json">{"a":"{CJ}a.jpg","{CJ}b.jpg":1}</script>
<script type="application/ld+json">{"image":"images/hero%20image.jpg"}</script>
<script>x='<img src="{U}a.jpg">'; y="<a href=\"{UJ}b.jpg\">{U}c.jpg</a>"</script> ==> <script>x='<img src="{C}a.jpg">'; y="<a href=\"{CJ}b.jpg\">{U}c.jpg</a>"</script>
<script>// "{U}a.jpg"</script>
<script>/* "{U}a.jpg" */ a = /"{U}/; b = "x {U}a.jpg"</script>
<script><!-- <script> "{U}a.jpg" </script>{NL}"{U}b.jpg" --></script>{U} ==> <script><!-- <script> "{U}a.jpg" </script>{NL}"{C}b.jpg" --></script>{U}
<script type="text/html"><img src="{U}a.jpg"></script> ==> <script type="text/html"><img src="{C}a.jpg"></script>
<script>a="{U}"+"x.jpg"; b="{U}a.jpg 300w, {U}b.jpg 2x"</script> ==> <script>a="{U}"+"x.jpg"; b="{C}a.jpg 300w, {C}b.jpg 2x"</script>
// places that keep their bytes
<p>{U}a.jpg</p>
<!-- <img src="{U}a.jpg"> --><!--[if IE]><img src="{U}a.jpg"><![endif]-->
<!--><img src="{U}a.jpg"><!-- --!><img src="{U}a.jpg"> ==> <!--><img src="{C}a.jpg"><!-- --!><img src="{C}a.jpg">
<textarea><img src="{U}a.jpg"></textarea><title><img src="{U}a.jpg"></title>
<textarea><img src="{U}a.jpg"></textareax></textarea ><img src="{U}a.jpg"> ==> <textarea><img src="{U}a.jpg"></textareax></textarea ><img src="{C}a.jpg">
<xmp><img src="{U}a.jpg"></xmp><iframe><img src="{U}a.jpg"></iframe><noembed><img src="{U}a.jpg"></noembed>
<plaintext><img src="{U}a.jpg"></plaintext><img src="{U}a.jpg">
<img alt="{U}a.jpg" title="{U}a.jpg" value="{U}a.jpg"><input value="{U}a.jpg">
<img src="{U}a.jpg
<img src="x" src="{U}a.jpg">
<img alt='>' title="'" src="{U}a.jpg"> ==> <img alt='>' title="'" src="{C}a.jpg">
<img ="x src="{U}a.jpg"> ==> <img ="x src="{C}a.jpg">
<img x=a"b src={U}a.jpg> ==> <img x=a"b src={C}a.jpg>
<svg><![CDATA[<img src="{U}a.jpg">]]><image href="{U}a.jpg"/></svg><![CDATA[<img src="{U}a.jpg">]]> ==> <svg><![CDATA[<img src="{U}a.jpg">]]><image href="{C}a.jpg"/></svg><![CDATA[<img src="{U}a.jpg">]]>
<svg><desc><style><img src="{U}a.jpg"></style></desc></svg>
<noscript><img src="{U}a.jpg"></noscript><template><img src="{U}a.jpg"></template> ==> <noscript><img src="{C}a.jpg"></noscript><template><img src="{C}a.jpg"></template>
<pre><code>{U}a.jpg <img src="{U}a.jpg"></code></pre> ==> <pre><code>{U}a.jpg <img src="{C}a.jpg"></code></pre>
<a href="{U}a&b.jpg"> ==> <a href="{C}a&amp;b.jpg">
// attributes of scripts' and frameworks' own
<img lazy-src="{U}a.jpg" nitro-lazy-srcset="{U}a.jpg 2x" data-lazy-src="/images/a.jpg" data-src="../../../images/b.jpg"> ==> <img lazy-src="{C}a.jpg" nitro-lazy-srcset="{C}a.jpg 2x" data-lazy-src="https://cdn.test/m1/a.jpg" data-src="https://cdn.test/m1/b.jpg">
<v-img :src="'{U}a.jpg'" x-data="{a: '{U}b.jpg'}" @click='go("{U}c.jpg")'> ==> <v-img :src="'{C}a.jpg'" x-data="{a: '{C}b.jpg'}" @click='go("{C}c.jpg")'>
<rect fill="url({U}a.svg#x)" clip-path="url(#y)"/> ==> <rect fill="url({C}a.svg#x)" clip-path="url(#y)"/>
<form action="{U}a"><button formaction="{U}b"><body background="{U}c"><q cite="{U}d"> ==> <form action="{C}a"><button formaction="{C}b"><body background="{C}c"><q cite="{C}d">
<img data-value="{U}a.jpg" data-title="{U}a.jpg" data-alt="{U}a.jpg" aria-label="{U}a.jpg" placeholder="{U}a.jpg" class="{U}a.jpg">
<div data-images="{U}a.jpg, {U}b.jpg" data-list="{U}a.jpg and {U}b.jpg"> ==> <div data-images="{C}a.jpg, {C}b.jpg" data-list="{U}a.jpg and {U}b.jpg">
<div data-x='[{"u":"\/images\/a.jpg"}]' data-y="text {U}a.jpg" data-z='[{"u":"{UJ}a.jpg"}]'> ==> <div data-x='[{"u":"\/images\/a.jpg"}]' data-y="text {U}a.jpg" data-z='[{"u":"{CJ}a.jpg"}]'>
<img aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-src="{U}a.jpg">
<meta itemprop="image" content="{U}a.jpg"><meta itemprop="x" content="a {U}a.jpg"> ==> <meta itemprop="image" content="{C}a.jpg"><meta itemprop="x" content="a {U}a.jpg">
<meta property="og:image:alt" content="{U}a.jpg"><meta name="twitter:label1" content="{U}a.jpg"><meta http-equiv="x" content="{U}a.jpg">
// scripts
<script>a = b / c; d = "{U}a.jpg" / 2</script> ==> <script>a = b / c; d = "{C}a.jpg" / 2</script>
<script>return /["{U}]/.test("{U}a.jpg")</script> ==> <script>return /["{U}]/.test("{C}a.jpg")</script>
<script>x = a[0] /2; y = f() / 2; z = {BT}{U}a.jpg{BT} + {BT}{U}${n}.jpg{BT}</script> ==> <script>x = a[0] /2; y = f() / 2; z = {BT}{U}a.jpg{BT} + {BT}{U}${n}.jpg{BT}</script>
<script>x = {"{U}k.jpg": "{U}a.jpg", '/images/k.jpg' : 1}; y = c ? "{U}a.jpg" : "{U}b.jpg"</script> ==> <script>x = {"{C}k.jpg": "{C}a.jpg", '/images/k.jpg' : 1}; y = c ? "{C}a.jpg" : "{C}b.jpg"</script>
<script>x = "un{NL}y = "{U}a.jpg"</script> ==> <script>x = "un{NL}y = "{C}a.jpg"</script>
<script>x = "a\{NL}b"; y = '{U}a.jpg'</script> ==> <script>x = "a\{NL}b"; y = '{C}a.jpg'</script>
<script>x = '.a{background:url({UJ}a.jpg)}'; i < 2; <!-- "{U}a.jpg"</script> ==> <script>x = '.a{background:url({CJ}a.jpg)}'; i < 2; <!-- "{U}a.jpg"</script>
<script>x = root + "/images/a.jpg"; y = "/images/a.jpg" + v; z = "/images/a.jpg"; h = '<img src="{U}a.jpg">' + x</script> ==> <script>x = root + "/images/a.jpg"; y = "/images/a.jpg" + v; z = "/images/a.jpg"; h = '<img src="{C}a.jpg">' + x</script>
<script type="importmap">{"imports":{"a":"{U}a.js"}}</script><script type=module>import "{U}b.js"</script> ==> <script type="importmap">{"imports":{"a":"{C}a.js"}}</script><script type=module>import "{C}b.js"</script>
<SCRIPT TYPE=TEXT/HTML><b style="a:url({U}a.jpg)">{U}</b></SCRIPT >{U} ==> <SCRIPT TYPE=TEXT/HTML><b style="a:url({C}a.jpg)">{U}</b></SCRIPT >{U}
// CRLF, NUL, invalid UTF-8 and the like keep their bytes
<p>{NL}{NUL}{CR}{NL}{BAD}&nosuch; &amp <b>{U}a</b> < > <3 </ > <//x> </> <!> <?x> ]]>
<img a{NUL}b="c" src="{U}a.jpg" x={BAD}> ==> <img a{NUL}b="c" src="{C}a.jpg" x={BAD}>
`

// What is obvious is true.
func TestObviousTagEnd(t *testing.T) {
	rnd := rand.New(rand.NewPCG(rand.Uint64(), 0))
	pieces := []string{"\"", "\"", "'", "=", "=\"", "\">", " ", "\t", "/", ">", "a", "b=c"}
	obvious := 0
	for range 50000 {
		var b strings.Builder
		b.WriteString([]string{" ", "/", ">"}[rnd.IntN(3)]) // what ends a tag's name
		for range rnd.IntN(12) {
			b.WriteString(pieces[rnd.IntN(len(pieces))])
		}
		tag := []byte(b.String())
		got := obviousTagEnd(tag, 0)
		if got == 0 {
			continue
		}
		obvious++
		if _, want := readAttributes(nil, tag, 0); got != want {
			t.Fatalf("%q ends at %d, want %d", tag, got, want)
		}
	}
	if obvious < 10000 {
		t.Errorf("only %d are obvious", obvious)
	}
}
