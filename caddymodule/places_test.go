package caddymodule

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/rewrite"
)

// placeExamples are what the rows of the table in docs/pages.md are about, with the
// URL of the media, U, in each. Those of a place that is not a matter of the URL alone
// have none.
var placeExamples = map[string][]string{
	"img":                     {`<img src="U/a.jpg">`},
	"srcset":                  {`<img srcset="U/a.jpg 2x">`, `<picture><source srcset="U/a.jpg"><img></picture>`},
	"input type=image":        {`<input type="image" src="U/a.jpg">`},
	"lazy loaders":            {`<img data-src="U/a.jpg">`, `<div data-bg="U/a.jpg">`, `<img data-lazy-srcset="U/a.jpg 2x">`},
	"CSS images":              {`<p style="background:url(U/a.jpg)">`, `<style>li{list-style-image:url(U/a.jpg)}</style>`},
	"style sheets":            {`<link rel="stylesheet" href="U/a.css">`, `<style>@import url(U/a.css);</style>`},
	"classic scripts":         {`<script src="U/a.js"></script>`},
	"video and audio":         {`<video src="U/a.mp4"></video>`, `<audio><source src="U/a.mp3"></audio>`, `<video poster="U/a.jpg"></video>`},
	"links a visitor follows": {`<a href="U/a.jpg">`, `<a href="U/a.pdf">`, `<a href="U/a.zip">`, `<a href="U/a.html">`},
	"links to other files":    {`<a href="U/a.gpx">`, `<a href="U/a.txt">`, `<a href="U/a.vtt">`, `<a class="pdfemb-viewer" href="U/a.pdf">`},
	"og:image":                {`<meta property="og:image" content="U/a.jpg">`},
	"icons":                   {`<link rel="icon" href="U/a.png">`},
	"preloads":                {`<link rel="preload" as="image" href="U/a.jpg">`},
	"SVG image":               {`<svg><image href="U/a.jpg"/></svg>`},
	"HTML and CSS within strings": {
		`<script>x = '<img src="U/a.jpg">'</script>`, `<script type="application/json">{"u":"background:url(U/a.jpg)"}</script>`,
		`<p data-style="background:url(U/a.jpg)">`,
	},
	"JSON-LD": {`<script type="application/ld+json">{"image":"U/a.jpg"}</script>`},
	"scripts and JSON": {
		`<script type="application/json">{"u":"U/a.jpg"}</script>`, `<script>fetch("U/a.jpg")</script>`, `<script>e.style.maskImage = "url(U/a.jpg)"</script>`,
		`<script>x = ["U/a.mp4", "/wp-content/uploads/a.jpg"]</script>`,
	},
	"documents, SVG and text tracks in scripts, JSON and data attributes": {
		`<script>use.href = "U/a.svg#i"</script>`, `<script>track.src = "U/a.vtt"</script>`, `<script>frame.src = "U/a.pdf"</script>`,
		`<p data-x="U/a.txt">`, `<p data-x="{&quot;a&quot;:&quot;U/a.html&quot;}">`,
	},
	"paths in scripts, JSON and data attributes": nil,
	"templates that are filled in":               nil,
	"data attributes and custom elements": {
		`<p data-x="U/a.jpg">`, `<p data-mask="url(U/a.jpg)">`, `<p data-x="{&quot;a&quot;:&quot;U/a.jpg&quot;}">`, `<my-part src="U/a.jpg">`, `<my-part src="U/a.css">`,
	},
	"link types that no standard knows": {`<link rel="stylesheet/less" href="U/a.less">`, `<link rel="x" href="U/a.jpg">`},
	"A-Frame":                           {`<a-sky src="U/a.jpg">`, `<a-assets><img src="U/a.jpg">`, `<a-assets><video src="U/a.mp4">`},
	"crossorigin":                       {`<img crossorigin src="U/a.jpg">`, `<video crossorigin src="U/a.mp4"></video>`, `<script crossorigin src="U/a.js"></script>`},
	"web fonts":                         {`<style>@font-face{src:url(U/a.woff2)}</style>`, `<link rel="preload" as="font" crossorigin href="U/a.woff2">`},
	"sheets that name web fonts":        nil,
	"module scripts": {
		`<script type="module" src="U/a.js"></script>`, `<link rel="modulepreload" href="U/a.js">`, `<script type="importmap">{"imports":{"a":"U/a.js"}}</script>`,
		`<script type="module">import "U/a.js"</script>`, `<script>import("U/a.js")</script>`, `<script type="module">import a from "U/a.css" with {type: "css"}</script>`,
	},
	"integrity with crossorigin":    {`<script integrity="sha384-x" crossorigin src="U/a.js"></script>`},
	"mask-image and shape-outside":  {`<p style="mask-image:url(U/a.png)">`, `<p style="shape-outside:url(U/a.png)">`},
	"SVG references":                {`<svg><use href="U/a.svg#i"/></svg>`, `<svg><rect fill="url(U/a.svg#g)"/></svg>`},
	"filter: url()":                 {`<p style="filter:url(U/a.svg#f)">`},
	"track":                         {`<video><track src="U/a.vtt"></video>`},
	"download":                      {`<a download href="U/a.pdf">`, `<area download="b.pdf" href="U/a.pdf">`},
	"integrity without crossorigin": {`<link rel="stylesheet" integrity="sha384-x" href="U/a.css">`},
	"workers":                       {`<script>new Worker("U/a.js")</script>`, `<script>navigator.serviceWorker.register('U/a.js')</script>`},
	"frames and embedded documents": {`<iframe src="U/a.html"></iframe>`, `<iframe src="U/a.pdf"></iframe>`, `<object data="U/a.mp4"></object>`, `<embed src="U/a.jpg">`},
	"manifest":                      {`<link rel="manifest" href="U/a.webmanifest">`},
	"pages under require-corp":      nil,

	"text with a hash in a content policy": nil,
	"files that name others":               nil,
}

