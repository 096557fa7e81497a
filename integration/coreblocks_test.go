//go:build integration

package integration

import (
	"context"
	"fmt"
	"image"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// TestCoreBlocks opens an article with each of WordPress' own blocks that shows
// media, through the module and straight from the app, under one address: it
// looks and does the same.
//
// Promise 4: "A page works as it did before."
func TestCoreBlocks(t *testing.T) {
	for _, test := range []struct {
		name   string
		newest bool
	}{{"Debian's", false}, {"newest", true}} {
		t.Run(test.name, func(t *testing.T) { testCoreBlocks(t, test.newest) })
	}
}

func testCoreBlocks(t *testing.T, newest bool) {
	ctx := within(t, 3*time.Minute)
	w := newWorld(t, worldOptions{store: onFile, straight: true, newest: newest, host: "site.localhost"})
	w.addFontsPlugin(ctx)
	article := w.blocksArticle(ctx, newest)

	neutral := strings.NewReplacer(w.publicURL+"/", "MEDIA/", w.site.MediaURL(), "MEDIA/")
	tell := func(url string) string { return strings.TrimPrefix(url, "http://") }
	straight := w.openArticle(ctx, article, newest, neutral, nil, "MAP "+tell(w.site.URL)+" 127.0.0.1:"+portOf(w.direct))
	through := w.openArticle(ctx, article, newest, neutral, straight.picture)
	if diff := differing(straight.picture, through.picture); diff > 0 {
		t.Errorf("%d pixels differ", diff)
	}
	if straight.does != through.does {
		t.Errorf("through the module: %s\nstraight: %s", through.does, straight.does)
	}
	for _, problem := range through.problems {
		if !slices.Contains(straight.problems, problem) {
			t.Errorf("the browser complains: %s", problem)
		}
	}
	if straight.public != 0 || through.public < 8 {
		t.Errorf("%d pictures come from the public URL, %d straight from the app", through.public, straight.public)
	}
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// articleShown is what a browser made of an article.
type articleShown struct {
	picture  *image.NRGBA
	does     string
	problems []string
	// public is how many of its pictures come from the public URL.
	public int
}

// articleEffects are told in one text.
const articleEffects = `
	await pictures(); await document.fonts.ready;
	const t = $('track'); t.track.mode = 'showing';
	if (t.readyState < 2) await one(t, 'load', 'error');
	const cues = [...(t.track.cues || [])].map((c) => c.text);
	t.track.mode = 'disabled';
	for (const e of document.querySelectorAll('video, audio')) if (e.readyState < 2 && !e.error) await one(e, 'loadeddata', 'error');
	return JSON.stringify({
		cues,
		fonts: [...document.fonts].filter((f) => f.status != 'unloaded').map((f) => f.family + ' ' + f.status).sort(),
		// Those of the lightbox come when it is opened.
		pictures: [...document.images].filter((i) => !i.closest('.wp-lightbox-overlay')).map((i) => i.naturalWidth),
		video: $('video').videoWidth, audio: $('audio').duration,
		icons: [...document.querySelectorAll('link[rel~=icon]')].map((l) => name(l.href)),
	})`

// openArticle opens an article in a browser of its own, and waits for a while
// until it looks like a picture, if there is one.
func (w *world) openArticle(ctx context.Context, link string, newest bool, neutral *strings.Replacer, like *image.NRGBA, rules ...string) articleShown {
	t := w.t
	t.Helper()
	// So high that all of it is in view, and no picture waits until it is.
	v := w.newVisitor(w.browser(ctx, rules...), 800, 3600, neutral)
	tab, cancel := context.WithTimeout(v.tab, time.Minute)
	defer cancel()
	must(t, v.open(tab, link))
	shown := articleShown{does: must1(js(articleEffects)(tab, v))(t)}
	for _, want := range []string{`"cues":["hello"]`, `"video":32`, `"audio":1`, "probe loaded"} {
		if !strings.Contains(shown.does, want) {
			t.Errorf("%s: not on %s", want, shown.does)
		}
	}
	if newest && !strings.Contains(shown.does, "library loaded") {
		t.Errorf("no font of the library on %s", shown.does)
	}
	shown.public = must1(chromedp.Run(tab, chromedp.Evaluate[int](
		`[...document.images].filter((i) => i.currentSrc.startsWith('`+w.publicURL+`')).length`)))(t)
	shown.picture = must1(v.picture(tab, like))(t)
	w.screenshot(tab, link+fmt.Sprint(len(rules)))
	shown.does += " " + must1(click(".wp-block-file__button")(tab, v))(t)
	if !strings.HasSuffix(shown.does, " saves doc.pdf") {
		t.Errorf("the button of the File block: %s", shown.does)
	}
	shown.problems = v.wrong()
	return shown
}

// addFontsPlugin adds what a plugin does that keeps web fonts on the site: a
// style sheet and fonts in uploads, which it names by their paths.
func (w *world) addFontsPlugin(ctx context.Context) {
	t := w.t
	t.Helper()
	dir := filepath.Join(w.site.Uploads(), "omgf")
	must(t, os.MkdirAll(dir, 0o755))
	for name, content := range map[string]string{
		filepath.Join(dir, "probe.woff2"): string(read("/usr/share/wordpress/wp-includes/fonts/dashicons.woff2")),
		filepath.Join(dir, "fonts.css"):   `@font-face { font-family: probe; src: url('/wp-content/uploads/omgf/probe.woff2') } .probe { font: 60px probe }`,
		filepath.Join(w.site.Dir, "wp-content/mu-plugins/fonts.php"): `<?php add_action('wp_enqueue_scripts', function () {
			wp_enqueue_style('fonts', content_url('uploads/omgf/fonts.css'), [], null);
		});`,
	} {
		must(t, os.WriteFile(name, []byte(content), 0o644))
		must(t, w.app.PHP.User.Own(name))
	}
	must(t, w.app.PHP.User.Own(dir))
	w.equalWithin(ctx, "the fonts", 20*time.Second)
}

// blocksArticle uploads media and publishes an article that shows them in all
// ways that WordPress' own blocks have. It returns its address.
func (w *world) blocksArticle(ctx context.Context, newest bool) string {
	t := w.t
	t.Helper()
	client := w.login(ctx)
	upload := func(file sample.File) *wp.Attachment {
		t.Helper()
		return must1(client.Attachment(ctx, must1(client.UploadREST(ctx, file))(t)))(t)
	}
	var photos []*wp.Attachment
	for i := range 4 {
		photos = append(photos, upload(sample.JPEG(fmt.Sprintf("photo %d.jpg", i), 0.1, uint64(i))))
	}
	icon := upload(sample.PNG("icon.png", 512, 512, 1))
	film := upload(sample.File{Name: "film.webm", Type: "video/webm", Content: read("testdata/places/green.webm")})
	captions := upload(sample.File{Name: "captions.vtt", Type: "text/vtt", Content: vtt})
	sound := upload(sample.File{Name: "sound.wav", Type: "audio/wav", Content: wave()})
	doc := upload(sample.File{Name: "doc.pdf", Type: "application/pdf", Content: pdf})
	must(t, client.REST(ctx, http.MethodPost, "/wp/v2/settings", map[string]any{"site_logo": icon.ID, "site_icon": icon.ID}, nil))
	if newest {
		w.addLibraryFont(ctx, client)
	}
	content := strings.NewReplacer("{photo}", photos[0].URL, "{id}", fmt.Sprint(photos[0].ID), "{second}", photos[1].URL,
		"{film}", film.URL, "{captions}", captions.URL, "{sound}", sound.URL, "{doc}", doc.URL).Replace(coreBlocks)
	post := must1(client.Publish(ctx, "Blocks", content+wp.Gallery(photos), photos[3].ID))(t)
	return post.Link
}

// coreBlocks is an article as the block editor writes it.
const coreBlocks = `
<!-- wp:site-logo {"width":64} /-->

<!-- wp:image {"id":{id},"sizeSlug":"full"} -->
<figure class="wp-block-image size-full"><img src="{photo}" alt="" class="wp-image-{id}"/></figure>
<!-- /wp:image -->

<!-- wp:image {"lightbox":{"enabled":true},"id":{id},"sizeSlug":"full"} -->
<figure class="wp-block-image size-full"><img src="{photo}" alt="" class="wp-image-{id}"/></figure>
<!-- /wp:image -->

<!-- wp:cover {"url":"{photo}","id":{id},"dimRatio":50} -->
<div class="wp-block-cover"><span aria-hidden="true" class="wp-block-cover__background has-background-dim"></span><img class="wp-block-cover__image-background wp-image-{id}" alt="" src="{photo}" data-object-fit="cover"/><div class="wp-block-cover__inner-container"><!-- wp:paragraph -->
<p>Cover</p>
<!-- /wp:paragraph --></div></div>
<!-- /wp:cover -->

<!-- wp:cover {"url":"{second}","id":{id},"isRepeated":true,"dimRatio":20} -->
<div class="wp-block-cover is-repeated"><span aria-hidden="true" class="wp-block-cover__background has-background-dim-20 has-background-dim"></span><div role="img" class="wp-block-cover__image-background wp-image-{id} is-repeated" style="background-position:50% 50%;background-image:url({second})"></div><div class="wp-block-cover__inner-container"><!-- wp:paragraph -->
<p>Cover</p>
<!-- /wp:paragraph --></div></div>
<!-- /wp:cover -->

<!-- wp:video {"tracks":[{"src":"{captions}","label":"English","srcLang":"en","kind":"captions"}]} -->
<figure class="wp-block-video"><video controls src="{film}"><track src="{captions}" label="English" srclang="en" kind="captions"/></video></figure>
<!-- /wp:video -->

<!-- wp:audio -->
<figure class="wp-block-audio"><audio controls src="{sound}"></audio></figure>
<!-- /wp:audio -->

<!-- wp:file {"href":"{doc}"} -->
<div class="wp-block-file"><a id="wp-block-file--media-1" href="{doc}">doc</a><a href="{doc}" class="wp-block-file__button wp-element-button" download aria-describedby="wp-block-file--media-1">Download</a></div>
<!-- /wp:file -->

<!-- wp:media-text {"mediaId":{id},"mediaType":"image"} -->
<div class="wp-block-media-text is-stacked-on-mobile"><figure class="wp-block-media-text__media"><img src="{second}" alt="" class="wp-image-{id} size-full"/></figure><div class="wp-block-media-text__content"><!-- wp:paragraph -->
<p>Beside the picture</p>
<!-- /wp:paragraph --></div></div>
<!-- /wp:media-text -->

<!-- wp:html -->
<p class="probe">&#xf100;&#xf101;</p><p style="font-family: library">In a font of the library</p>
<!-- /wp:html -->
`

// addLibraryFont adds a font to WordPress' font library, and to the site's
// styles.
func (w *world) addLibraryFont(ctx context.Context, client *wp.Client) {
	t := w.t
	t.Helper()
	var family struct{ ID int }
	must(t, client.REST(ctx, http.MethodPost, "/wp/v2/font-families", map[string]any{
		"font_family_settings": `{"name": "library", "slug": "library", "fontFamily": "library"}`,
	}, &family))
	face := must1(client.UploadFontFace(ctx, family.ID,
		`{"fontFamily": "library", "fontWeight": "400", "fontStyle": "normal", "src": "file-0"}`,
		sample.File{Name: "library.woff2", Type: "font/woff2", Content: read(filepath.Join(w.site.Dir, "wp-content/themes/twentytwentyfour/assets/fonts/cardo/cardo_normal_400.woff2"))}))(t)
	if !strings.HasPrefix(face, w.site.MediaURL()+"fonts/") {
		t.Errorf("the font is at %s", face)
	}
	out := must1(w.site.Run(w.site.Load() + fmt.Sprintf(`
wp_set_current_user(1);
$styles = json_decode(get_post(WP_Theme_JSON_Resolver::get_user_global_styles_post_id())->post_content, true);
$styles['settings']['typography']['fontFamilies']['custom'] = [['name' => 'library', 'slug' => 'library', 'fontFamily' => 'library', 'fontFace' => [
	['fontFamily' => 'library', 'fontWeight' => '400', 'fontStyle' => 'normal', 'src' => '%s'],
]]];
wp_update_post(['ID' => WP_Theme_JSON_Resolver::get_user_global_styles_post_id(), 'post_content' => wp_slash(wp_json_encode($styles))]);
echo 'done';`, face)))(t)
	if out != "done" {
		t.Fatalf("using a font of the library: %s", out)
	}
}
