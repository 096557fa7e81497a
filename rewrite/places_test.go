package rewrite

import (
	"regexp"
	"strings"
	"testing"
)

// resolvePlaced is resolveTest that names the place in the URL, and adds a query.
func resolvePlaced(dst []byte, m Match) ([]byte, bool) {
	at := len(dst)
	dst, ok := resolveTest(dst, m)
	if !ok {
		return dst, false
	}
	path := string(dst[at+len(cdn)+1:])
	return append(append(append(dst[:at], cdn...), "ach"[m.Place]), path+"?v="+"ach"[m.Place:m.Place+1]...), true
}

func withPlaces(c *Config) { c.Resolve = resolvePlaced }

var placeOfURL = regexp.MustCompile(`cdn\.test\\?/m([ach])`)

// placesIn are the places that URLs in the body stand in, each by a letter.
func placesIn(t *testing.T, r *Rewriter, contentType, in string) string {
	t.Helper()
	p := sitePage
	p.ContentType = contentType
	var letters strings.Builder
	for _, m := range placeOfURL.FindAllStringSubmatch(rewriteAll(t, r, p, in), -1) {
		letters.WriteString(m[1])
	}
	return letters.String()
}

// Promise 4: "A page works as it did before". The places of a page's URLs: a is
// anywhere, c with CORS, h at home.
func TestPlaces(t *testing.T) {
	r, known := newTest(t, withPlaces), newTest(t, withPlaces, withMemory)
	for contentType, table := range map[string]string{
		"text/html": placeRows, "text/css": cssPlaceRows, "application/json": jsonPlaceRows, "application/xml": feedPlaceRows,
		"image/svg+xml": svgPlaceRows, "application/xhtml+xml": xhtmlPlaceRows, "application/manifest+json": manifestPlaceRows,
		"application/dash+xml": dashRows,
	} {
		for _, c := range rows(table) {
			for _, r := range []*Rewriter{r, known, known, known} {
				if got := placesIn(t, r, contentType, c.in); got != c.out {
					t.Errorf("%s %s: %q, want %q", contentType, c.in, got, c.out)
				}
			}
		}
	}
}

// playlistRows are of whole playlists, for a URL is a line of its own.
var playlistRows = []row{
	{expand.Replace("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"{U}k\"\r\n{U}a.ts\r\n# {U}a.ts\n../../../images/b.ts"), "ccc"},
	{expand.Replace("\n{U}a.ts \n\n#EXT-X-MEDIA:NAME=\"URI={U}a\",URI=\"{U}a.m3u8?x#y\",X=URI={U}b\n"), "cc"},
}

func TestPlaylistPlaces(t *testing.T) {
	r := newTest(t, withPlaces)
	for _, c := range playlistRows {
		if got := placesIn(t, r, "audio/mpegurl", c.in); got != c.out {
			t.Errorf("%q: %q, want %q", c.in, got, c.out)
		}
	}
}

const dashRows = `
<BaseURL>{U}a/b</BaseURL><x media="{U}$N$.m4s" y="{U}b"/> ==> cc
<MPD xlink:href="{U}a?x=1&amp;y"><Title>{U}a</Title><Location> {U}a.mpd </Location></MPD> ==> cc
`

