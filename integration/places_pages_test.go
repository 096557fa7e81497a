//go:build integration

package integration

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path"
)

// knownPage names a file that comes from anywhere, and one with CORS of each
// ending that there is: what a public URL allows may depend on that.
func knownPage() placePage {
	known := placePage{name: "known", files: []placeFile{{"plain.png", red, anywhere}}, body: `<img src="{m}/plain.png">`}
	endings := map[string]bool{}
	for _, p := range allPlacePages() {
		for _, f := range p.files {
			if ending := path.Ext(f.name); f.place == withCORS && !endings[ending] {
				endings[ending] = true
				known.files = append(known.files, placeFile{"cors" + ending, []byte("# known\n"), withCORS})
				known.head += `<link rel="preload" as="fetch" crossorigin href="{m}/cors` + ending + `">`
			}
		}
	}
	return known
}

// knownIsolatedPage names a file that may be embedded in an isolated page.
func knownIsolatedPage() placePage {
	return placePage{
		name: "known-isolated", files: []placeFile{{"a.png", red, embeddable}},
		headers: isolation, body: `<img src="{m}/a.png">`,
	}
}

// hashedPage has text that its policy names by hashes. The policy is in the header
// field given, or in the page.
func hashedPage(name, field string) placePage {
	const (
		style   = `body { margin: 0 } #drawn { width: 40px; height: 20px; background: url({m}/a.png) }`
		attr    = `width: 30px; height: 20px; background: url({m}/b.png)`
		script  = `document.documentElement.dataset.mark = 'ran'; new Image().src = '{m}/c.png'`
		handler = `this.title = 'called'; new Image().src = '{m}/d.png'`
	)
	p := placePage{
		name: name, rows: []string{"text with a hash in a content policy"},
		files: []placeFile{{"a.png", red, atHome}, {"b.png", red, atHome}, {"c.png", red, atHome}, {"d.png", red, atHome}, {"e.png", blue, anywhere}},
		effect: js(`const [i, p] = [$('i'), $('p')]; i.click(); await pictures();
			return [document.documentElement.dataset.mark, i.title, p.offsetWidth, $('img').naturalWidth].join()`),
		want: "ran,called,30,40", drawn: "red",
	}
	hash := func(text string) string { return " '" + integrity([]byte(p.fill(text))) + "'" }
	policy := "style-src 'unsafe-hashes'" + hash(style) + hash(attr) + "; script-src 'unsafe-hashes'" + hash(script) + hash(handler)
	meta := ""
	if field == "" {
		meta = `<meta http-equiv="Content-Security-Policy" content="` + policy + `">`
	} else {
		p.headers = field + ": " + policy
	}
	p.document = `<!doctype html><meta charset="utf-8"><title>` + name + `</title>` + meta + `<link rel="icon" href="data:,"><style>` + style + `</style>` +
		`<body><div id="drawn"></div><p style="` + attr + `"></p><img src="{m}/e.png"><i onclick="` + handler + `"></i><script>` + script + `</script>`
	return p
}

const isolation = "Cross-Origin-Embedder-Policy: require-corp"

// Effects that several pages have.
var (
	widths = js(`await pictures(); return [...document.images].map((i) => i.naturalWidth).join()`)
	// fonts are the states of the page's web fonts.
	fonts = js(`await document.fonts.ready; return [...document.fonts].map((f) => f.status).join()`)
	// mark is the attribute that a script of the page sets.
	mark    = js(`return document.documentElement.dataset.mark`)
	loaded  = js(`return document.readyState`)
	colored = js(`return getComputedStyle($('#drawn')).backgroundColor`)
	// cues are those of the first text track.
	cues = js(`const t = $('track'); t.track.mode = 'showing';
		if (t.readyState < 2) await one(t, 'load', 'error');
		return t.readyState + ' ' + [...(t.track.cues || [])].map((c) => c.text)`)
	framed = js(`const f = $('iframe, object, embed'); const d = f.contentDocument || f.getSVGDocument();
		return d ? d.querySelector('title').textContent + ' ' + document.documentElement.dataset.mark : 'out of reach'`)
)

