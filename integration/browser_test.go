//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/media-offload/caddy-media-offload/integration/sample"
)

// TestBrowser writes an article in the block editor with a real browser: it
// logs in, drops a picture, publishes, and opens the page as a visitor.
func TestBrowser(t *testing.T) {
	for _, store := range []store{onVersitygw, onFile} {
		t.Run(string(store), func(t *testing.T) { testBrowser(t, store) })
	}
}

func testBrowser(t *testing.T, store store) {
	ctx := within(t, 3*time.Minute)
	w := newWorld(t, worldOptions{store: store})
	photo := filepath.Join(w.env.Dir, "Föhn 😀.jpg")
	must(t, os.WriteFile(photo, sample.JPEG("", 2, 1).Content, 0o644))

	const (
		openPublish = chromedp.CSS(".editor-post-publish-panel__toggle")
		publish     = chromedp.CSS(".editor-post-publish-panel .editor-post-publish-button")
	)
	author := w.authorsBrowser(ctx)
	w.newBlockPost(author, "Dropped")
	dropFile(t, author, emptyParagraph, photo)
	must(t, chromedp.Do(author,
		eventually(`wp.data.select('core/block-editor').getBlocks().some(b => b.name == 'core/image' && b.attributes.id > 0)`),
		chromedp.Click(openPublish),
		chromedp.WaitEnabled(publish),
		chromedp.Click(publish),
		eventually(`wp.data.select('core/editor').getCurrentPost().status == 'publish' && !wp.data.select('core/editor').isSavingPost()`),
	))
	link := must1(chromedp.Run(author, chromedp.Evaluate[string](`wp.data.select('core/editor').getPermalink()`)))(t)
	w.visit(ctx, link)
	w.databaseIsLocal(ctx, w.site.MediaURL())
	w.diskIsCommitted(ctx)
}

// emptyParagraph is what a new article in the block editor has.
const emptyParagraph = chromedp.CSS(".block-editor-default-block-appender")

// authorsBrowser starts a browser in which the site's author is logged in.
func (w *world) authorsBrowser(ctx context.Context) context.Context {
	w.t.Helper()
	author := w.browser(ctx)
	must(w.t, chromedp.Do(author,
		chromedp.Navigate(w.site.URL+"/wp-login.php"),
		// A script of the page moves the focus while one types.
		chromedp.SetValue(chromedp.CSS("#user_login"), w.site.User),
		chromedp.SetValue(chromedp.CSS("#user_pass"), w.site.Password),
		chromedp.Click(chromedp.CSS("#wp-submit")),
		chromedp.WaitVisible(chromedp.CSS("#wpadminbar")),
	))
	return author
}

// newBlockPost opens a new article in the block editor.
func (w *world) newBlockPost(author context.Context, title string) {
	w.t.Helper()
	must(w.t, chromedp.Do(author,
		chromedp.Navigate(w.site.URL+"/wp-admin/post-new.php"),
		eventually(`window.wp && wp.data && wp.data.select('core/editor') && wp.data.select('core/editor').getCurrentPostId() > 0`),
	))
	must(w.t, chromedp.Do(author,
		execute(fmt.Sprintf(`wp.data.dispatch('core/preferences').set('core/edit-post', 'welcomeGuide', false); wp.data.dispatch('core/editor').editPost({title: %q})`, title)),
		chromedp.WaitVisible(emptyParagraph),
	))
}