const placeRows = `
// pictures
<img src="{U}a.jpg" srcset="{U}a.jpg 1x, {U}b.svg 2x"> ==> aaa
<img crossorigin src="{U}a.jpg" srcset="{U}a.jpg 1x"> ==> cc
<img src="{U}a.jpg" CrossOrigin=Anonymous> ==> c
<img src="{U}a.jpg" crossorigin=use-credentials data-src="{U}a.jpg"> ==> hh
<input type=image src="{U}a.jpg"> ==> a
<picture><source srcset="{U}a.webp"><img src="{U}a.jpg"></picture> ==> aa
<picture><source srcset="{U}a.webp"><source srcset="{U}b.webp"> x <!-- <p> --><IMG src="{U}a.jpg" crossorigin></picture> ==> ccc
<picture><source srcset="{U}a.webp"></source><img src="{U}a.jpg" crossorigin="use-credentials"></picture> ==> hh
<picture><source srcset="{U}a.webp"></picture><img src="{U}a.jpg" crossorigin> ==> ac
<video crossorigin></video><picture><source srcset="{U}a.webp"><img src="{U}a.jpg"></picture> ==> aa
// sound and video
<video src="{U}a.mp4" poster="{U}a.jpg"></video><audio src="{U}a.mp3"></audio> ==> aaa
<video src="{U}a.mp4" poster="{U}a.jpg" crossorigin></video> ==> cc
<video><source src="{U}a.mp4"><track src="{U}a.vtt"></video> ==> ah
<video crossorigin="anonymous"><source src="{U}a.mp4"><track src="{U}a.vtt"></video> ==> cc
<video crossorigin=use-credentials><source src="{U}a.mp4"><track src="{U}a.vtt"></video> ==> hh
<AUDIO CROSSORIGIN><SOURCE SRC="{U}a.mp3"></AUDIO><video><source src="{U}a.mp4"><track src="{U}a.vtt"></video> ==> cah
<video crossorigin><p>a plain paragraph of some length, so that whole blocks of text are passed over, as they are</p><source src="{U}a.mp4"></video> ==> c
<video src="{U}a.m3u8"></video><video><source data-src="{U}a.mpd"><source data-src="{U}a.mp4"></video><audio data-src="{U}a.mp3"><video data-src="{U}a.vtt"> ==> ccaah
<track src="{U}a.vtt"> ==> h
// links
<a href="{U}a.pdf">x</a><area href="{U}a.jpg"><a href="{U}a.zip"> ==> aaa
<a href="{U}a.pdf" download="n.pdf">x</a><a download href="{U}a.jpg"><area download="" href="{U}a.jpg"> ==> hhh
<a ping="{U}a" href="{U}a.jpg"> ==> ha
<a href="{U}a.gpx"><a href="{U}a.kml"><a href="{U}a.json"><a href="{U}a.vtt?x"><a href="{U}a.m3u8"><area href="{U}a.CSV"><a href="{U}a.docx"><a href="{U}a.txt"> ==> ccccccac
<a href="{U}a.html"><a href="{U}a.svg"><a href="{U}a.mp3"><a href="{U}a.webm"><a href="{U}a.pdf"><area href="{U}a.zip"><a href="{U}a.xlsx"><a href="{U}a.HEIC"> ==> aaaaaaaa
<a href="{U}a.md"><a href="{U}a.lrc"><a href="{U}a.xml"><a href="{U}a.musicxml"><a href="{U}a.abc"><a href="{U}a.pgn"><a href="{U}a.mid"><a href="{U}a.ics"><a href="{U}a.usdz"><a href="{U}a.js"><a href="{U}a"> ==> ccccccccccc
<a class="x pdfemb-viewer" href="{U}a.pdf"><a class="pdfemb-viewer-x" href="{U}a.pdf"> ==> ca
<q cite="{U}a.html"></q><img longdesc="{U}a.html"> ==> aa
// link elements
<link rel=stylesheet href="{U}a.css"><link rel="shortcut icon" href="{U}a.svg"><link rel=apple-touch-icon href="{U}a.png"> ==> aaa
<link rel=stylesheet href="{U}a.css" crossorigin> ==> c
<link rel=stylesheet href="{U}a.css" integrity="sha384-x"> ==> h
<link rel=stylesheet href="{U}a.css" integrity="sha384-x" crossorigin=anonymous><link rel=stylesheet href="{U}a.css" integrity=" "> ==> ca
<link rel=manifest href="{U}a.webmanifest"><link rel="x MANIFEST" crossorigin href="{U}a.json"> ==> hh
<link rel=modulepreload href="{U}a.js"><link rel=modulepreload integrity=x crossorigin href="{U}a.js"><link rel=preload as=json href="{U}a.json"> ==> hhh
<link rel=preload as=font href="{U}a.woff2" crossorigin><link rel=preload as=font href="{U}a.woff2"><link rel=prefetch as=fetch href="{U}a.json"> ==> ccc
<link rel=preload as=image href="{U}a.jpg" imagesrcset="{U}a.jpg 1x"><link rel=preload as=script href="{U}a.js"><link rel=preload as=style href="{U}a.css"> ==> aaaa
<link rel=preload as=track href="{U}a.vtt"><link rel=preload as=track href="{U}a.vtt" crossorigin><link rel=preload as=worker href="{U}a.js"> ==> hch
<link rel=alternate href="{U}a.xml"><link rel=canonical href="{U}a.html"><link itemprop=image href="{U}a.jpg"><link property=x href="{U}a.jpg"> ==> aaaa
<link rel="stylesheet/less" href="{U}a.less"><link rel="x STYLESHEET" href="{U}a.css"><link rel=import href="{U}a.html"><link rel=x-mask href="{U}a.png"><link href="{U}a.css"> ==> cahcc
// scripts
<script src="{U}a.js"></script><script src="{U}a.js" type="text/JavaScript"></script> ==> aa
<script src="{U}a.js" type=module></script><script src="{U}a.js" crossorigin></script><script src="{U}a.js" type="text/babel"></script><script src="{U}a.glsl" type=x></script> ==> hchc
<script src="{U}a.js" integrity=x></script><script src="{U}a.js" integrity=x crossorigin></script><script type=module src="{U}a.js" integrity=x></script> ==> hch
<script type=module>import a from "{U}a.css" with {type: "css"}; import /* x */ "{U}a.json"; export * from'{U}b.mjs'; import("{U}a.js"); f("{U}a.css", x.from + "", "{U}a.jpg")</script> ==> hhhhcc
<script>new Worker("{U}w.js"); new SharedWorker("{U}w.js"); navigator.serviceWorker.register('{U}w.mjs'); location = "{U}x.html"</script> ==> hhhh
<script>f("{U}a.jpg", "{U}a.JPG", "{U}a.mp4", "{U}a.css", "{U}a.svg", "{U}a.json", "{U}a.vtt", "{U}a.glb", "{U}a", "{U}a.pdf", "{U}a.m3u8", "{U}a.woff2", "{U}a.ogg")</script> ==> cccchchcchccc
// what no header helps: documents of each kind, references to SVG, text tracks
<script>use.setAttribute("href", "{U}a.svg#i"); object.data = "{U}a.SVG"; track.src = "{U}a.srt"; frame.src = "{U}a.pdf"; frame.src = "{U}a.txt"; x = "{U}a.xml"</script> ==> hhhhhh
<div data-sprite="{U}a.svg" data-captions="{U}a.vtt" data-pdf="{U}a.pdf" data-x="{&quot;a&quot;:&quot;{U}a.svg&quot;}"><my-icon src="{U}a.svg"></my-icon> ==> hhhhh
// what a script takes up may be fetched, a mask or a texture, whatever it names
<script>fetch("{U}a.png"); x.open("GET", '{U}a.png'); s.maskImage = "url({U}a.png)"; s.setProperty("--mask", "url({U}a.png)"); i.src = "{U}a.png"</script> ==> ccccc
<script>s.mask = "center / cover no-repeat url({U}a.png)"; s.mask = "linear-gradient(red, red), url({U}a.png)"; s.mask = 'image-set("{U}a.png" 1x)'</script> ==> cc
<script type="application/json">{"mask":"{UJ}a.png","style":"mask-image:url({UJ}a.png)","css":".a{background:url({UJ}a.png)}.b{mask:url({UJ}a.png)}","cubeMap":["{UJ}a.png"],"srcset":"{UJ}a.png 1x"}</script> ==> ccaccc
<script>new Viewer({panorama: "{U}a.jpg", equirectangular: "{U}a.jpg", html: '<img src="{U}a.jpg"><i data-x="{U}a.jpg">', css: "background: url({U}a.jpg)"})</script> ==> ccaca
<script>x = '<video src="{U}a.mp4">'; y = {"a": {"video": "{U}a.mp4"}}</script> ==> ac
<script type="importmap">{"imports":{"a":"{U}a.js"}}</script><script type=speculationrules>{"prefetch":[{"urls":["{U}a.jpg"]}]}</script> ==> hh
<script type="application/ld+json">{"@id":"{U}a.pdf","image":"{U}a.jpg"}</script><script type="application/json">{"a":"{U}a.pdf"}</script> ==> aah
<script>x = '<img src="{U}a.svg">'; y = "<track src='{U}a.vtt'>"; z = "a{mask:url({U}a.png)}"; v = "url({U}a.svg)"</script> ==> ahch
<a onclick="x('{U}a.js')"><p :src="'{U}a.json'"> ==> hc
// data attributes, custom elements
<div data-mp4="{U}a.mp4" data-src="{U}a.webm" data-x="{&quot;a&quot;:&quot;{U}a.mp3&quot;}"><wave-form src="{U}a.wav"></wave-form><a data-src="{U}a.MP4"> ==> ccccc
<div data-mask="{U}a.png" data-mask-src="{U}a.png" data-mask-image="{U}a.png" data-equirect="{U}a.jpg" data-skybox="{U}a.jpg" data-sphere="{U}a.jpg"> ==> cccccc
<div data-360-image="{U}a.jpg" data-photo-sphere="{U}a.jpg" data-displacement="{U}a.jpg" data-cube_texture="{U}a.jpg" data-style="mask:url({U}a.jpg);background:url({U}b.jpg)"> ==> ccccca
<img data-mask-src="{U}a.png" data-texture-srcset="{U}a.png 1x" :src="'{U}a.png'"><my-part src="{U}a.png" background="{U}a.png" icon="{U}a.png" poster="{U}a.png"> ==> ccccccc
<a-sky src="{U}a.jpg"></a-sky><a-image src="{U}a.js"><body background="{U}a.jpg"><amp-img src="{U}a.jpg" srcset="{U}a.jpg 1x"> ==> chaaa
<img src="{U}a.jpg"><a-scene><A-Assets><img src="{U}a.jpg"><video><source src="{U}a.mp4"></video><audio src="{U}a.mp3"></audio><img crossorigin=use-credentials src="{U}a.jpg"></a-assets> ==> accch
<a-assets timeout="{U}b.jpg"><img src="{U}a.jpg"><p>text of some length so that it is passed over in whole blocks of bytes and so on</p><img src="{U}b.jpg" crossorigin><a-asset-item src="{U}a.glb"><video poster="{U}a.jpg"> ==> cccc
<div data-bg="{U}a.jpg" data-x="{U}a.json" data-lottie="{U}a.svg" data-y="{&quot;a&quot;:&quot;{U}a.js&quot;}" data-z="url({U}a.jpg)"> ==> achhc
// lazy loaders that are known
<img data-src="{U}a.jpg" data-lazy-src="{U}a.jpg" data-original="{U}a.jpg" data-lazyload="{U}a.jpg" data-large_image="{U}a.jpg" data-orig-file="{U}a.jpg" ng-src="{U}a.jpg"> ==> aaaaaaa
<div data-bg="url({U}a.jpg)" data-background-image="{U}a.jpg" data-src="{U}a.jpg" data-thumb="{U}a.jpg" data-full="{U}a.jpg" data-bg-multi="url({U}a.jpg), url({U}b.jpg)"> ==> aaaaaaa
<picture><source data-srcset="{U}a.webp 1x"><img data-lazy-srcset="{U}a.jpg 1x" DATA-SRC="{U}a.jpg"></picture><video data-poster="{U}a.jpg" data-src="{U}a.m3u8"></video> ==> aaaac
<picture><source data-srcset="{U}a.webp 1x"><img crossorigin data-lazy-srcset="{U}a.jpg 1x" data-bg="{U}a.jpg"></picture><div data-bg="{U}a.svg" data-src="{U}a.js"> ==> cccch
<img data-src="{U}a.jpg" data-src="{U}a.svg"><img data-src="{U}a.svg" data-srcset="{U}a.webp 1x"><iframe data-src="{U}a.html"></iframe> ==> acah
<img crossorigin data-src="{U}a.jpg"><model-viewer src="{U}a.glb" poster="{U}a.jpg"></model-viewer> ==> ccc
<img data-envira-src="{U}a.jpg" data-envira-srcset="{U}a.jpg 1x" data-src-fg="{U}a.jpg" data-srcset-fg="{U}a.jpg 1x" data-cfsrc="{U}a.jpg" data-ezsrc="{U}a.jpg" data-ezsrcset="{U}a.jpg 1x"> ==> aaaaaaa
<img data-pagespeed-lazy-src="{U}a.jpg" data-src-retina="{U}a.jpg" data-lazy-original="{U}a.jpg"><img crossorigin data-cfsrc="{U}a.jpg"> ==> aaac
<canvas data-src="{U}a.jpg" data-srcset="{U}a.jpg 1x" data-bg="{U}a.jpg" data-poster="{U}a.jpg" data-full="{U}a.jpg" data-ezsrc="{U}a.jpg"></canvas> ==> cccccc
// documents
<iframe src="{U}story.html"></iframe><iframe src="{U}x/story"></iframe><iframe src="{U}a.pdf"></iframe><iframe src="{U}a.svg"></iframe><iframe data-src="{U}a.mp4"></iframe> ==> hhhhh
<object data="{U}x.svg"></object><object data="{U}x.jpg"></object><embed src="{U}a.pdf"><embed src="{U}a.swf"><frame src="{U}a.htm"> ==> hhhhh
<iframe srcdoc="<track src='{U}a.vtt'><img src='{U}a.jpg'>"></iframe> ==> ha
<form action="{U}a"><button formaction="{U}a"><body background="{U}a.jpg"> ==> hha
// SVG
<svg><use href="{U}sprite.svg#i"/><use xlink:href="{U}sprite.svg#i"/><image href="{U}a.svg"/><image crossorigin href="{U}a.png"/></svg> ==> hhac
<svg><linearGradient href="{U}a.svg#g"/><textPath href="{U}a.svg#g"/><mpath xlink:href="{U}a.svg#g"/><feImage href="{U}a.png"/><feImage href="{U}a.svg#e"/></svg> ==> hhhah
<svg><a href="{U}a.pdf"/><a download href="{U}a.pdf"/><script href="{U}a.js"></script></svg> ==> aha
<rect fill="url({U}a.svg#x)" filter="url({U}a.svg#f)" clip-path="url({U}a.svg#c)" mask="url({U}a.svg#m)" cursor="url({U}a.cur)"/> ==> hhhha
<rect mask="alpha url({U}a.png)" fill="none, url({U}a.svg#g)" cursor="pointer, url({U}a.cur)"/> ==> cha
// CSS
<div style="/* ( */mask-image:url({U}a.png)"><div data-x="center/* : */ no-repeat url({U}a.png)"><div data-x="background/* ( */:url({U}a.png)"> ==> cca
<div style="filter:url({U}sprite.svg#f)"><div style="background:url({U}a.jpg);mask-image:url({U}a.png);--x:url({U}a.png)"> ==> hacc
<style>@font-face{src:url({U}a.woff2)}a{background:url({U}a.png)}</style> ==> ca
// meta
<meta property="og:image" content="{U}a.jpg"><meta property="og:video" content="{U}a.m3u8"><meta http-equiv=refresh content="0; url={U}a.html"> ==> aaa
`

