//go:build integration

package integration

import (
	"encoding/binary"
	"unicode/utf16"
)

var playlist = []byte("#EXTM3U\n#EXTINF:1,\npart.ts\n")

// rarerPages are pages with media in places that fewer sites have.
func rarerPages() []placePage {
	film, font := read("testdata/places/green.webm"), read("/usr/share/wordpress/wp-includes/fonts/dashicons.woff2")
	return []placePage{
		{
			name: "import-map", rows: []string{"module scripts"},
			files: []placeFile{{"part.js", []byte(`export const mark = 'ran'`), atHome}},
			head:  `<script type="importmap">{"imports": {"part": "{m}/part.js"}}</script>`,
			body:  `<script type="module">import {mark} from 'part'; document.documentElement.dataset.mark = mark</script>`, effect: mark, want: "ran",
		},
		{
			name: "speculation", rows: []string{"scripts and JSON"},
			files: []placeFile{{"next.html", story, atHome}},
			head:  `<script type="speculationrules">{"prefetch": [{"urls": ["{m}/next.html"]}]}</script>`, effect: loaded, want: "complete",
		},
		{
			name: "linked-data", rows: []string{"JSON-LD"},
			files:  []placeFile{{"a.png", red, anywhere}},
			head:   `<script type="application/ld+json">{"@type": "Article", "image": "{site}{m}/a.png"}</script>`,
			effect: js(`return name(JSON.parse($('script').text).image)`), want: "a.png",
		},
		{
			name: "link-worker", rows: []string{"preloads", "workers"},
			files: []placeFile{{"w.js", marks, atHome}, {"service.js", marks, atHome}},
			head:  `<link rel="preload" as="worker" href="{m}/w.js"><link rel="serviceworker" href="{m}/service.js">`, effect: loaded, want: "complete",
		},
		{
			name: "credentials", rows: []string{"crossorigin"},
			files: []placeFile{
				{"a.png", red, atHome}, {"b.png", red, atHome}, {"c.png", red, atHome}, {"v.webm", film, atHome}, {"t.vtt", vtt, atHome},
			},
			body: `<img crossorigin="use-credentials" id="drawn" src="{m}/a.png"><picture><source srcset="{m}/b.png"><img crossorigin="use-credentials" src="{m}/c.png"></picture>` +
				`<video crossorigin="use-credentials" muted><source src="{m}/v.webm"><track src="{m}/t.vtt"></video>`,
			effect: widths, want: "40,40", drawn: "red",
		},
		{
			name: "picture-cors", rows: []string{"crossorigin"},
			files:  []placeFile{{"a.png", red, withCORS}, {"b.png", blue, withCORS}},
			body:   `<picture><source srcset="{m}/a.png"><img crossorigin id="drawn" src="{m}/b.png"></picture>`,
			effect: js(`await pictures(); return name($('img').currentSrc) + ' ' + $('img').naturalWidth`), want: "a.png 40", drawn: "red",
		},
		{
			name: "source-cors", rows: []string{"crossorigin"},
			files: []placeFile{{"v.webm", film, withCORS}, {"t.vtt", vtt, withCORS}},
			body:  `<video crossorigin="anonymous" muted><source src="{m}/v.webm"><track src="{m}/t.vtt"></video>`, effect: cues, want: "2 hello",
		},
		{
			name: "preload-fetch", rows: []string{"preloads"},
			files:  []placeFile{{"data.json", []byte(`{"a": "read"}`), withCORS}},
			head:   `<link rel="preload" as="fetch" crossorigin href="{m}/data.json">`,
			effect: js(`return (await (await fetch($('link').href)).json()).a`), want: "read",
		},
		{
			name: "preload-track", rows: []string{"preloads", "track"},
			files: []placeFile{{"t.vtt", vtt, atHome}},
			head:  `<link rel="preload" as="track" href="{m}/t.vtt">`, effect: loaded, want: "complete",
		},
		{
			name: "dictionary", rows: []string{"What moves, and what stays"},
			files: []placeFile{{"d.dat", []byte("words"), withCORS}},
			head:  `<link rel="compression-dictionary" href="{m}/d.dat">`, effect: loaded, want: "complete",
		},
		{
			name: "data-block", rows: []string{"data attributes and custom elements"},
			files:  []placeFile{{"data.csv", []byte("read"), withCORS}},
			body:   `<script type="text/x-data" src="{m}/data.csv"></script>`,
			effect: js(`return (await fetch($('script').src)).text()`), want: "read",
		},
		{
			name: "base", rows: []string{"What moves, and what stays"},
			files: []placeFile{{"a.png", red, atHome}},
			head:  `<base href="{m}/">`, body: `<img id="drawn" src="a.png">`, effect: widths, want: "40", drawn: "red",
		},
		{
			name: "playlist-source", rows: []string{"video and audio", "web fonts, or the parts of a stream, by relative URLs"},
			files: []placeFile{{"v.webm", film, anywhere}, {"live.m3u8", playlist, withCORS}, {"part.ts", []byte("part"), withCORS}},
			body:  `<video muted><source src="{m}/v.webm"><source src="{m}/live.m3u8" type="application/vnd.apple.mpegurl"></video>`,
			effect: js(`const list = document.querySelectorAll('source')[1].src; const text = await (await fetch(list)).text();
			return (await fetch(new URL(text.trim().split('\n').pop(), list))).text()`), want: "part",
		},
		{
			name: "quote", rows: []string{"links a visitor follows"},
			files: []placeFile{{"doc.pdf", pdf, anywhere}},
			body:  `<blockquote cite="{m}/doc.pdf">text</blockquote>`, effect: js(`return name($('blockquote').cite)`), want: "doc.pdf",
		},
		{
			name: "form", rows: []string{"What moves, and what stays"},
			files: []placeFile{{"a.png", red, atHome}, {"b.png", red, atHome}},
			body:  `<form action="{m}/a.png"><button></button></form><a ping="{m}/b.png"></a>`, effect: click("button"), want: "goes to a.png",
		},
		{
			name: "obsolete", rows: []string{"What moves, and what stays"},
			files: []placeFile{{"a.html", story, atHome}, {"b.html", story, atHome}, {"c.css", sheet, atHome}, {"d.woff", font, withCORS}},
			body: `<object codebase="{m}/a.html"></object><fencedframe src="{m}/b.html"></fencedframe><div style="behavior: url({m}/c.css)"></div>` +
				`<svg><font-face-uri href="{m}/d.woff"/></svg>`,
			effect: loaded, want: "complete",
		},
		{
			name: "embed", rows: []string{"frames and embedded documents"},
			files:  []placeFile{{"a.png", red, atHome}, {"b.png", blue, atHome}, {"x.svg", drawing, atHome}},
			body:   `<embed id="drawn" src="{m}/a.png"><object data="{m}/b.png"></object><embed src="{m}/x.svg" width="40" height="20">`,
			effect: mark, want: "reached", drawn: "red",
		},
		{
			name: "iframe-pdf", rows: []string{"frames and embedded documents"},
			files: []placeFile{{"doc.pdf", pdf, atHome}},
			body:  `<iframe src="{m}/doc.pdf"></iframe>`, effect: loaded, want: "complete",
		},
		{
			name: "fe-image", rows: []string{"SVG image"},
			files:  []placeFile{{"a.png", red, anywhere}},
			body:   `<svg id="drawn"><filter id="x"><feImage href="{m}/a.png"/></filter><rect width="40" height="20" filter="url(#x)"/></svg>`,
			effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "background", rows: []string{"CSS images"},
			files: []placeFile{{"a.png", red, anywhere}},
			body:  `<table id="drawn" background="{m}/a.png"><tr><td></table>`, effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "paint", rows: []string{"SVG references"},
			files: []placeFile{{"sprite.svg", sprite, atHome}},
			body: `<svg id="drawn"><rect width="40" height="20" style="fill: url({m}/sprite.svg#g)"/></svg>` +
				`<div style="width: 40px; height: 20px; background: blue; clip-path: url({m}/sprite.svg#c); offset-path: url({m}/sprite.svg#p)"></div>`,
			effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "variable", rows: []string{"What moves, and what stays"},
			files: []placeFile{{"a.png", red, withCORS}},
			body:  `<div id="drawn" style="--picture: url({m}/a.png); background: var(--picture)"></div>`, effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "api", rows: []string{"What is rewritten"},
			files:   []placeFile{{"a.png", red, withCORS}, {"w.js", marks, atHome}, {"data.json", []byte(`{}`), withCORS}},
			headers: "Content-Type: application/json", document: `{"picture": "{site}{m}/a.png", "worker": "{site}{m}/w.js", "data": "{site}{m}/data.json"}`,
			effect: js(`return Object.values(JSON.parse(document.body.innerText)).map(name).join()`), want: "a.png,w.js,data.json",
		},
		{
			name: "sitemap", rows: []string{"What is rewritten"},
			files:   []placeFile{{"doc.pdf", pdf, atHome}, {"a.png", red, anywhere}, {"fr.pdf", pdf, atHome}},
			headers: "Content-Type: application/xml",
			document: `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1" ` +
				`xmlns:xhtml="http://www.w3.org/1999/xhtml"><url><loc>{site}{m}/doc.pdf</loc><image:image><image:loc>{site}{m}/a.png</image:loc></image:image>` +
				`<xhtml:link rel="alternate" hreflang="fr" href="{site}{m}/fr.pdf"/></url></urlset>`,
			effect: js(`return [...document.getElementsByTagName('loc'), ...document.getElementsByTagName('image:loc')].map((l) => name(l.textContent)).join()`), want: "doc.pdf,a.png",
		},
		{
			name: "feed", rows: []string{"What is rewritten"},
			files:    []placeFile{{"a.mp3", wave(), anywhere}},
			headers:  "Content-Type: text/xml",
			document: `<?xml version="1.0"?><rss version="2.0"><channel><item><enclosure url="{site}{m}/a.mp3" type="audio/mpeg"/></item></channel></rss>`,
			effect:   js(`return name(document.getElementsByTagName('enclosure')[0].getAttribute('url'))`), want: "a.mp3",
		},
		{
			name: "app-manifest", rows: []string{"What is rewritten"},
			files:   []placeFile{{"start.html", story, atHome}, {"icon.png", red, anywhere}},
			headers: "Content-Type: application/manifest+json", document: `{"start_url": "{m}/start.html", "icons": [{"src": "{m}/icon.png"}]}`,
			effect: js(`return name(JSON.parse(document.body.innerText).start_url)`), want: "start.html",
		},
		{
			name: "redirect", rows: []string{"What is rewritten"},
			files:   []placeFile{{"a.png", red, anywhere}},
			headers: "Location: {m}/a.png", effect: js(`return name(location)`), want: "a.png",
		},
		{
			name: "link-page", rows: []string{"links a visitor follows"},
			files: []placeFile{{"story.html", []byte(`<!doctype html><title>story</title>`), atHome}},
			body:  `<a href="{m}/story.html">read</a>`, effect: click("a"), want: "goes to story.html",
		},
		{
			name: "elementor", rows: []string{"media by a full URL with the site's media path, whatever the host, as Elementor's sheets do"},
			files: []placeFile{
				{"post.css", []byte(`#drawn { background: url({site}{m}/a.png) }`), atHome}, {"a.png", red, anywhere},
			},
			head: `<link rel="stylesheet" href="{m}/post.css">`, body: `<div id="drawn"></div>`, effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "playlist", rows: []string{"What is rewritten"},
			files:   []placeFile{{"part.ts", []byte("part"), withCORS}},
			headers: "Content-Type: application/vnd.apple.mpegurl", document: "#EXTM3U\n#EXTINF:1,\n{m}/part.ts\n",
			// A player fetches it; opened, it would be saved.
			within: "og", effect: js(`const text = await (await fetch('/page.php?name=playlist')).text(); return (await fetch(text.trim().split('\n').pop())).text()`), want: "part",
		},
		{
			name: "sheet-relative", rows: []string{"public media by relative URLs, or other hosts"},
			files: []placeFile{{"ok.css", []byte(`#drawn { background: url(a.png) }`), anywhere}, {"a.png", red, anywhere}},
			head:  `<link rel="stylesheet" href="{m}/ok.css">`, body: `<div id="drawn"></div>`, effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "sheet-import", rows: []string{"a private or ignored file, or another sheet, page or playlist"},
			files: []placeFile{{"ok.css", []byte(`@import url(other.css);`), atHome}, {"other.css", sheet, atHome}},
			head:  `<link rel="stylesheet" href="{m}/ok.css">`, body: `<div id="drawn"></div>`, effect: loaded, want: "complete", drawn: "red",
		},
		{
			name: "sheet-wide", rows: []string{"more than is looked at (over 4 MiB, or some 100,000 names), or in UTF-16"},
			files: []placeFile{{"ok.css", wide(`#drawn { background: red }`), atHome}},
			head:  `<link rel="stylesheet" href="{m}/ok.css">`, body: `<div id="drawn"></div>`, effect: loaded, want: "complete", drawn: "red",
		},
	}
}

// wide is a text in UTF-16.
func wide(text string) []byte {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}