// Contents of files.
var (
	red, blue = flat(color.RGBA{R: 255, A: 255}), flat(color.RGBA{B: 255, A: 255})
	sprite    = []byte(`<svg xmlns="http://www.w3.org/2000/svg"><symbol id="i" viewBox="0 0 4 2"><rect width="4" height="2" fill="red"/></symbol>` +
		`<filter id="f"><feFlood flood-color="red"/></filter><linearGradient id="g"><stop stop-color="red"/></linearGradient>` +
		`<clipPath id="c" clipPathUnits="objectBoundingBox"><rect width="1" height="1"/></clipPath></svg>`)
	// drawing is an SVG document that reaches out to the page.
	drawing = []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="red"/><title>drawing</title>` +
		`<script>parent.document.documentElement.dataset.mark = 'reached'</script></svg>`)
	story = []byte(`<!doctype html><title>story</title><body style="margin:0;background:red"><script>parent.document.documentElement.dataset.mark = 'reached'</script>`)
	vtt   = []byte("WEBVTT\n\n00:00.000 --> 00:10.000\nhello\n")
	sheet = []byte(`#drawn { background: red }`)
	marks = []byte(`document.documentElement.dataset.mark = 'ran'`)
)

const glyph = `<div id="drawn"></div><p style="font: 60px probe">&#xf100;&#xf101;</p>`