// pathRows are of URLs without a host, behind which a script often puts one. What
// stands is not named.
var pathRows = map[string]string{
	"text/html": `
<script>x = cfg.root + cfg.img; cfg = {img: "/images/a.jpg", js: '\/images\/a.js', more: ["/images/a.jpg 1x, /images/b.jpg 2x"]}</script> ==>
<script>x = "//example.com/images/a.jpg"; y = "https:\/\/example.com\/images\/a.jpg"; z = "//example.com/images/a.jpg 1x, /images/b.jpg 2x"</script> ==> ccc
<script>x = '<img src="/images/a.jpg">'; y = "a{background:url(/images/a.jpg)}"; z = "url(/images/a.jpg)"</script> ==> aac
<script type="application/json">{"a":"\/images\/a.jpg","b":"\/\/example.com\/images\/a.jpg","c":"<img src=\"\/images\/a.jpg\">"}</script> ==> ca
<script type="application/ld+json">{"image":"/images/a.jpg"}</script><meta property="og:image" content="/images/a.jpg"> ==> aa
<div data-x="/images/a.jpg" data-image="../../../images/a.jpg" data-y="{&quot;a&quot;:&quot;/images/a.jpg&quot;}" data-x-srcset="/images/a.jpg 1x" onclick="x('/images/a.jpg')"> ==>
<div data-z="//example.com/images/a.jpg" data-style="background:url(/images/a.jpg)" data-html="&lt;img src=/images/a.jpg&gt;"> ==> caa
<my-part src="/images/a.jpg" srcset="../../../images/a.jpg 1x" image="/images/a.jpg"></my-part><p :src="'/images/a.jpg'"> ==> cc
<img data-src="/images/a.jpg" data-lazy-srcset="/images/a.jpg 1x"><div data-bg="../../../images/a.jpg"><div data-bg="url(/images/a.jpg)"> ==> aaaa
<link rel="stylesheet/less" href="/images/a.less"><a class="pdfemb-viewer" href="/images/a.pdf"> ==> cc
`,
	"application/json": `{"a":"/images/a.jpg","b":"\/images\/a.jpg","c":"//example.com/images/a.jpg","d":"<a href=\"/images/a.jpg\">"} ==> ca`,
}

