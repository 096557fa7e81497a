//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/web"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// olderScreens brings back what WordPress had before its theme's blocks: the
// classic editor (with ?classic), widgets and menus.
const olderScreens = `<?php
add_filter('use_block_editor_for_post', function () { return !isset($_REQUEST['classic']); });
add_filter('use_widgets_block_editor', '__return_false');
add_action('widgets_init', function () { register_sidebar(['id' => 'sidebar-1', 'name' => 'Sidebar']); });
add_action('after_setup_theme', function () { add_theme_support('menus'); }, 99);
`

// TestPaste copies pictures and links from the public page, in a browser, and
// pastes them into both editors; other screens get the public URL by their
// forms.
//
// Promise 4: "public URLs that come back in a request body are turned back
// into local ones, so that the app's database never holds one."
func TestPaste(t *testing.T) {
	t.Parallel()
	ctx := within(t, 5*time.Minute)
	w := newWorld(t, worldOptions{store: onVersitygw})
	must(t, os.WriteFile(filepath.Join(w.site.Dir, "wp-content/mu-plugins/older.php"), []byte(olderScreens), 0o644))
	client := w.login(ctx)
	photo := must1(client.UploadGrid(ctx, sample.JPEG("copied & more.jpg", 2, 1)))(t)
	image := must1(client.Attachment(ctx, photo))(t)
	source := must1(client.Publish(ctx, "Source", wp.Gallery([]*wp.Attachment{image})+
		fmt.Sprintf(`<p>See <a href="%[1]s">%[1]s</a>.</p>`, image.URL), 0))(t)
	public := w.publicURL + strings.TrimPrefix(image.URL, w.site.MediaURL()[:len(w.site.MediaURL())-1])

	author := w.authorsBrowser(ctx)
	w.pasteIntoBlocks(author, source.Link)
	w.pasteIntoClassic(ctx, author, source.Link, image.URL)
	w.databaseIsLocal(ctx, image.URL)

	for name, save := range map[string]func(context.Context, *wp.Client, string) error{
		"options": saveOptions, "widget": saveWidget, "menu": saveMenu, "custom CSS": saveCSS,
	} {
		if err := save(ctx, client, public); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.databaseIsLocal(ctx, image.URL)
	for what := range savedURLs {
		if w.count(ctx, what, image.URL) == 0 {
			t.Errorf("%s: not in the database with %s", what, image.URL)
		}
	}
}

// copyArticle selects the content of a public article and copies it.
func (w *world) copyArticle(tab context.Context, link string) {
	w.t.Helper()
	must(w.t, chromedp.Do(tab, chromedp.Navigate(link),
		eventually(`document.readyState == 'complete' && document.querySelector('.entry-content img').currentSrc.startsWith('`+w.publicURL+`')`)))
	must(w.t, chromedp.Do(tab, execute(`getSelection().selectAllChildren(document.querySelector('.entry-content'))`)))
	press(w.t, tab, "copy")
}

// press executes an editing command as a key does.
func press(t *testing.T, tab context.Context, command string) {
	t.Helper()
	must1(chromedp.Call(tab, input.DispatchKeyEvent, input.DispatchKeyEventParams{
		Type: input.DispatchKeyEventTypeRawKeyDown, Commands: []string{command},
	}))(t)
}

func (w *world) pasteIntoBlocks(author context.Context, source string) {
	w.t.Helper()
	w.copyArticle(author, source)
	w.newBlockPost(author, "Pasted blocks")
	must(w.t, chromedp.Do(author, chromedp.Click(emptyParagraph),
		eventually(`document.activeElement.closest('.wp-block')`)))
	press(w.t, author, "paste")
	must(w.t, chromedp.Do(author, eventually(`wp.data.select('core/editor').getEditedPostContent().includes('<img')`)))
	if content := must1(chromedp.Run(author, chromedp.Evaluate[string](`wp.data.select('core/editor').getEditedPostContent()`)))(w.t); !strings.Contains(content, w.publicURL) {
		w.t.Errorf("what was pasted holds no public URL: %s", content)
	}
	must(w.t, chromedp.Do(author, execute(`wp.data.dispatch('core/editor').editPost({status: 'publish'}); wp.data.dispatch('core/editor').savePost()`)))
	must(w.t, chromedp.Do(author,
		eventually(`wp.data.select('core/editor').getCurrentPost().status == 'publish' && !wp.data.select('core/editor').isSavingPost()`)))
}

func (w *world) pasteIntoClassic(ctx, author context.Context, source, image string) {
	w.t.Helper()
	w.copyArticle(author, source)
	must(w.t, chromedp.Do(author,
		chromedp.Navigate(w.site.URL+"/wp-admin/post-new.php?classic"),
		eventually(`window.tinymce && tinymce.get('content') && tinymce.get('content').initialized`),
		chromedp.SetValue(chromedp.CSS("#title"), "Pasted classic"),
	))
	must(w.t, chromedp.Do(author, execute(`tinymce.get('content').focus()`)))
	press(w.t, author, "paste")
	must(w.t, chromedp.Do(author, eventually(`tinymce.get('content').getContent().includes('<img')`)))
	if content := must1(chromedp.Run(author, chromedp.Evaluate[string](`tinymce.get('content').getContent()`)))(w.t); !strings.Contains(content, w.publicURL) {
		w.t.Errorf("what was pasted holds no public URL: %s", content)
	}
	waitFor(w.t, 30*time.Second, "the article of the classic editor", func() bool {
		// The toolbar moves over the button as the editor grows, and while WordPress
		// saves a draft by itself a click comes to nothing: again, until the page
		// goes, which ends the script with an error.
		_, _ = chromedp.Run(author, chromedp.Evaluate[bool](`(() => {
			const publish = document.querySelector('#publish:not(.disabled)');
			if (publish && location.pathname.endsWith('/post-new.php')) publish.click();
			return true;
		})()`))
		return w.count(ctx, "pasted classic", image) > 0
	})
}

// execute runs JavaScript.
func execute(script string) chromedp.Action[chromedp.Void] {
	run := chromedp.Evaluate[bool](script + "; true")
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := run(ctx, target)
		return chromedp.Void{}, err
	}
}