// placePages are all pages. A further place is one more of them.
func placePages() []placePage {
	film, font := read("testdata/places/green.webm"), read("/usr/share/wordpress/wp-includes/fonts/dashicons.woff2")
	return []placePage{
		// Anywhere.
		{
			name: "img", rows: []string{"img"},

			files: []placeFile{{"a.png", red, anywhere}, {"b.png", blue, anywhere}},
			body:  `<img id="drawn" src="{m}/a.png"><img src="{site}{m}/b.png">`, effect: widths, want: "40,40", drawn: "red",
		},
		{
			name: "srcset", rows: []string{"srcset"},

			files:  []placeFile{{"a.png", red, anywhere}, {"b.png", blue, anywhere}, {"c.png", blue, anywhere}},
			body:   `<picture><source srcset="{m}/a.png 1x, {m}/b.png 2x"><img id="drawn" src="{m}/c.png"></picture>`,
			effect: js(`await pictures(); return name($('img').currentSrc)`), want: "a.png", drawn: "red",
		},
		{
			name: "input-image", rows: []string{"input type=image"},
			files: []placeFile{{"a.png", red, anywhere}},
			body:  `<input type="image" id="drawn" src="{m}/a.png">`, effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "lazy", rows: []string{"lazy loaders"},
			files: []placeFile{{"a.png", red, anywhere}, {"b.png", blue, anywhere}, {"c.png", blue, anywhere}},
			body: `<img id="drawn" data-src="{m}/a.png"><div data-bg="{m}/b.png" style="height: 20px"></div><img data-lazy-srcset="{m}/c.png 1x"><script>
			const [a, c] = document.images, b = document.querySelector('div');
			a.src = a.dataset.src; b.style.backgroundImage = 'url(' + b.dataset.bg + ')'; c.srcset = c.dataset.lazySrcset;
		</script>`,
			effect: widths, want: "40,40", drawn: "red",
		},
		{
			name: "css-images", rows: []string{"CSS images"},

			files:  []placeFile{{"a.png", red, anywhere}, {"b.png", red, anywhere}, {"c.png", blue, anywhere}, {"d.png", blue, anywhere}},
			head:   `<style>#drawn { background: url({m}/a.png) } li { list-style-image: url("{m}/b.png") } body { cursor: url({m}/d.png), auto }</style>`,
			body:   `<div id="drawn"></div><ul><li>item</ul><div style="width: 40px; height: 20px; background-image: url(&quot;{m}/c.png&quot;)"></div>`,
			effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "sheet", rows: []string{"style sheets"},
			files: []placeFile{{"ok.css", sheet, anywhere}, {"imported.css", []byte(`p { color: blue }`), anywhere}},
			head:  `<link rel="stylesheet" href="{m}/ok.css"><style>@import url({m}/imported.css);</style>`, body: `<div id="drawn"></div><p>text`,
			effect: js(`return getComputedStyle($('p')).color`), want: "rgb(0, 0, 255)", drawn: "red",
		},
		{
			name: "script", rows: []string{"classic scripts"},
			files: []placeFile{{"s.js", marks, anywhere}},
			body:  `<script src="{m}/s.js"></script>`, effect: mark, want: "ran",
		},
		{
			name: "video", rows: []string{"video and audio"},
			files: []placeFile{{"v.webm", film, anywhere}, {"poster.png", red, anywhere}, {"a.wav", wave(), anywhere}},
			body:  `<video id="drawn" preload="none" poster="{m}/poster.png"></video><video src="{m}/v.webm" muted></video><audio src="{m}/a.wav" preload="auto"></audio>`,
			effect: js(`const v = document.querySelectorAll('video')[1], a = $('audio');
			for (const e of [v, a]) if (e.readyState < 2 && !e.error) await one(e, 'loadeddata', 'error');
			return [v.videoWidth, v.error && v.error.code, a.duration, a.error && a.error.code].join()`), want: "32,,1,", drawn: "red",
		},
		{
			name: "link", rows: []string{"links a visitor follows"},
			files: []placeFile{{"a.png", red, anywhere}},
			body:  `<a href="{m}/a.png">picture</a>`, effect: click("a"), want: "goes to a.png",
		},
		{
			name: "og", rows: []string{"og:image"},
			files: []placeFile{{"a.png", red, anywhere}},
			head:  `<meta property="og:image" content="{site}{m}/a.png">`, effect: js(`return name($('meta[property]').content)`), want: "a.png",
		},
		{
			name: "icon", rows: []string{"icons"},
			files:  []placeFile{{"a.png", red, anywhere}, {"b.png", red, anywhere}},
			head:   `<link rel="icon" href="{m}/a.png"><link rel="apple-touch-icon" href="{m}/b.png">`,
			effect: js(`return name($('link').href)`), want: "a.png",
		},
		{
			name: "preload", rows: []string{"preloads"},
			files:   []placeFile{{"a.png", red, anywhere}, {"b.png", blue, anywhere}},
			headers: `Link: <{m}/b.png>; rel=preload; as=image`,
			head:    `<link rel="preload" as="image" href="{m}/a.png">`, body: `<img id="drawn" src="{m}/a.png"><img src="{m}/b.png">`,
			// Each is fetched once: what was preloaded is what is used.
			effect: js(`await pictures(); return performance.getEntriesByType('resource').map((e) => name(e.name)).filter((n) => n.endsWith('.png')).sort().join()`),
			want:   "a.png,b.png", drawn: "red",
		},
		{
			name: "svg-image", rows: []string{"SVG image"},
			files: []placeFile{{"a.png", red, anywhere}},
			body:  `<svg id="drawn"><image href="{m}/a.png" width="40" height="20"/></svg>`, effect: loaded, want: "complete", drawn: "red",
		},
		{
			// What strings hold has the places of its language.
			name: "strings", rows: []string{"HTML and CSS within strings"},
			files: []placeFile{{"a.png", red, anywhere}, {"b.png", blue, anywhere}, {"c.png", red, withCORS}},
			body: `<div id="drawn"></div><script id="config" type="application/json">{"rendered": "<img src=\"{m}\/a.png\">", ` +
				`"style": "background: url({m}\/b.png)", "masked": "background: blue; mask-image: url({m}\/c.png)"}</script>`,
			effect: js(`const config = JSON.parse($('#config').text);
			$('#drawn').innerHTML = config.rendered + '<p style="' + config.style + '"><p style="width: 9px; height: 9px;' + config.masked + '">';
			return await pictures(), [...document.images].map((i) => i.naturalWidth).join()`), want: "40", drawn: "red",
		},
		// With CORS.
		{
			// Nothing tells what a script does with a picture.
			name: "script-uses", rows: []string{"scripts and JSON"},
			files: []placeFile{
				{"a.png", red, withCORS}, {"b.png", red, withCORS}, {"c.png", red, withCORS}, {"d.png", red, withCORS}, {"e.png", red, withCORS},
				{"f.png", red, withCORS}, {"data.json", []byte(`{"a": "read"}`), withCORS}, {"a.wav", wave(), withCORS},
			},
			head: `<style>#drawn { background: red } #variable { background: red; height: 20px; mask-image: var(--mask) }</style>`,
			body: `<div id="drawn"></div><div id="variable"></div><canvas></canvas>
		<script id="config" type="application/json">{"mask": "{site}{m}\/e.png", "cubeMap": ["{site}{m}\/f.png"], "data": "{site}{m}\/data.json", "sound": "{site}{m}\/a.wav"}</script><script>
			const inline = () => fetch("{site}{m}/a.png"), ask = (x) => x.open('GET', '{site}{m}/b.png');
			document.querySelector('#drawn').style.maskImage = "url({m}/c.png)";
			document.querySelector('#variable').style.setProperty('--mask', 'center / 9px no-repeat url("{m}/d.png")');
		</script>`,
			effect: js(`const config = JSON.parse($('#config').text), said = [];
			said.push((await (await inline()).blob()).type);
			const x = new XMLHttpRequest(); x.responseType = 'blob'; ask(x); x.send(); await one(x, 'load', 'error'); said.push(x.response && x.response.type);
			for (const url of [config.mask, ...config.cubeMap]) said.push(await readBack($('canvas'), url));
			said.push((await (await fetch(config.data)).json()).a);
			said.push((await new OfflineAudioContext(1, 8000, 8000).decodeAudioData(await (await fetch(config.sound)).arrayBuffer())).duration);
			return said.join()`), want: "image/png,image/png,red,red,read,1", drawn: "red",
		},
		{
			// No header helps a reference to a document, a text track, or a frame to be reached.
			name: "script-documents", rows: []string{"documents, SVG and text tracks in scripts, JSON and data attributes"},
			files: []placeFile{
				{"sprite.svg", sprite, atHome}, {"x.svg", drawing, atHome}, {"t.vtt", vtt, atHome}, {"v.webm", film, anywhere},
				{"story.txt", []byte("story"), atHome}, {"doc.pdf", pdf, atHome},
			},
			body: `<svg id="drawn"><use/></svg><object style="height: 9px"></object><video src="{m}/v.webm" muted></video><iframe data-text="{site}{m}/story.txt"></iframe>
		<script id="config" type="application/json">{"sprite": "{site}{m}\/sprite.svg", "track": "{site}{m}\/t.vtt", "pdf": "{site}{m}\/doc.pdf"}</script><script>
			const config = JSON.parse(document.querySelector('#config').text), frame = document.querySelector('iframe');
			document.querySelector('use').setAttribute('href', config.sprite + '#i');
			document.querySelector('object').data = "{site}{m}/x.svg";
			document.querySelector('video').innerHTML = '<track>'; document.querySelector('track').src = config.track;
			frame.src = frame.dataset.text;
		</script>`,
			effect: js(`const t = $('track'); t.track.mode = 'showing'; if (t.readyState < 2) await one(t, 'load', 'error');
			return [t.readyState, document.documentElement.dataset.mark, $('iframe').contentDocument?.body.textContent].join()`), want: "2,reached,story", drawn: "red",
		},
		{
			// A script knows where its paths lead.
			name: "script-paths", rows: []string{"paths in scripts, JSON and data attributes"},
			files: []placeFile{{"a.png", red, atHome}, {"b.png", red, atHome}, {"c.png", red, atHome}},
			body: `<img id="drawn"><img data-picture="{m}/b.png"><img><script id="config" type="application/json">{"path": "{m}\/c.png"}</script><script>
			const config = {root: location.origin, img: "{m}/a.png"}, [a, b, c] = document.images;
			a.src = config.root + config.img; b.src = location.origin + b.dataset.picture; c.src = location.origin + JSON.parse(document.querySelector('#config').text).path;
		</script>`,
			effect: widths, want: "40,40,40", drawn: "red",
		},
		{
			// What it is filled with makes another place of it.
			name: "templates", rows: []string{"templates that are filled in"},
			files: []placeFile{{"a.png", red, atHome}, {"b.png", red, atHome}, {"c.png", red, atHome}, {"d.png", red, anywhere}},
			body: "<div id=\"drawn\"></div><p></p><i></i><script type=\"text/html\"><img src=\"{m}/b.png\" {{attrs}}></script><script>" + `
			const template = document.querySelector('script').text, attrs = 'crossorigin', prop = 'mask-image';
			` + "document.querySelector('p').innerHTML = `<img src=\"{m}/a.png\" ${attrs}>` + template.replace('{{attrs}}', attrs);" + `
			` + "document.querySelector('#drawn').style = `background: red; ${prop}: url({m}/c.png)`;" + `
			document.querySelector('i').innerHTML = '<img src="{m}/d.png">';
		</script>`,
			effect: widths, want: "40,40,40", drawn: "red",
		},
		{
			name: "data-attributes", rows: []string{"data attributes and custom elements"},
			files: []placeFile{
				{"a.png", red, withCORS}, {"b.png", red, withCORS}, {"c.png", red, withCORS}, {"d.png", red, withCORS}, {"m.glb", []byte("model"), withCORS},
			},
			head: `<style>div { height: 20px; background: red }</style>`,
			body: `<div id="drawn" data-mask-image="{site}{m}/a.png"></div><canvas data-equirect="{site}{m}/b.png" data-360-image="{site}{m}/c.png" data-displacement="{site}{m}/d.png"></canvas>
			<model-viewer src="{m}/m.glb"></model-viewer><script>
			const masked = document.querySelector('#drawn'); masked.style.maskImage = 'url(' + masked.dataset.maskImage + ')';
		</script>`,
			effect: js(`const c = $('canvas'), said = [];
			for (const url of Object.values(c.dataset)) said.push(await readBack(c, url));
			said.push(await (await fetch($('model-viewer').getAttribute('src'))).text());
			return said.join()`), want: "red,red,red,model", drawn: "red",
		},
		{
			// As A-Frame does with what is of another host.
			name: "a-frame", rows: []string{"A-Frame"},
			files: []placeFile{{"a.png", red, withCORS}, {"v.webm", film, withCORS}, {"sky.png", red, withCORS}},
			body:  `<a-scene><a-assets><img src="{m}/a.png"><video muted><source src="{m}/v.webm"></video></a-assets><a-sky src="{m}/sky.png"></a-sky></a-scene><canvas></canvas>`,
			effect: js(`const said = [];
			for (const url of [$('img').src, $('a-sky').getAttribute('src')]) said.push(await readBack($('canvas'), url));
			said.push((await (await fetch($('source').src)).blob()).size > 0);
			return said.join()`), want: "red,red,true",
		},
		{
			name: "data-links", rows: []string{"links to other files", "links a visitor follows", "link types that no standard knows"},
			files: []placeFile{
				{"track.gpx", []byte("<gpx/>"), withCORS}, {"doc.pdf", pdf, withCORS}, {"a.less", sheet, withCORS}, {"plain.pdf", pdf, anywhere},
			},
			head: `<link rel="stylesheet/less" href="{m}/a.less">`,
			body: `<a href="{m}/track.gpx">track</a><a class="pdfemb-viewer" href="{m}/doc.pdf">document</a><b></b><a href="{m}/plain.pdf">document</a>`,
			effect: js(`const said = [];
			for (const e of document.querySelectorAll('link[href*="less"], a:has(~ b)')) said.push((await (await fetch(e.href)).text()).length > 5);
			return said.join()`), want: "true,true,true",
		},
		{
			name: "canvas", rows: []string{"crossorigin"},
			files:  []placeFile{{"a.png", red, withCORS}},
			body:   `<img crossorigin src="{m}/a.png"><canvas id="drawn" width="40" height="20"></canvas>`,
			effect: js(`await pictures(); const c = $('canvas').getContext('2d'); c.drawImage($('img'), 0, 0); return c.getImageData(5, 5, 1, 1).data.join()`),
			want:   "255,0,0,255", drawn: "red",
		},
		{
			name: "track-cors", rows: []string{"crossorigin", "track"},
			files: []placeFile{{"v.webm", film, withCORS}, {"t.vtt", vtt, withCORS}},
			body:  `<video crossorigin src="{m}/v.webm" muted><track src="{m}/t.vtt"></video>`, effect: cues, want: "2 hello",
		},
		{
			name: "font", rows: []string{"web fonts", "preloads"},
			files: []placeFile{{"f.woff2", font, withCORS}},
			head:  `<link rel="preload" as="font" crossorigin href="{m}/f.woff2"><style>@font-face { font-family: probe; src: url({m}/f.woff2) }</style>`,
			body:  glyph, effect: fonts, want: "loaded", drawn: "white",
		},
		{
			name: "font-sheet", rows: []string{"sheets that name web fonts", "web fonts, or the parts of a stream, by relative URLs"},
			files: []placeFile{
				{"fonts.css", []byte(`@font-face { font-family: probe; src: url(f.woff2) }`), withCORS}, {"f.woff2", font, withCORS},
			},
			head: `<link rel="stylesheet" href="{m}/fonts.css">`, body: glyph, effect: fonts, want: "loaded", drawn: "white",
		},
		{
			name: "integrity-cors", rows: []string{"integrity with crossorigin"},
			files: []placeFile{{"ok.css", sheet, withCORS}},
			head:  `<link rel="stylesheet" crossorigin href="{m}/ok.css" integrity="` + integrity(sheet) + `">`, body: `<div id="drawn"></div>`,
			effect: colored, want: "rgb(255, 0, 0)", drawn: "red",
		},
		{
			name: "mask", rows: []string{"mask-image and shape-outside"},
			files: []placeFile{{"a.png", red, withCORS}, {"b.png", red, withCORS}},
			head:  `<style>#drawn { background: red; mask-image: url({m}/a.png) } #float { float: left; width: 40px; height: 20px; shape-outside: url({m}/b.png) }</style>`,
			body:  `<div id="drawn"></div><div id="float"></div>text beside`, effect: loaded, want: "complete", drawn: "red",
		},
		// At home.
		{
			name: "svg-use", rows: []string{"SVG references"},
			files:  []placeFile{{"sprite.svg", sprite, atHome}},
			body:   `<svg id="drawn"><use href="{m}/sprite.svg#i"/></svg><svg width="40" height="20"><rect width="40" height="20" fill="url({m}/sprite.svg#g)"/></svg>`,
			effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "filter", rows: []string{"filter: url()"},
			files: []placeFile{{"sprite.svg", sprite, atHome}},
			body:  `<div id="drawn" style="background: blue; filter: url({m}/sprite.svg#f)"></div>`, effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "track", rows: []string{"track"},
			files: []placeFile{{"v.webm", film, anywhere}, {"t.vtt", vtt, atHome}},
			body:  `<video src="{m}/v.webm" muted><track src="{m}/t.vtt"></video>`, effect: cues, want: "2 hello",
		},
		{
			name: "download", rows: []string{"download"},
			files:  []placeFile{{"doc.pdf", pdf, atHome}, {"area.pdf", pdf, atHome}},
			body:   `<a href="{m}/doc.pdf" download="n.pdf">Download</a><map><area href="{m}/area.pdf" download></map>`,
			effect: click("a"), want: "saves n.pdf",
		},
		{
			name: "integrity", rows: []string{"integrity without crossorigin"},
			files: []placeFile{{"ok.css", sheet, atHome}, {"s.js", marks, atHome}},
			head:  `<link rel="stylesheet" href="{m}/ok.css" integrity="` + integrity(sheet) + `">`,
			body:  `<div id="drawn"></div><script src="{m}/s.js" integrity="` + integrity(marks) + `"></script>`, effect: mark, want: "ran", drawn: "red",
		},
		{
			name: "worker", rows: []string{"workers"},
			files: []placeFile{
				{"w.js", []byte(`postMessage('works')`), atHome}, {"shared.js", []byte(`onconnect = (e) => e.ports[0].postMessage('shares')`), atHome},
				{"service.js", []byte(`// does nothing`), atHome},
			},
			body: `<script>
			const start = () => new Worker('{m}/w.js');
			const share = () => new SharedWorker('{m}/shared.js');
			const serve = () => navigator.serviceWorker.register('{m}/service.js');
		</script>`,
			effect: js(`const w = start(); const said = [await message(w, w)];
			const s = share(); said.push(await message(s, s.port));
			const r = await serve(); said.push(new URL(r.scope).pathname); await r.unregister();
			return said.join()`), want: "works,shares," + mediaPath + "worker/",
		},
		{
			// Named in several ways, it is one module, and runs once.
			name: "module", rows: []string{"module scripts"},
			files: []placeFile{
				{"m.js", []byte(`import './part.js'; document.documentElement.dataset.mark = (document.documentElement.dataset.mark || '') + ' ran'`), atHome},
				{"part.js", []byte(`document.documentElement.dataset.mark = 'part'`), atHome},
			},
			head:   `<script type="importmap">{"imports": {"named": "{m}/m.js"}}</script><link rel="modulepreload" href="{m}/m.js">`,
			body:   `<script type="module" src="{m}/m.js"></script><script type="module">import '{m}/m.js'; import 'named'</script>`,
			effect: js(`await import($('script[src]').src); return document.documentElement.dataset.mark`), want: "part ran",
		},
		{
			name: "own-url", rows: []string{"its neighbours by its own URL, as a script"},
			files: []placeFile{
				{"app.js", []byte(`const base = document.currentScript.src;
					globalThis.started = new Promise((done) => new Worker(new URL('w.js', base)).onmessage = (e) => done(e.data))`), atHome},
				{"w.js", []byte(`importScripts('part.js')`), atHome}, {"part.js", []byte(`postMessage('works')`), atHome},
			},
			body: `<script src="{m}/app.js"></script>`, effect: js(`return started`), want: "works",
		},
		{
			name: "iframe", rows: []string{"frames and embedded documents"},
			files:  []placeFile{{"story.html", story, atHome}},
			body:   `<iframe id="drawn" style="border: 0" src="{m}/story.html"></iframe>`,
			effect: framed, want: "story reached", drawn: "red",
		},
		{
			name: "iframe-svg", rows: []string{"frames and embedded documents"},
			files: []placeFile{{"x.svg", drawing, atHome}},
			body:  `<iframe id="drawn" style="border: 0" src="{m}/x.svg"></iframe>`, effect: framed, want: "drawing reached", drawn: "red",
		},
		{
			// A page reaches the film in it, and gives it its own permissions.
			name: "iframe-film", rows: []string{"frames and embedded documents"},
			files: []placeFile{{"v.webm", film, atHome}},
			body:  `<iframe src="{m}/v.webm" allow="fullscreen 'self'"></iframe>`,
			effect: js(`const d = $('iframe').contentDocument; if (!d) return 'out of reach';
			return d.querySelector('video') ? 'film ' + d.fullscreenEnabled : d.documentElement.outerHTML`), want: "film true",
		},
		{
			name: "object", rows: []string{"frames and embedded documents"},
			files: []placeFile{{"x.svg", drawing, atHome}},
			body:  `<object id="drawn" data="{m}/x.svg"></object>`, effect: framed, want: "drawing reached", drawn: "red",
		},
		{
			name: "isolated", rows: []string{"pages under require-corp"},
			files:   []placeFile{{"a.png", red, embeddable}},
			headers: isolation,
			body:    `<img id="drawn" src="{m}/a.png">`, effect: widths, want: "40", drawn: "red",
		},
		{
			name: "manifest", rows: []string{"manifest"},
			files: []placeFile{{"site.webmanifest", []byte(`{"name": "Site", "start_url": "/start"}`), atHome}},
			head:  `<link rel="manifest" href="{m}/site.webmanifest">`, effect: manifest, want: `site.webmanifest, start start, errors []`,
		},
		{
			name: "omgf", rows: []string{"files that name others", "anything by a URL from the host's root (/x.png), or outside of the media root by .."},
			files: []placeFile{
				{"fonts.css", []byte(`@font-face { font-family: probe; src: url('{m}/f.woff2') } #drawn { background: url("{m}/a.png") }`), atHome},
				{"f.woff2", font, withCORS}, {"a.png", red, anywhere},
			},
			head: `<link rel="stylesheet" href="{m}/fonts.css">`, body: glyph, effect: fonts, want: "loaded", drawn: "red",
		},
		{
			name: "theme-sheet", rows: []string{"anything by a URL from the host's root (/x.png), or outside of the media root by .."},
			files: []placeFile{
				{"post.css", []byte(`#drawn { background: url(../../themes/t/bg.png) }`), atHome},
			},
			head: `<link rel="stylesheet" href="{m}/post.css">`, body: `<div id="drawn"></div>`, effect: loaded, want: "complete", drawn: "red",
		},
		hashedPage("hashes", "Content-Security-Policy"),
		hashedPage("hashes-reported", "Content-Security-Policy-Report-Only"),
		hashedPage("hashes-in-page", ""),
	}
}

var pdf = []byte("%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n")

// flat is a picture of 40×20 pixels of one colour.
func flat(c color.Color) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 40, 20))
	draw.Draw(img, img.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // a Buffer takes everything
	}
	return b.Bytes()
}

// wave is a second of silence.
func wave() []byte {
	const rate = 8000
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, 36+rate)
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	for _, v := range []uint16{1, 1, rate, 0, rate, 0, 1, 8} { // PCM, mono, rates as 32 bits each
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, rate)
	return append(b, bytes.Repeat([]byte{128}, rate)...)
}

// integrity is the attribute of that name for a content.
func integrity(content []byte) string {
	sum := sha512.Sum384(content)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

func read(file string) []byte {
	content, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return content
}

// colorName is what CSS calls a colour, of those that the pages have.
func colorName(c color.Color) string {
	r, g, b, _ := c.RGBA()
	hex := fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
	switch hex {
	case "#ff0000":
		return "red"
	case "#0000ff":
		return "blue"
	case "#ffffff":
		return "white"
	}
	return hex
}