// "A path in a script stays: it may be put behind a base."
func TestPathsOfScripts(t *testing.T) {
	r, known := newTest(t, withPlaces), newTest(t, withPlaces, withMemory)
	for contentType, table := range pathRows {
		for _, c := range rows(table) {
			for _, r := range []*Rewriter{r, known, known, known} {
				if got, want := placesIn(t, r, contentType, c.in), c.out; got != want {
					t.Errorf("%s %s: %q, want %q", contentType, c.in, got, want)
				}
			}
		}
	}
}

// holeRows are of markup and CSS that a script fills something into: what it will be
// is not known.
const holeRows = `
<script>x = {BT}<img src="{U}a.jpg" ${attrs}><img src="{U}b.jpg">{BT}; y = "<img %s src='{U}a.jpg'>"; z = '<a {0} href="{U}a.pdf">'; u = '<a %1$s href="{U}a.pdf">'</script> ==> a
<script>x = "<img src='{U}a.jpg' <%= co %>>"; y = '<img src="{U}a.jpg" alt="{{alt}}">'; z = "<div style='background:url({U}a.jpg);#{more}'>"</script> ==>
<script>x = {BT}.t1{${prop}:url({U}a.jpg)}{BT}; y = ".t2{{{prop}}:url({U}a.jpg)}"; z = "%s url({U}a.jpg)"; a = "b{background:url({U}a.jpg)}"</script> ==> a
<script>x = {BT}<style>.t1{${prop}:url({U}a.jpg)}</style><style>.t2{background:url({U}a.jpg)}</style>{BT}</script> ==> a
<script type="text/html"><img src="{U}a.jpg" {{attrs}}><img src="{U}a.jpg"{{#if co}}crossorigin{{/if}}><img src="{U}a.jpg"><# if (x) { #><img src="{U}a.jpg" <# } #>></script> ==> a
<script type="text/x-template"><video {{attrs}}><source src="{U}a.mp4"></video><picture><source srcset="{U}a.webp"><img src="{U}a.jpg" {{co}}></picture></script> ==> hh
<script type="application/json">{"tpl":"<img src='{UJ}a.jpg' %s>","x":"<img src='{UJ}%d0%b0.jpg' width='50%'>"}</script> ==> a
<div data-html="&lt;img {{x}} src=&quot;{U}a.jpg&quot;&gt;"> ==>
`