// savedURLs are queries that count, of each thing that was saved, those that
// hold a URL.
var savedURLs = map[string]string{
	"pasted blocks":  `SELECT COUNT(*) FROM wp_posts WHERE post_title = 'Pasted blocks' AND post_status = 'publish' AND LOCATE(?, post_content)`,
	"pasted classic": `SELECT COUNT(*) FROM wp_posts WHERE post_title = 'Pasted classic' AND post_status = 'publish' AND LOCATE(?, post_content)`,
	"options":        `SELECT COUNT(*) FROM wp_options WHERE option_name = 'blogdescription' AND LOCATE(?, option_value)`,
	"widget":         `SELECT COUNT(*) FROM wp_options WHERE option_name = 'widget_text' AND LOCATE(?, option_value)`,
	"menu":           `SELECT COUNT(*) FROM wp_postmeta WHERE meta_key = '_menu_item_url' AND LOCATE(?, meta_value)`,
	"custom CSS":     `SELECT COUNT(*) FROM wp_posts WHERE post_type = 'custom_css' AND LOCATE(?, post_content)`,
}

func (w *world) count(ctx context.Context, what, url string) (n int) {
	w.t.Helper()
	db := must1(shared.db.Open(w.app.Database))(w.t)
	defer db.Close()
	must(w.t, db.QueryRowContext(ctx, savedURLs[what], url).Scan(&n))
	return n
}

func saveOptions(ctx context.Context, client *wp.Client, public string) error {
	page, err := client.Get(ctx, "/wp-admin/options-general.php")
	if err != nil {
		return err
	}
	form, err := web.FormWith(page.Body, "blogdescription")
	if err != nil {
		return err
	}
	form.Values.Set("blogdescription", "Look at "+public)
	_, err = client.PostForm(ctx, "/wp-admin/options.php", form.Values)
	return err
}

func saveWidget(ctx context.Context, client *wp.Client, public string) error {
	page, err := client.Get(ctx, "/wp-admin/widgets.php")
	if err != nil {
		return err
	}
	form, err := web.FormWith(page.Body, "_wpnonce_widgets")
	if err != nil {
		return err
	}
	_, err = client.PostForm(ctx, "/wp-admin/admin-ajax.php", url.Values{
		"action": {"save-widget"}, "savewidgets": {form.Values.Get("_wpnonce_widgets")}, "sidebar": {"sidebar-1"},
		"id_base": {"text"}, "widget-id": {"text-2"}, "multi_number": {"2"}, "add_new": {"multi"},
		"widget-text[2][title]": {"Picture"}, "widget-text[2][text]": {"At " + public + "\n<img src='" + public + "'>"},
	})
	return err
}

func saveMenu(ctx context.Context, client *wp.Client, public string) error {
	page, err := client.Follow(ctx, "/wp-admin/nav-menus.php")
	if err != nil {
		return err
	}
	form, err := web.FormWith(page.Body, "menu-settings-column-nonce")
	if err != nil {
		return err
	}
	_, err = client.PostForm(ctx, "/wp-admin/admin-ajax.php", url.Values{
		"action": {"add-menu-item"}, "menu": {"0"}, "menu-settings-column-nonce": form.Values["menu-settings-column-nonce"],
		"menu-item[-1][menu-item-type]": {"custom"}, "menu-item[-1][menu-item-url]": {public}, "menu-item[-1][menu-item-title]": {"Picture"},
	})
	return err
}

var customizeNonce = regexp.MustCompile(`"nonce":\{"save":"([0-9a-f]+)"`)

func saveCSS(ctx context.Context, client *wp.Client, public string) error {
	page, err := client.Get(ctx, "/wp-admin/customize.php")
	if err != nil {
		return err
	}
	nonce := customizeNonce.FindSubmatch(page.Body)
	if nonce == nil {
		return fmt.Errorf("no nonce on %.1000s", page.Body)
	}
	customized, err := json.Marshal(map[string]string{
		"custom_css[twentytwentythree]": "body {\n\tbackground: url(" + public + ");\n}\n/*\n" + public + " */",
	})
	if err != nil {
		return err
	}
	resp, err := client.PostForm(ctx, "/wp-admin/admin-ajax.php", url.Values{
		"action": {"customize_save"}, "wp_customize": {"on"}, "customize_theme": {"twentytwentythree"}, "nonce": {string(nonce[1])},
		"customize_changeset_uuid": {"8a4f0c5e-5a8c-4f0e-9a53-0a6a3fd1c2b4"}, "customize_changeset_status": {"publish"},
		"customized": {string(customized)},
	})
	if err == nil && !strings.Contains(string(resp.Body), `"success":true`) {
		err = fmt.Errorf("refused: %.1000s", resp.Body)
	}
	return err
}
