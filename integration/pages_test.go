//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// pageComparison compares pages as the module sends them with the same pages
// straight from the app.
//
// Promise 4: "A page is changed only where a browser reads a URL."
type pageComparison struct {
	*world
	// roots are the paths of the media roots, and what keys begin with there:
	// "/images/" and "images/".
	roots map[string]string
	// left are places, as "input[value]", at which a local URL is right.
	left []string
}

// compare fetches each page by both ways.
func (c *pageComparison) compare(ctx context.Context, paths ...string) {
	c.t.Helper()
	for _, page := range paths {
		contentType, straight := c.fetch(ctx, c.direct, page)
		_, through := c.fetch(ctx, c.app.URL, page)
		// Last, so that a time in the page that is the same here was so between.
		_, again := c.fetch(ctx, c.direct, page)
		if !strings.Contains(through, c.publicURL+"/") && !strings.Contains(through, strings.ReplaceAll(c.publicURL+"/", "/", `\/`)) {
			c.t.Errorf("%s: no public URL on it", page)
		}
		split := func(body string) []place { return parts(c.t, contentType, body) }
		c.samePlaces(page, split(straight), split(again), split(through))
		c.noneLeft(ctx, page, split(through))
	}
}

// fetch reads a page at an address as if it were the app's.
func (c *pageComparison) fetch(ctx context.Context, address, page string) (contentType, body string) {
	c.t.Helper()
	req := must1(http.NewRequestWithContext(ctx, http.MethodGet, address+page, nil))(c.t)
	req.Host = strings.TrimPrefix(c.app.URL, "http://")
	resp := must1(http.DefaultClient.Do(req))(c.t)
	defer resp.Body.Close()
	content := must1(io.ReadAll(resp.Body))(c.t)
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("GET %s: %s: %.300s", page, resp.Status, content)
	}
	contentType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	must(c.t, err)
	return contentType, string(content)
}

// place is a part of a page.
type place struct {
	name  string // "img[src]", "script", "text", "<p>"
	value string
	// url is whether a browser may read URLs there.
	url bool
}

// parts takes an HTML page, a feed or JSON apart; of the latter also the HTML in
// their texts.
func parts(t *testing.T, contentType, body string) []place {
	t.Helper()
	switch {
	case contentType == "text/html":
		return places(body)
	case strings.HasSuffix(contentType, "json"):
		var value any
		must(t, json.Unmarshal([]byte(body), &value))
		return jsonPlaces(value)
	}
	return xmlPlaces(t, body)
}

// fragment takes a text apart that may be HTML or a URL.
func fragment(name, text string) []place {
	if strings.Contains(text, "<") {
		return places(text)
	}
	return []place{{name, text, true}}
}

func jsonPlaces(value any) (all []place) {
	switch v := value.(type) {
	case string:
		return fragment("JSON", v)
	case []any:
		for _, element := range v {
			all = append(all, jsonPlaces(element)...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, place{name: name})
			all = append(all, jsonPlaces(v[name])...)
		}
	default:
		all = append(all, place{name: fmt.Sprint(v)})
	}
	return all
}

func xmlPlaces(t *testing.T, body string) (all []place) {
	t.Helper()
	tokens := xml.NewDecoder(strings.NewReader(body))
	for {
		token, err := tokens.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		switch v := token.(type) {
		case xml.StartElement:
			all = append(all, place{name: "<" + v.Name.Local + ">"})
			for _, attribute := range v.Attr {
				all = append(all, place{v.Name.Local + "[" + attribute.Name.Local + "]", attribute.Value, true})
			}
		case xml.CharData:
			all = append(all, fragment("XML", string(v))...)
		}
	}
}

// places takes an HTML page apart.
func places(body string) []place {
	var all []place
	tokens := html.NewTokenizer(strings.NewReader(body))
	inside := "text"
	for {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			return all
		}
		token := tokens.Token()
		switch kind {
		case html.StartTagToken, html.SelfClosingTagToken:
			all = append(all, place{name: "<" + token.Data + ">"})
			for _, attribute := range token.Attr {
				all = append(all, place{token.Data + "[" + attribute.Key + "]", attribute.Val, true})
			}
			inside = "text"
			if token.Data == "script" || token.Data == "style" || token.Data == "noscript" {
				inside = token.Data
			}
		case html.EndTagToken:
			all = append(all, place{name: "</" + token.Data + ">"})
			inside = "text"
		default:
			all = append(all, place{inside, token.Data, inside != "text"})
		}
	}
}

// samePlaces fails the test if anything but media URLs differs. What differs
// between two answers of the app itself, as tokens of forms, does not count.
func (c *pageComparison) samePlaces(page string, straight, again, through []place) {
	c.t.Helper()
	if len(straight) != len(through) || len(straight) != len(again) {
		c.t.Errorf("%s: %d parts through the module, %d and %d straight from the app", page, len(through), len(straight), len(again))
		return
	}
	for i, want := range straight {
		got := through[i]
		switch {
		case want == got, want != again[i]:
		case want.name == got.name && got.url && c.neutral(want.value) == c.neutral(got.value):
		default:
			c.t.Errorf("%s: %s is %q through the module, %q straight from the app", page, got.name, got.value, want.value)
		}
	}
}