func TestHoles(t *testing.T) {
	r := newTest(t, withPlaces)
	for _, c := range rows(holeRows) {
		if got, want := placesIn(t, r, "text/html", c.in), c.out; got != want {
			t.Errorf("%s: %q, want %q", c.in, got, want)
		}
	}
}

const cssPlaceRows = `
@font-face{font-family:x;src:url({U}a.woff2) format("woff2"),url("{U}a.svg#f")} a{background:url({U}a.svg)} ==> cca
@FONT-FACE /* x */ {SRC:url({U}a.woff2)}@media print{a{background:url({U}a.svg)}} ==> ca
@font-face;a{background:url({U}a.svg)} ==> a
@import "{U}a.css";@import url({U}a.css) screen;a{cursor:url({U}a.cur),auto;content:url({U}a.png);list-style:url({U}a.png);border-image:url({U}a.png)} ==> aaaaaa
a{mask:url({U}a.svg);MASK-IMAGE:url({U}a.png);-webkit-mask:url({U}a.svg#m);-webkit-mask-box-image:url({U}a.png);shape-outside:url({U}a.png)} ==> cchcc
a{mask-image:image-set("{U}a.png" 1x);background:image-set("{U}a.png" 1x)} ==> ca
a{filter:url({U}a.svg#f) blur(1px);clip-path:url({U}a.svg#c);fill:url({U}a.svg#p);marker-end:url({U}a.svg#m);backdrop-filter:url({U}a.svg);offset-path:url({U}a.svg#o)} ==> hhhhhh
:root{--a:url({U}a.png);--b:url({U}a.svg#m)} ==> ch
a:hover{mask/**/:url({U}a.png)} .mask{background:url({U}a.png)} #filter a{background:url({U}a.png)} ==> caa
a{m\61sk:url({U}a.png);b\61 ckground:url({U}a.png);color:red;background:url({U}a.png)} ==> cca
a{mask:none;b{background:url({U}a.png)}} @supports (mask:url(x)){a{background:url({U}a.png)}} ==> aa
a{color:red;mask:url({U}a.png} ==>
`

