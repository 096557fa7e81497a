//go:build integration

package integration

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// visitor is a tab that is shown one page after the other.
type visitor struct {
	// tab is the chromedp context.
	tab context.Context
	// neutral puts the same text in place of addresses that differ between
	// visitors.
	neutral *strings.Replacer

	mu       sync.Mutex
	urls     map[network.RequestID]string
	problems []string
	// left gets what the page was left by: "saves NAME" or "goes to NAME".
	left chan string
}

// visitTimeout bounds what is done on one page.
const visitTimeout = 45 * time.Second

// newVisitor opens a tab of a size in the browser of a chromedp context.
func (w *world) newVisitor(browserContext context.Context, width, height int64, neutral *strings.Replacer) *visitor {
	t := w.t
	t.Helper()
	v := &visitor{neutral: neutral, urls: map[network.RequestID]string{}, left: make(chan string, 8)}
	must(t, chromedp.Do(browserContext)) // starts it; a tab would start another
	var closeTab context.CancelFunc
	v.tab, closeTab = chromedp.NewContext(browserContext)
	t.Cleanup(closeTab)
	must(t, chromedp.Listen(v.tab, v.heard))
	must(t, chromedp.ListenBrowser(v.tab, v.heard))
	must1(chromedp.Call(v.tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1,
	}))(t)
	yes := true
	must1(chromedp.CallBrowser(v.tab, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, EventsEnabled: &yes,
		DownloadPath: must1(w.env.Folder("downloads", nil))(t),
	}))(t)
	return v
}

// heard notes what goes wrong on the page.
func (v *visitor) heard(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		v.urls[e.RequestID] = e.Request.URL
	case *network.EventLoadingFailed:
		if !e.Canceled {
			v.problem("request failed: %s: %s %s", v.urls[e.RequestID], e.ErrorText, e.BlockedReason)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			v.problem("request failed: %s: %d", e.Response.URL, e.Response.Status)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			v.problem("%s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			var text []string
			for _, arg := range e.Args {
				text = append(text, string(arg.Value)+arg.Description)
			}
			v.problem("console: %s", strings.Join(text, " "))
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		v.problem("script: %s", text)
	case *page.EventFrameNavigated:
		if e.Frame.ParentID == "" {
			v.leaves("goes to " + lastName(e.Frame.URL))
		}
	case *browser.EventDownloadWillBegin: // of any tab
		v.leaves("saves " + e.SuggestedFilename)
	}
}

func (v *visitor) problem(format string, args ...any) {
	v.problems = append(v.problems, v.neutral.Replace(fmt.Sprintf(format, args...)))
}

func (v *visitor) leaves(how string) {
	select {
	case v.left <- how:
	default:
	}
}

// lastName is the last part of a URL's path.
func lastName(link string) string {
	link, _, _ = strings.Cut(link, "?")
	return link[strings.LastIndexByte(link, '/')+1:]
}

// open shows a page, and ends when that and all that its markup names is loaded.
func (v *visitor) open(ctx context.Context, link string) error {
	v.mu.Lock()
	v.problems = nil
	clear(v.urls)
	v.mu.Unlock()
	if err := chromedp.Do(ctx, chromedp.Navigate(link)); err != nil {
		return fmt.Errorf("opening %s: %w", link, err)
	}
	return nil
}

// close leaves the page, so that nothing of it comes late.
func (v *visitor) close(ctx context.Context) error {
	return chromedp.Do(ctx, chromedp.Navigate("about:blank"))
}

// wrong is what went wrong on the page.
func (v *visitor) wrong() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.problems...)
}

// prelude is what the scripts of js may use.
const prelude = `
const $ = (selector) => document.querySelector(selector);
const name = (url) => String(url).split(/[?#]/)[0].split('/').pop();
// one waits for the first of some events.
const one = (target, ...events) => new Promise((done) => events.forEach((e) => target.addEventListener(e, () => done(e), {once: true})));
const pictures = () => Promise.all([...document.images].map((i) => i.decode().catch(() => {})));
// readBack is the colour of a picture that is drawn on a canvas and read from there.
const readBack = async (canvas, url) => {
	const image = new Image(); image.crossOrigin = 'anonymous'; image.src = url; await image.decode();
	const c = canvas.getContext('2d'); c.drawImage(image, 0, 0);
	const pixel = c.getImageData(5, 5, 1, 1).data.join();
	return pixel == '255,0,0,255' ? 'red' : pixel;
};
// message waits for a message, or for the failure, of a worker or a port.
const message = (worker, port) => new Promise((done) => {
	worker.onerror = () => done('error');
	port.onmessage = (e) => done(e.data);
});
`

