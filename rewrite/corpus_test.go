package rewrite

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The corpus is pages as a WordPress theme makes them: menus, articles with
// inline markup, images with srcset, inline scripts and styles. urls is the
// number of media URLs per 100 KB; with none, images come from another host.

const corpusSite = "https://www.example.com"

var corpusPage = Page{ContentType: "text/html; charset=UTF-8", Scheme: "https", Host: "www.example.com", Path: "/2026/11/hello/"}

var corpusWords = strings.Fields(`the of and a to in is you that it he was for on are as with his they at be
	this have from or one had by word but not what all were we when your can said there use an each which
	she do how their if will up other about out many then them these so some her would make like him into
	time has look two more write go see number no way could people my than first water been call who oil
	sit now find long down day did get come made may part gallery photograph summer harbour morning light`)

type corpus struct {
	rnd *rand.Rand
	b   strings.Builder
	// credit is how many media URLs are due, rate how many each byte adds.
	credit, rate float64
	done         int
}

// generate is a page of about size bytes.
func generate(size, urls int) string {
	c := &corpus{rnd: rand.New(rand.NewPCG(1, uint64(size+urls))), rate: float64(urls) / 100e3}
	c.head()
	for c.b.Len() < size {
		c.article()
		c.credit += float64(c.b.Len()-c.done) * c.rate
		c.done = c.b.Len()
		for c.credit >= 1 {
			c.media()
		}
	}
	c.b.WriteString("</main>\n<script src=\"/wp-includes/js/script.min.js?ver=6.5\" id=\"x-js\"></script>\n</body>\n</html>\n")
	return c.b.String()
}

func (c *corpus) words(n int) string {
	w := make([]string, n)
	for i := range w {
		w[i] = corpusWords[c.rnd.IntN(len(corpusWords))]
	}
	return strings.Join(w, " ")
}

func (c *corpus) head() {
	c.b.WriteString(`<!DOCTYPE html>
<html lang="en-US">
<head>
<meta charset="UTF-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>Hello – Example</title>
<link rel="alternate" type="application/rss+xml" title="Example" href="` + corpusSite + `/feed/" />
<style id="global-styles-inline-css">
body{--wp--preset--color--black:#000;--wp--preset--font-size--small:13px}.has-black-color{color:var(--wp--preset--color--black)!important}
</style>
<script>
window._settings = {"baseUrl":"https:\/\/s.w.org\/images\/core\/emoji\/15.0.3\/72x72\/","ext":".png","source":{"a":"\/wp-includes\/js\/x.js"}};
!function(i,n){var o,s,e;function c(e){try{var t={supportTests:e,timestamp:(new Date).valueOf()};sessionStorage.setItem(o,JSON.stringify(t))}catch(e){}}}(window,document);
</script>
</head>
<body class="home blog wp-embed-responsive">
<header class="site-header"><nav class="main-navigation" aria-label='Menu'><ul id="menu" class="menu">
`)
	for i := range 12 {
		fmt.Fprintf(&c.b, `<li id="menu-item-%d" class="menu-item menu-item-type-post_type menu-item-%d"><a href="%s/%s/">%s</a></li>`+"\n", i, i, corpusSite, corpusWords[i], corpusWords[i])
	}
	c.b.WriteString("</ul></nav></header>\n<main id=\"content\">\n")
}

func (c *corpus) article() {
	id := c.rnd.IntN(10000)
	fmt.Fprintf(&c.b, `<article id="post-%d" class="post-%d post type-post status-publish hentry category-%s">
<header class="entry-header"><h2 class="entry-title"><a href="%s/2026/11/%s/" rel="bookmark">%s</a></h2>
<div class="entry-meta"><span class="posted-on"><time class="entry-date" datetime="2026-11-21T18:40:00+00:00">21 November</time></span></div></header>
<div class="entry-content">
`, id, id, c.words(1), corpusSite, c.words(1), c.words(4))
	for range 2 + c.rnd.IntN(3) {
		fmt.Fprintf(&c.b, "<p>%s <a href=\"%s/%s/\">%s</a> %s <em>%s</em> %s</p>\n", c.words(32), corpusSite, c.words(1), c.words(2), c.words(30), c.words(1), c.words(24))
	}
	if c.rate == 0 {
		fmt.Fprintf(&c.b, `<figure class="block-image"><img loading="lazy" width="1024" height="768" src="https://images.example.org/x/%d.jpg" alt="%s" /></figure>`+"\n", id, c.words(3))
	}
	c.b.WriteString("</div>\n</article>\n")
}

// media writes a piece of markup with some media URLs.
func (c *corpus) media() {
	name := fmt.Sprintf("/wp-content/uploads/2026/11/%s-%d", c.words(1), c.rnd.IntN(1000))
	u := corpusSite + name
	switch c.rnd.IntN(8) {
	case 0, 1, 2:
		fmt.Fprintf(&c.b, `<figure class="block-image size-large"><img loading="lazy" decoding="async" width="1024" height="768" src="%[1]s-1024x768.jpg" alt="%[2]s" class="image-%[3]d" srcset="%[1]s-1024x768.jpg 1024w, %[1]s-300x225.jpg 300w, %[1]s-768x576.jpg 768w, %[1]s.jpg 1536w" sizes="(max-width: 1024px) 100vw, 1024px" /></figure>`+"\n", u, c.words(3), c.rnd.IntN(100))
		c.credit -= 5
	case 3, 4:
		fmt.Fprintf(&c.b, `<a href="%[1]s.jpg"><img src="%[1]s-150x150.jpg" alt="" /></a>`+"\n", u)
		c.credit -= 2
	case 5:
		fmt.Fprintf(&c.b, `<div class="cover" style="background-image:url(%s.jpg)"></div>`+"\n", u)
		c.credit--
	case 6:
		fmt.Fprintf(&c.b, `<div data-wp-context="{&quot;uploadedSrc&quot;:&quot;%s.jpg&quot;,&quot;figureClassNames&quot;:&quot;block-image&quot;}"></div>`+"\n", strings.ReplaceAll(u, "/", `\/`))
		c.credit--
	case 7:
		fmt.Fprintf(&c.b, `<script class="playlist" type="application/json">{"type":"audio","src":"%s.mp3"}</script>`+"\n", strings.ReplaceAll(u, "/", `\/`))
		c.credit--
	}
}