const jsonPlaceRows = `
{"a":"{UJ}a.jpg","b":"{UJ}a.svg","c":"{UJ}a.vtt","d":"{UJ}a.html","e":"{UJ}a.mp3?x=.js","f":"{UJ}b.js#.jpg"} ==> chhhch
{"rendered":"<video><track src=\"{UJ}a.vtt\"><\/video><a href=\"{UJ}a.pdf\" download>x<\/a><img src=\"{UJ}a.svg\">"} ==> hha
`

const feedPlaceRows = `
<urlset><url><loc>{U}doc.pdf</loc><image:image><image:loc>{U}a.jpg</image:loc></image:image><video:video><video:content_loc>{U}a.mp4</video:content_loc></video:video></url></urlset> ==> haa
<sm:loc>{U}doc.pdf</sm:loc><xhtml:link rel="alternate" href="{U}doc.pdf"/> ==> hh
<enclosure url="{U}a.pdf"/><link>{U}a.html</link><atom:link href="{U}a"/><media:content url="{U}a.m3u8"/> ==> aaaa
<description><![CDATA[<img src="{U}a.jpg"><iframe src="{U}a.html"></iframe>]]></description> ==> ah
`

const svgPlaceRows = `
<svg><use href="{U}a.svg#x"/><svg:use xlink:href="{U}a.svg#x"/><image href="{U}a.jpg"/><style>@font-face{src:url({U}a.woff)}a{filter:url({U}a.svg#f)}</style><script>"{U}a.js"</script></svg> ==> hhachh
`