// TestTableOfPlaces: the table of places in docs/pages.md says what the code does.
//
// Promise 4: "with CORS only once the public host was seen to allow it", "never where
// only the page's own origin will do".
func TestTableOfPlaces(t *testing.T) {
	var found []rewrite.Place
	rewriter, err := rewrite.New(rewrite.Config{
		Prefixes: []string{uploadsPath},
		Resolve: func(dst []byte, m rewrite.Match) ([]byte, bool) {
			found = append(found, m.Place)
			return dst, false
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	says := map[string]rewrite.Place{"moves": rewrite.Anywhere, "with CORS": rewrite.WithCORS, "stays": rewrite.AtHome}
	rows := placesInDocs(t)
	for row, text := range rows {
		examples, known := placeExamples[row]
		if !known {
			t.Errorf("the row %q has no example here", row)
		}
		var want rewrite.Place
		if len(examples) > 0 {
			begin, _, _ := strings.Cut(strings.ReplaceAll(text, ";", ","), ",")
			place, ok := says[begin]
			if !ok {
				t.Errorf("the row %q says %q", row, text)
			}
			want = place
		}
		for _, example := range examples {
			found = nil
			w := rewriter.NewWriter(io.Discard, rewrite.Page{ContentType: "text/html", Scheme: "https", Host: "site.test", Path: "/page/"})
			if _, err := io.WriteString(w, strings.ReplaceAll(example, "U/", "https://site.test"+uploadsPath)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || found[0] != want {
				t.Errorf("%s: %s is %v, the docs say %q", row, example, found, text)
			}
		}
	}
	for row := range placeExamples {
		if _, ok := rows[row]; !ok {
			t.Errorf("the docs have no row %q", row)
		}
	}
}

// placesInDocs returns the rows of the table of places.
func placesInDocs(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/pages.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	inside := false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		switch {
		case strings.HasPrefix(line, "| place |"):
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && len(cells) == 2:
			rows[strings.TrimPrefix(cells[0], "| ")] = strings.TrimSuffix(cells[1], " |")
		}
	}
	return rows
}
