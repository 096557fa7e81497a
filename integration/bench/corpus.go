package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The typical page is one as a WordPress theme makes it: 100 KB with about 60
// media URLs, plain and in the escapes of JSON and HTML attributes.

const (
	pageSize = 100e3
	pageURLs = 60
	pageHost = "www.example.com"
)

var pageWords = strings.Fields(`the of and a to in is you that it he was for on are as with his they at be
	this have from or one had by word but not what all were we when your can said there use an each which
	she do how their if will up other about out many then them these so some her would make like him into`)

// typicalPage is the page, and the keys of the media files that it names.
type typicalPage struct {
	html string
	keys []string

	urls   int // media URLs so far
	b      strings.Builder
	random *rand.Rand
}

func newTypicalPage() *typicalPage {
	p := &typicalPage{random: rand.New(rand.NewPCG(1, 2))}
	p.head()
	for p.b.Len() < pageSize {
		p.article()
		for p.urls < int(float64(p.b.Len())/pageSize*pageURLs) {
			p.media()
		}
	}
	p.b.WriteString("</main>\n<script src=\"/wp-includes/js/script.min.js?ver=6.5\"></script>\n</body>\n</html>\n")
	p.html = p.b.String()
	return p
}

func (p *typicalPage) words(n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = pageWords[p.random.IntN(len(pageWords))]
	}
	return strings.Join(words, " ")
}

func (p *typicalPage) head() {
	p.b.WriteString(`<!DOCTYPE html>
<html lang="en-US">
<head>
<meta charset="UTF-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>Hello – Example</title>
<style id="global-styles-inline-css">
body{--wp--preset--color--black:#000;--wp--preset--font-size--small:13px}.has-black-color{color:var(--wp--preset--color--black)!important}
</style>
<script>
window._settings = {"baseUrl":"https:\/\/s.w.org\/images\/core\/emoji\/15.0.3\/72x72\/","ext":".png","source":{"a":"\/wp-includes\/js\/x.js"}};
</script>
</head>
<body class="home blog wp-embed-responsive">
<nav class="main-navigation" aria-label='Menu'><ul id="menu" class="menu">
`)
	for i := range 12 {
		fmt.Fprintf(&p.b, `<li id="menu-item-%d" class="menu-item menu-item-type-post_type menu-item-%d"><a href="https://%s/%s/">%s</a></li>`+"\n",
			i, i, pageHost, pageWords[i], pageWords[i])
	}
	p.b.WriteString("</ul></nav>\n<main id=\"content\">\n")
}

func (p *typicalPage) article() {
	id := p.random.IntN(10000)
	fmt.Fprintf(&p.b, `<article id="post-%d" class="post-%d post type-post status-publish hentry category-%s">
<header class="entry-header"><h2 class="entry-title"><a href="https://%s/2026/11/%s/" rel="bookmark">%s</a></h2>
<div class="entry-meta"><time class="entry-date" datetime="2026-11-21T18:40:00+00:00">21 November</time></div></header>
<div class="entry-content">
`, id, id, p.words(1), pageHost, p.words(1), p.words(4))
	for range 2 + p.random.IntN(3) {
		fmt.Fprintf(&p.b, "<p>%s <a href=\"https://%s/%s/\">%s</a> %s <em>%s</em> %s</p>\n",
			p.words(32), pageHost, p.words(1), p.words(2), p.words(30), p.words(1), p.words(24))
	}
	p.b.WriteString("</div>\n</article>\n")
}

// media writes a piece of markup with some media URLs.
func (p *typicalPage) media() {
	name := fmt.Sprintf("2026/11/%s-%d", p.words(1), len(p.keys))
	url := "https://" + pageHost + "/wp-content/uploads/" + name
	escaped := strings.ReplaceAll(url, "/", `\/`)
	switch p.random.IntN(8) {
	case 0, 1, 2:
		fmt.Fprintf(&p.b, `<figure class="block-image size-large"><img loading="lazy" decoding="async" width="1024" height="768" src="%[1]s-1024x768.jpg" alt="%[2]s" class="image-%[3]d" srcset="%[1]s-1024x768.jpg 1024w, %[1]s-300x225.jpg 300w, %[1]s-768x576.jpg 768w, %[1]s.jpg 1536w" sizes="(max-width: 1024px) 100vw, 1024px" /></figure>`+"\n",
			url, p.words(3), len(p.keys))
		p.keys = append(p.keys, name+"-1024x768.jpg", name+"-300x225.jpg", name+"-768x576.jpg", name+".jpg")
		p.urls += 5
	case 3, 4:
		fmt.Fprintf(&p.b, `<a href="%[1]s.jpg"><img src="%[1]s-150x150.jpg" alt="" /></a>`+"\n", url)
		p.keys = append(p.keys, name+".jpg", name+"-150x150.jpg")
		p.urls += 2
	case 5:
		fmt.Fprintf(&p.b, `<div class="cover" style="background-image:url(%s.jpg)"></div>`+"\n", url)
		p.keys = append(p.keys, name+".jpg")
		p.urls++
	case 6:
		fmt.Fprintf(&p.b, `<div data-wp-context="{&quot;uploadedSrc&quot;:&quot;%s.jpg&quot;}"></div>`+"\n", escaped)
		p.keys = append(p.keys, name+".jpg")
		p.urls++
	case 7:
		fmt.Fprintf(&p.b, `<script class="playlist" type="application/json">{"type":"audio","src":"%s.mp3"}</script>`+"\n", escaped)
		p.keys = append(p.keys, name+".mp3")
		p.urls++
	}
}

// localMedia are the beginnings of local media URLs, as they stand in the page; the
// third is what a blind replacer needs for URLs without a scheme.
var localMedia = [...]string{
	"https://" + pageHost + "/wp-content/uploads/",
	`https:\/\/` + pageHost + `\/wp-content\/uploads\/`,
	"//" + pageHost + "/wp-content/uploads/",
}

// publicMedia is what takes their place, with the media at publicURL.
func publicMedia(publicURL string) [len(localMedia)]string {
	public := publicURL + "/"
	_, after, _ := strings.Cut(public, ":")
	return [...]string{public, strings.ReplaceAll(public, "/", `\/`), after}
}

// localURLs counts the local media URLs in a page.
func localURLs(page string) int {
	return strings.Count(page, localMedia[2]) + strings.Count(page, localMedia[1])
}