const xhtmlPlaceRows = `
<html><video crossorigin=""><source src="{U}a.mp4"/><track src="{U}a.vtt"/></video><picture><source srcset="{U}a.webp"/><img src="{U}a.jpg"/></picture></html> ==> ccaa
<html><picture><source srcset="{U}a.webp"/><img src="{U}a.jpg" crossorigin=""/></picture><xhtml:a href="{U}a.pdf" download=""/></html> ==> cch
`

const manifestPlaceRows = `
{"start_url":"/images/x","icons":[{"src":"../../../images/a.png"}],"name":"/images/a","screenshots":[{"src":"{UJ}a.png"}],"shortcuts":[{"url":"{UJ}a"}]} ==> haah
`

// A Link header says of its target what a link element does.
func TestHeaderPlaces(t *testing.T) {
	r := newTest(t, withPlaces)
	for _, c := range rows(`
<{U}a.jpg>; rel=preload; as=image; imagesrcset="{U}a.jpg 1x, {U}b.jpg 2x" ==> aaa
<{U}a.woff2>; rel="preload"; as="font"; crossorigin, <{U}a.css>; rel=stylesheet ==> ca
<{U}a.jpg>; crossorigin="use-credentials"; rel=x,<{U}a.js>;rel=modulepreload, <{U}a>; rel="x manifest" ==> hhh
<{U}a,b;c.jpg> ; rel=preload ; as=image ; nopush ; = ; x="\"," ; crossorigin ==> c
`) {
		got := ""
		for _, m := range placeOfURL.FindAllStringSubmatch(r.HeaderLink(c.in, sitePage), -1) {
			got += m[1]
		}
		if got != c.out {
			t.Errorf("%s: %q, want %q", c.in, got, c.out)
		}
	}
	for _, out := range []string{r.HeaderLocation("/images/a.html", sitePage), r.HeaderRefresh("0;url=/images/a.html", sitePage)} {
		if !strings.Contains(out, cdn+"a") {
			t.Errorf("a visitor does not follow to %s", out)
		}
	}
}

// The table says something of each of its rows, and each is reached.
func TestPlacesTable(t *testing.T) {
	rules := Places()
	if len(rules) != len(placeRules) {
		t.Fatalf("%d rules of %d", len(rules), len(placeRules))
	}
	for i, r := range rules {
		switch {
		case r.Context == "", r.Elements == "", r.Attributes == "", r.Spec == "":
			t.Errorf("%+v is not whole", r)
		case r.When != "" && placeRules[i].when == nil, r.Whole != placeRules[i].use.whole:
			t.Errorf("%+v", r)
		}
		if !isReached(i) {
			t.Errorf("%+v is never reached", r)
		}
	}
}

// isReached reports whether some element's attribute has the rule of number i.
func isReached(i int) bool {
	table := &placeTables[placeRules[i].in]
	for e := range table.elements.list {
		for a := range table.attributes.list {
			for j := range placeRules {
				r := &placeRules[j]
				if r.in != placeRules[i].in || !table.elements.covers(r.elements, e) || !table.attributes.covers(r.attributes, a) {
					continue
				}
				if j == i {
					return true
				}
				if r.when == nil {
					break
				}
			}
		}
	}
	return false
}