// js is the effect that a script tells: the body of an async function.
func js(script string) effect {
	return func(ctx context.Context, _ *visitor) (string, error) {
		code := "(async () => {" + prelude + "try { return String(await (async () => {" + script + "})()) } catch (e) { return 'throws ' + e.name }})()"
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](code, chromedp.EvalAwaitPromise))
		if err != nil {
			return "", fmt.Errorf("running %s: %w", script, err)
		}
		return got, nil
	}
}

// click is what a click on an element leads to.
func click(selector string) effect {
	return func(ctx context.Context, v *visitor) (string, error) {
		for len(v.left) > 0 {
			<-v.left // the page itself
		}
		// By a script, so that it may be hidden.
		if err := chromedp.Do(ctx, execute(fmt.Sprintf(`document.querySelector(%q).click()`, selector))); err != nil {
			return "", err
		}
		select {
		case how := <-v.left:
			return how, nil
		case <-ctx.Done():
			return "", fmt.Errorf("clicking %s: nothing happens: %w", selector, ctx.Err())
		}
	}
}

// manifest is what the browser reads of the page's manifest.
func manifest(ctx context.Context, v *visitor) (string, error) {
	got, err := chromedp.Call(ctx, page.GetAppManifest, page.GetAppManifestParams{})
	if err != nil {
		return "", fmt.Errorf("asking for the manifest: %w", err)
	}
	var said []string
	for _, e := range got.Errors {
		said = append(said, e.Message)
	}
	start := ""
	if got.Manifest != nil {
		start = lastName(got.Manifest.StartURL)
	}
	return v.neutral.Replace(fmt.Sprintf("%s, start %s, errors %q", lastName(got.URL), start, said)), nil
}

// shot is what the tab shows now.
func (v *visitor) shot(ctx context.Context) (*image.NRGBA, error) {
	fast := true
	shot, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{OptimizeForSpeed: &fast})
	if err != nil {
		return nil, fmt.Errorf("taking a screenshot: %w", err)
	}
	decoded, err := png.Decode(bytes.NewReader(shot.Data))
	if err != nil {
		return nil, fmt.Errorf("reading a screenshot: %w", err)
	}
	img := image.NewNRGBA(decoded.Bounds())
	draw.Draw(img, img.Bounds(), decoded, decoded.Bounds().Min, draw.Src)
	return img, nil
}

// paintTime is for how long a browser may still paint what it told to be loaded.
const paintTime = 20 * time.Second

// picture is what the tab shows when that does not change any more; if it is to
// look like something, it may take a while until it does.
func (v *visitor) picture(ctx context.Context, like *image.NRGBA) (*image.NRGBA, error) {
	late := time.After(paintTime)
	before := image.NewNRGBA(image.Rectangle{})
	for {
		now, err := v.shot(ctx)
		if err != nil {
			return nil, err
		}
		switch {
		case like == nil && differing(before, now) == 0, like != nil && differing(like, now) == 0:
			return now, nil
		case like == nil:
			before = now
		}
		select {
		case <-late:
			return now, nil
		default:
		}
	}
}

// differing counts the pixels that are not the same.
func differing(a, b *image.NRGBA) (n int) {
	if a.Bounds() != b.Bounds() {
		return b.Bounds().Dx() * b.Bounds().Dy()
	}
	for i := 0; i < len(a.Pix); i += 4 {
		if [4]byte(a.Pix[i:]) != [4]byte(b.Pix[i:]) {
			n++
		}
	}
	return n
}

// middle is the middle of the element #drawn.
func (v *visitor) middle(ctx context.Context) (image.Point, error) {
	at, err := chromedp.Run(ctx, chromedp.Evaluate[struct{ X, Y float64 }](
		`(() => { const r = document.querySelector('#drawn').getBoundingClientRect(); return {X: r.x + r.width/2, Y: r.y + r.height/2}; })()`))
	if err != nil {
		return image.Point{}, fmt.Errorf("finding #drawn: %w", err)
	}
	return image.Pt(int(at.X), int(at.Y)), nil
}