// browser starts a browser with a profile of its own. Where it finds hosts can
// be told by rules, "MAP a:80 b:80".
func (w *world) browser(ctx context.Context, rules ...string) context.Context {
	w.t.Helper()
	profile := must1(w.env.Folder("chromium", nil))(w.t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"),
		chromedp.NoSandbox, // the tests run as root
		chromedp.UserDataDir(profile),
		chromedp.WindowSize(1280, 900),
		// Nothing may leave this machine.
		chromedp.Flag("host-resolver-rules", strings.Join(append(rules, "MAP *.localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), ", ")),
	)
	allocator, stop := chromedp.NewExecAllocator(ctx, options...)
	tab, closeTab := chromedp.NewContext(allocator)
	w.t.Cleanup(func() {
		if err := chromedp.Cancel(tab); err != nil && ctx.Err() == nil {
			w.t.Errorf("closing the browser: %v", err)
		}
		closeTab()
		stop()
	})
	return tab
}

// eventually waits until a JavaScript expression is true.
func eventually(expression string) chromedp.Action[chromedp.Void] {
	poll := chromedp.Poll[bool]("Boolean("+expression+")", chromedp.WithPollingTimeout(time.Minute), chromedp.WithPollingInterval(50*time.Millisecond))
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := poll(ctx, target)
		if err != nil {
			err = fmt.Errorf("waiting for %s: %w", expression, err)
		}
		return chromedp.Void{}, err
	}
}

// dropFile drags a file from outside the browser onto an element.
func dropFile(t *testing.T, tab context.Context, element chromedp.CSS, file string) {
	t.Helper()
	at := must1(chromedp.Run(tab, chromedp.Evaluate[struct{ X, Y float64 }](fmt.Sprintf(
		`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return {X: r.x + r.width/2, Y: r.y + r.height/2}; })()`, string(element)))))(t)
	data := &input.DragData{Items: []*input.DragDataItem{}, Files: []string{file}, DragOperationsMask: 1}
	for _, kind := range []input.DispatchDragEventType{
		input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop,
	} {
		must1(chromedp.Call(tab, input.DispatchDragEvent, input.DispatchDragEventParams{Type: kind, X: at.X, Y: at.Y, Data: data}))(t)
	}
}

// visit opens a page in a fresh browser: every picture of the media library
// comes from the public URL and is shown.
func (w *world) visit(ctx context.Context, link string) {
	w.t.Helper()
	visitor := w.browser(ctx)
	must(w.t, chromedp.Do(visitor,
		chromedp.Navigate(link),
		eventually(`document.readyState == 'complete' && [...document.images].every(i => i.complete)`),
	))
	result := must1(chromedp.Run(visitor, chromedp.Evaluate[string](
		`JSON.stringify([...document.images].map(i => ({src: i.currentSrc, width: i.naturalWidth})))`)))(w.t)
	var images []struct {
		Src   string
		Width int
	}
	must(w.t, json.Unmarshal([]byte(result), &images))
	w.screenshot(visitor, link)
	shown := 0
	for _, image := range images {
		if w.isAsset(image.Src) {
			continue
		}
		if !strings.HasPrefix(image.Src, w.publicURL+"/") || image.Width == 0 {
			w.t.Errorf("picture %s is %d pixels wide; want one from %s", image.Src, image.Width, w.publicURL)
		}
		shown++
	}
	if shown == 0 {
		w.t.Errorf("no picture on %s", link)
	}
}

// screenshot keeps what the browser shows in the folder that
// $MEDIA_OFFLOAD_SCREENSHOTS names, if it names one.
func (w *world) screenshot(tab context.Context, link string) {
	w.t.Helper()
	dir := os.Getenv("MEDIA_OFFLOAD_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture := must1(chromedp.Run(tab, chromedp.FullScreenshot(100)))(w.t)
	name := strings.ReplaceAll(w.t.Name()+strings.TrimPrefix(link, w.app.URL), "/", "_") + ".png"
	must(w.t, os.WriteFile(filepath.Join(dir, name), picture, 0o644))
}

// isAsset reports whether a URL is one of the app's own pictures.
func (w *world) isAsset(link string) bool {
	path, local := strings.CutPrefix(link, w.app.URL)
	return local && slices.ContainsFunc(w.assets, func(asset string) bool { return strings.HasPrefix(path, asset) })
}

// databaseIsLocal searches a dump of the whole database for the address of the
// public URL, and for what must be there: local, which is in it if the app
// stored its own URLs at all.
//
// Promise 4: "public URLs that come back in a request body are turned back
// into local ones, so that the app's database never holds one."
func (w *world) databaseIsLocal(ctx context.Context, local string) {
	w.t.Helper()
	dump := must1(w.app.DB.Dump(ctx, w.app.Database))(w.t)
	public, err := url.Parse(w.publicURL)
	must(w.t, err)
	for _, host := range []string{public.Host, url.QueryEscape(public.Host)} {
		for i := 0; ; {
			at := bytes.Index(dump[i:], []byte(host))
			if at < 0 {
				break
			}
			i += at + len(host)
			w.t.Errorf("the database holds the public address: …%q…", dump[max(0, i-200):min(len(dump), i+200)])
		}
	}
	if !bytes.Contains(dump, []byte(local)) {
		w.t.Errorf("the database does not hold %s: what was searched?", local)
	}
}

// TestPublicURLSentBack saves an article that has public URLs in it, as a
// writer does who copies a picture's address from the page.
func TestPublicURLSentBack(t *testing.T) {
	ctx := within(t, time.Minute)
	w := newWorld(t, worldOptions{store: onVersitygw})
	client := w.login(ctx)
	id := must1(client.UploadGrid(ctx, sample.JPEG("copied & more.jpg", 2, 1)))(t)
	image := must1(client.Attachment(ctx, id))(t)
	public := strings.Replace(image.URL, w.site.MediaURL(), w.publicURL+"/", 1)
	must1(client.Publish(ctx, "REST", fmt.Sprintf(`<img src="%s"/>`, public), 0))(t)
	w.databaseIsLocal(ctx, w.site.MediaURL())
}