// "The original query stays first": a query of the replacement goes behind one
// that is there, before a fragment, in each spelling.
func TestQueries(t *testing.T) {
	r := newTest(t, func(c *Config) {
		c.Resolve = func(dst []byte, m Match) ([]byte, bool) {
			dst, ok := resolveTest(dst, m)
			return append(dst, "?v=1/2"...), ok
		}
	})
	known := newTest(t, func(c *Config) { c.Resolve = r.resolve }, withMemory)
	for contentType, table := range map[string]string{
		"text/html": `
<img src="{U}a.jpg"> ==> <img src="{C}a.jpg?v=1/2">
<img src="{U}a.jpg?ver=3"> ==> <img src="{C}a.jpg?ver=3&amp;v=1/2">
<img src={U}a.jpg?ver=3> ==> <img src={C}a.jpg?ver=3&amp;v=1/2>
<img src="{U}a.jpg?"> ==> <img src="{C}a.jpg?v=1/2">
<img src=" {U}a.jpg?a=b&amp;c&#038;d&e=?&quot;#x?y "> ==> <img src=" {C}a.jpg?a=b&amp;c&#038;d&e=?&quot;&amp;v=1/2#x?y ">
<img src="{U}a.jpg?a&amp;#x"> ==> <img src="{C}a.jpg?a&amp;v=1/2#x">
<img src="{U}a.jpg#x?y"> ==> <img src="{C}a.jpg?v=1/2#x?y">
<img src="{UE}a.jpg?x"> ==> <img src="{CE}a.jpg?x&amp;v=1&#x2F;2">
<img srcset="{U}a.jpg?ver=3 1x, {U}b.jpg?x,y#z 2x, {U}c.jpg?"> ==> <img srcset="{C}a.jpg?ver=3&amp;v=1/2 1x, {C}b.jpg?x,y&amp;v=1/2#z 2x, {C}c.jpg?v=1/2">
<p style="background:url({U}a.jpg?ver=3), url(&quot;{U}b.jpg?#x&quot;)"> ==> <p style="background:url({C}a.jpg?ver=3&amp;v=1/2), url(&quot;{C}b.jpg?v=1/2#x&quot;)">
<div data-x="{&quot;u&quot;:&quot;{UJ}a.jpg?a\u0026b&quot;}"> ==> <div data-x="{&quot;u&quot;:&quot;{CJ}a.jpg?a\u0026b&amp;v=1\/2&quot;}">
<script>a = "{UJ}a.jpg?ver=3"; b = '<img src="{U}a.jpg?ver=3">'</script> ==> <script>a = "{CJ}a.jpg?ver=3&v=1\/2"; b = '<img src="{C}a.jpg?ver=3&amp;v=1/2">'</script>
`,
		"application/json": `{"a":"{UJ}a.jpg?x\u0026y#z","b":"<img src=\"{UJ}a.jpg?x\">"} ==> {"a":"{CJ}a.jpg?x\u0026y&v=1\/2#z","b":"<img src=\"{CJ}a.jpg?x&amp;v=1\/2\">"}`,
		"text/css":         `a{background:url({U}a.jpg?x)}b{background:url("{U}a.jpg?\28#x")} ==> a{background:url({C}a.jpg?x&v=1/2)}b{background:url("{C}a.jpg?\28&v=1/2#x")}`,
		"application/xml":  `<url>{U}a.jpg?x</url><url><![CDATA[{U}a.jpg?x]]></url><x url='{U}a.jpg?x&amp;y'/> ==> <url>{C}a.jpg?x&amp;v=1/2</url><url><![CDATA[{C}a.jpg?x&v=1/2]]></url><x url='{C}a.jpg?x&amp;y&amp;v=1/2'/>`,
	} {
		p := sitePage
		p.ContentType = contentType
		runRows(t, r, p, rows(table))
		for range 3 {
			runRows(t, known, p, rows(table))
		}
	}
	if got, want := r.HeaderLocation("/images/a.jpg?x#y", sitePage), "https://cdn.test/m1/a.jpg?x&v=1/2#y"; got != want {
		t.Errorf("a header becomes %s, want %s", got, want)
	}
}

// What a condition depends on is what it asks for, else cells would leave it out.
func TestConditionsAsk(t *testing.T) {
	w := newWriter(nil)
	tags := []string{
		"crossorigin", "crossorigin=use-credentials", "integrity=x", "crossorigin integrity=x", "download", "type=x",
		"type=module", "type=importmap", "type=speculationrules", "type=application/ld+json", "rel=manifest",
		"rel=serviceworker", "rel=modulepreload", "rel=compression-dictionary", "rel=preload as=worker",
		"rel=prefetch as=font", "rel=preload as=track", "",
	}
	for _, tag := range tags {
		src := []byte("<x " + tag + ">")
		l, _ := readAttributes(nil, src, 2)
		for _, a := range []around{{}, {media: anonymous}, {media: useCredentials}, {img: anonymous}, {img: useCredentials}} {
			p := w.place(src, l, a, 0)
			for _, r := range placeRules {
				if r.when != nil && r.when.holds(p) != r.when.holds(&placed{}) && r.when.asks&(l.lengths()|a.asked()) == 0 {
					t.Errorf("%q (%v): %q depends on what it does not ask for", tag, a, r.when.text)
				}
			}
		}
	}
}