// neutral puts one mark in place of each media URL up to the key, public or
// local, however it is spelled.
func (c *pageComparison) neutral(text string) string {
	text = strings.ReplaceAll(text, `\/`, "/")
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	host := strings.TrimPrefix(c.app.URL, "http:")
	for root, key := range c.roots {
		text = strings.ReplaceAll(text, c.publicURL+"/"+key, "MEDIA:")
		for _, local := range []string{"http:" + host + "/" + root, "http:" + host + root, host + root} {
			text = strings.ReplaceAll(text, local, "MEDIA:")
		}
		for _, before := range []string{`"`, `'`, "(", " ", ""} {
			for _, local := range []string{root, root[1:]} {
				switch {
				case before != "":
					text = strings.ReplaceAll(text, before+local, before+"MEDIA:")
				case strings.HasPrefix(text, local):
					text = "MEDIA:" + text[len(local):]
				}
			}
		}
	}
	return text
}

// noneLeft fails the test if the local URL of a committed file is left.
func (c *pageComparison) noneLeft(ctx context.Context, page string, through []place) {
	c.t.Helper()
	objects := must1(c.bucket.Objects(ctx))(c.t)
	for _, part := range through {
		if !part.url || slices.Contains(c.left, part.name) {
			continue
		}
		text := strings.ReplaceAll(part.value, `\/`, "/")
		for root, key := range c.roots {
			local := regexp.MustCompile(`(^|["'( ,]|//` + regexp.QuoteMeta(strings.TrimPrefix(c.app.URL, "http://")) + `/?)/?` + regexp.QuoteMeta(root[1:]) + `([^"'()<>\\?#&]+)`)
			for _, match := range local.FindAllStringSubmatch(text, -1) {
				name := strings.TrimSpace(match[2])
				if plain, err := url.PathUnescape(name); err == nil {
					name = plain
				}
				if _, committed := objects["media/"+path.Clean(key+name)]; committed {
					c.t.Errorf("%s: %s still has a local URL: %q", page, part.name, match[0])
				}
			}
		}
	}
}

// TestPages compares pages of a WordPress.
func TestPages(t *testing.T) {
	t.Parallel()
	ctx := within(t, 3*time.Minute)
	w := newWorld(t, worldOptions{store: onVersitygw, straight: true, options: []string{"cors_check allowed"}})
	client := w.login(ctx)
	var images []*wp.Attachment
	for i := range 2 {
		id := must1(client.UploadGrid(ctx, sample.JPEG(fmt.Sprintf("page %d.jpg", i), 2, uint64(i))))(t)
		images = append(images, must1(client.Attachment(ctx, id))(t))
	}
	video := must1(client.Attachment(ctx, must1(client.UploadGrid(ctx, sample.MP4("clip.mp4", 1<<20, 1)))(t)))(t)
	a, relative := images[0].URL, strings.TrimPrefix(images[1].URL, w.site.URL)
	content := wp.Gallery(images) + fmt.Sprintf(`
<!-- wp:html -->
<p>As text: %[1]s</p>
<p><a href="%[1]s?v=1&amp;b=2#part" title="%[1]s">link</a> <img src="%[2]s" data-src="%[1]s" alt="%[1]s"></p>
<div style="background-image: url('%[1]s')"></div><div style="background: url(&quot;%[2]s&quot;)"></div>
<object data="%[1]s"></object>
<video src="%[3]s" poster="%[2]s"></video>
<picture><source srcset="%[1]s 1x, %[2]s 2x"><img src="//%[4]s%[2]s"></picture>
<textarea>%[1]s</textarea><input name="url" value="%[1]s">
<style>.a { background: url(%[1]s) }</style>
<script type="application/json">{"u": "%[1]s"}</script>
<template><img src="%[1]s"></template><noscript><img src="%[1]s"></noscript>
<!-- <img src="%[1]s"> -->
<!-- /wp:html -->`, a, relative, video.URL, strings.TrimPrefix(w.site.URL, "http://"))
	post := must1(client.Publish(ctx, "Pages", content, images[0].ID))(t)
	comparison := &pageComparison{world: w, roots: map[string]string{"/wp-content/uploads/": ""}, left: []string{
		"img[alt]", "a[title]", // texts that people read
		"input[value]", // goes back to the app
		"object[data]", // embedded
	}}
	link := strings.TrimPrefix(post.Link, w.site.URL)
	comparison.compare(ctx, "/", link, "/feed/", "/feed/atom/", "/wp-json/wp/v2/posts", link+"embed/",
		"/wp-json/oembed/1.0/embed?url="+url.QueryEscape(post.Link))
}
