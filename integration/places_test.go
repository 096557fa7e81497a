//go:build integration

package integration

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/env"
)

// TestPlaces opens a page for each place of the table in docs/pages.md, straight
// from the app and through the module, in a browser: each does what it did, and
// what can come from the public URL does.
//
// Promise 4: "A page works as it did before."
func TestPlaces(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	w := newPlacesWorld(t, ctx)
	browser := w.browser(ctx)
	var visitors []*visitor
	for _, site := range w.sites {
		visitors = append(visitors, w.newVisitor(browser, placeWidth, placeHeight, site.neutral()))
	}
	for _, p := range allPlacePages() {
		t.Run(p.name, func(t *testing.T) {
			var straight pageShown
			for i, site := range w.sites {
				switch {
				case site.host == nil:
					straight = w.showPage(ctx, t, p, site, visitors[i], nil)
				case site.host.allows == embeddable && !p.embedded():
					// as for the site before
				default:
					w.comparePage(ctx, t, p, site, straight, w.showPage(ctx, t, p, site, visitors[i], straight.picture))
				}
			}
		})
	}
}

func allPlacePages() []placePage { return append(placePages(), rarerPages()...) }

// The size of the pages. It is small, since the whole is compared.
const placeWidth, placeHeight = 240, 160

// pageShown is what a browser makes of a page.
type pageShown struct {
	picture  *image.NRGBA
	problems []string
}

// showPage opens a page of a site, which has to do what it is for. like is what
// it looks like, if that is known.
func (w *placesWorld) showPage(ctx context.Context, t *testing.T, p placePage, site *placeSite, v *visitor, like *image.NRGBA) (shown pageShown) {
	t.Helper()
	if ctx.Err() != nil {
		t.Fatal(ctx.Err())
	}
	tab, cancel := context.WithTimeout(v.tab, visitTimeout)
	defer cancel()
	must(t, v.open(tab, site.page(p)))
	got, err := p.effect(tab, v)
	if err != nil {
		t.Errorf("%s: %v", site.name, err)
	} else if got != p.want {
		t.Errorf("%s: %s\nwant %s", site.name, got, p.want)
	}
	if p.drawn != "" && err == nil {
		shown.picture = must1(v.picture(tab, like))(t)
		at := must1(v.middle(tab))(t)
		if got := colorName(shown.picture.At(at.X, at.Y)); got != p.drawn {
			t.Errorf("%s: #drawn is %s, want %s", site.name, got, p.drawn)
		}
	}
	shown.problems = v.wrong()
	must(t, v.close(tab))
	return shown
}

// comparePage compares what a page is through the module with what it is
// straight from the app.
func (w *placesWorld) comparePage(ctx context.Context, t *testing.T, p placePage, site *placeSite, straight, shown pageShown) {
	t.Helper()
	if straight.picture != nil && shown.picture != nil && differing(straight.picture, shown.picture) > 0 {
		t.Errorf("%s: the page looks otherwise than straight from the app", site.name)
	}
	for _, problem := range shown.problems {
		if !slices.Contains(straight.problems, problem) {
			t.Errorf("%s: the browser complains: %s", site.name, problem)
		}
	}
	if got, want := w.moved(ctx, t, p, site), p.moves(site.host.allows); !slices.Equal(got, want) {
		t.Errorf("%s: from the public URL come %q, want %q", site.name, got, want)
	}
}

// placesWorld is a site of placePages: straight from the app, and through the
// module with public URLs that allow more and more.
type placesWorld struct {
	*world
	sites []*placeSite
}

// placeSite is an address of the site.
type placeSite struct {
	name string
	url  string
	// isolated is the same site on another host: what an isolated page may load
	// is not told by the pages that load it, so that all of its host are careful.
	isolated string
	host     *publicHost // nil: straight from the app
}

// page is the address of a page.
func (s *placeSite) page(p placePage) string {
	url := s.url
	if p.headers == isolation {
		url = s.isolated
	}
	return url + "/page.php?name=" + cmp.Or(p.within, p.name)
}

// source is the address of what is in the page.
func (s *placeSite) source(p placePage) string {
	p.within = ""
	return s.page(p)
}

// neutral makes addresses of this site and its public URL the same as those of
// the others.
func (s *placeSite) neutral() *strings.Replacer {
	addresses := []string{s.url + mediaPath, "MEDIA/", s.isolated + mediaPath, "MEDIA/", s.url, "SITE", s.isolated, "SITE"}
	if s.host != nil {
		addresses = append([]string{s.host.url + "/", "MEDIA/"}, addresses...)
	}
	return strings.NewReplacer(addresses...)
}

const mediaPath = "/wp-content/uploads/"

// publicHost serves the public objects, on a port of its own.
type publicHost struct {
	bucket env.Bucket
	header http.Header
	// allows is the most that browsers may fetch from it.
	allows filePlace
	url    string

	mu    sync.Mutex
	asked map[string]bool // keys that browsers asked for
	// questions counts what the module asked as a page of another origin would.
	questions int
}

const publicPath = "/bucket/media"

// ServeHTTP implements http.Handler.
func (h *publicHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, below := strings.CutPrefix(r.URL.Path, publicPath+"/")
	if !below {
		http.NotFound(w, r)
		return
	}
	h.note(r, key)
	object, err := h.bucket.Read(r.Context(), "media/"+key)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer object.Body.Close()
	for name, values := range h.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", object.ContentType)
	http.ServeContent(w, r, "", time.Time{}, object.Body.(io.ReadSeeker))
}

func (h *publicHost) note(r *http.Request, key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if strings.Contains(r.UserAgent(), "Chrome") {
		h.asked[key] = true
	} else if r.Header.Get("Origin") != "" {
		h.questions++
	}
}

func newPlacesWorld(t *testing.T, ctx context.Context) *placesWorld {
	t.Helper()
	w := &placesWorld{world: &world{t: t, env: newEnv(t)}}
	bucket := must1(w.env.DirBucket("bucket"))(t)
	w.bucket = bucket
	w.app = must1(w.env.App(shared.db, must1(w.env.PHP(env.PHPOptions{}))(t), "testdata/places", databaseName(t), ""))(t)
	w.app.Preset = "wordpress"
	w.check = &check.Checker{Bucket: w.bucket, Root: filepath.Join(w.app.Dir, filepath.FromSlash(mediaPath))}
	must(t, os.MkdirAll(w.check.Root, 0o755))
	must(t, w.app.PHP.User.Own(w.check.Root))
	w.writePages()

	allowing := http.Header{"Access-Control-Allow-Origin": {"*"}}
	embedding := http.Header{"Access-Control-Allow-Origin": {"*"}, "Cross-Origin-Resource-Policy": {"cross-origin"}}
	w.addSite("straight", nil)
	w.addSite("no header", &publicHost{allows: anywhere})
	w.addSite("CORS", &publicHost{header: allowing, allows: withCORS})
	w.addSite("CORS and CORP", &publicHost{header: embedding, allows: embeddable})
	var caddyfile strings.Builder
	for _, site := range w.sites {
		directive := ""
		if site.host != nil {
			directive = w.app.MediaOffload(bucket, site.host.url)
		}
		caddyfile.WriteString(w.app.Serve(directive, site.url, site.isolated))
	}
	w.caddy = must1(w.env.Caddy(env.CaddyOptions{Binary: must1(shared.caddy.Build())(t), Sites: caddyfile.String()}))(t)
	w.uploadMedia(ctx)
	w.becomeKnown(ctx)
	return w
}

// addSite adds an address of the site, whose media are on the given host.
func (w *placesWorld) addSite(name string, host *publicHost) {
	w.t.Helper()
	// Not the address of a public host: browsers know sites by their hosts.
	url := addressOf(w.t, "site.localhost")
	if host != nil {
		host.bucket, host.asked = w.bucket, map[string]bool{}
		host.url = must1(w.env.ServeHandler(host))(w.t) + publicPath
	}
	w.sites = append(w.sites, &placeSite{name: name, url: url, isolated: strings.Replace(url, "site.", "isolated.", 1), host: host})
}

// writePages puts the pages where page.php finds them.
func (w *placesWorld) writePages() {
	w.t.Helper()
	theme := filepath.Join(w.app.Dir, "wp-content", "themes", "t")
	must(w.t, os.MkdirAll(theme, 0o755))
	must(w.t, os.WriteFile(filepath.Join(theme, "bg.png"), red, 0o644))
	dir := filepath.Join(w.app.Dir, "pages")
	must(w.t, os.Mkdir(dir, 0o755))
	for _, p := range append(allPlacePages(), knownPage(), knownIsolatedPage()) {
		must(w.t, os.WriteFile(filepath.Join(dir, p.name+".body"), []byte(p.html()), 0o644))
		must(w.t, os.WriteFile(filepath.Join(dir, p.name+".headers"), []byte(p.fill(p.headers)), 0o644))
	}
}

// uploadMedia uploads the media of all pages.
func (w *placesWorld) uploadMedia(ctx context.Context) {
	w.t.Helper()
	files := map[string][]byte{}
	for _, p := range append(allPlacePages(), knownPage(), knownIsolatedPage()) {
		for _, f := range p.files {
			files[p.name+"/"+f.name] = []byte(strings.ReplaceAll(p.fill(string(f.content)), "{site}", w.sites[1].url))
		}
	}
	body := string(must1(json.Marshal(files))(w.t))
	req := must1(http.NewRequestWithContext(ctx, http.MethodPost, w.sites[1].url+"/upload.php", strings.NewReader(body)))(w.t)
	req.Header.Set("Content-Type", "application/json")
	resp := must1(http.DefaultClient.Do(req))(w.t)
	answer := must1(io.ReadAll(resp.Body))(w.t)
	resp.Body.Close()
	if string(answer) != "stored" {
		w.t.Fatalf("uploading: %s: %s", resp.Status, answer)
	}
	w.equalAfter(ctx)("the upload")
}

// becomeKnown waits until the module knows what the public URLs allow.
func (w *placesWorld) becomeKnown(ctx context.Context) {
	w.t.Helper()
	for _, site := range w.sites[1:] {
		for _, p := range []placePage{knownPage(), knownIsolatedPage()} {
			waitFor(w.t, 20*time.Second, site.name+": knowledge of what the public URL allows", func() bool {
				got := w.moved(ctx, w.t, p, site)
				site.host.mu.Lock()
				defer site.host.mu.Unlock()
				return site.host.questions > 0 && slices.Equal(got, p.moves(site.host.allows))
			})
		}
	}
}

// moved are the page's files that it names by the public URL, or that a browser
// fetched from there.
func (w *placesWorld) moved(ctx context.Context, t *testing.T, p placePage, site *placeSite) []string {
	t.Helper()
	req := must1(http.NewRequestWithContext(ctx, http.MethodGet, site.source(p), nil))(t)
	resp := must1(http.DefaultTransport.RoundTrip(req))(t) // follows no redirect
	defer resp.Body.Close()
	source := string(must1(io.ReadAll(resp.Body))(t)) + fmt.Sprint(resp.Header)
	source = strings.ReplaceAll(source, `\/`, "/")
	var names []string
	for _, match := range regexp.MustCompile(regexp.QuoteMeta(site.host.url+"/"+p.name+"/")+`([\w.-]+)`).FindAllStringSubmatch(source, -1) {
		names = append(names, match[1])
	}
	site.host.mu.Lock()
	defer site.host.mu.Unlock()
	for key := range site.host.asked {
		if name, ok := strings.CutPrefix(key, p.name+"/"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// effect tells what a page does, in a few words.
type effect func(ctx context.Context, v *visitor) (string, error)

// filePlace is the most that the URLs of a file ask for.
type filePlace int

const (
	anywhere filePlace = iota
	withCORS
	// embeddable: with Cross-Origin-Resource-Policy.
	embeddable
	atHome
)

// placeFile is one of a page's media.
type placeFile struct {
	name    string
	content []byte
	place   filePlace
}

// placePage is a page with media in one place.
type placePage struct {
	name string
	// rows are those of the tables in docs/pages.md that the page is of.
	rows  []string
	files []placeFile
	// headers are lines of the answer's header; "{m}" stands there, in the markup
	// and in text files for the path of the page's media, without a slash at the
	// end.
	headers string
	// head and body are markup. document is the page if it is no HTML.
	head, body, document string
	// within is the page that fetches this one, if it is not to be opened.
	within string
	effect effect
	want   string
	// drawn is the colour in the middle of the element #drawn, if there is one.
	drawn string
}

// embedded reports whether files of the page come from the public URL only with
// Cross-Origin-Resource-Policy.
func (p placePage) embedded() bool {
	return slices.ContainsFunc(p.files, func(f placeFile) bool { return f.place == embeddable })
}

// moves are the names of the files that come from a public URL which allows so
// much.
func (p placePage) moves(allowed filePlace) []string {
	var names []string
	for _, f := range p.files {
		if f.place <= allowed {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return names
}

func (p placePage) fill(text string) string {
	return strings.ReplaceAll(text, "{m}", mediaPath+p.name)
}

func (p placePage) html() string {
	if p.document != "" {
		return p.fill(p.document)
	}
	return p.fill(`<!doctype html><meta charset="utf-8"><title>` + p.name + `</title>` + p.head + noIcon(p.head) +
		`<style>body { margin: 0 } #drawn { display: block; width: 40px; height: 20px }</style><body>` + p.body)
}

// noIcon keeps the browser from asking for one.
func noIcon(head string) string {
	if strings.Contains(head, "icon") {
		return ""
	}
	return `<link rel="icon" href="data:,">`
}

// TestPlacesAreThoseOfTheDocs compares the tables in docs/pages.md with the pages
// of TestPlaces: each row has one, and each is of a row.
func TestPlacesAreThoseOfTheDocs(t *testing.T) {
	rows, headings := tablesOfPlaces(string(must1(os.ReadFile(filepath.Join(env.Root(), "docs", "pages.md")))(t)))
	if len(rows) == 0 {
		t.Fatal("docs/pages.md has no table of places")
	}
	var tested []string
	for _, p := range allPlacePages() {
		tested = append(tested, p.rows...)
		for _, row := range p.rows {
			if !slices.Contains(rows, row) && !slices.Contains(headings, row) {
				t.Errorf("page %s is of %q, which is neither a row nor a heading", p.name, row)
			}
		}
		if len(p.rows) == 0 {
			t.Errorf("page %s is of no row", p.name)
		}
	}
	for _, row := range rows {
		if !slices.Contains(tested, row) {
			t.Errorf("no page is of the row %q", row)
		}
	}
}

// tablesOfPlaces are the rows of the tables of places and of what files may name,
// and the headings of a page of the documentation.
func tablesOfPlaces(text string) (rows, headings []string) {
	table := ""
	for line := range strings.Lines(strings.ReplaceAll(text, "`", "")) {
		line = strings.TrimSpace(line)
		if heading := strings.TrimLeft(line, "#"); heading != line {
			headings = append(headings, strings.TrimSpace(heading))
		}
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		cell = strings.TrimSpace(cell)
		switch {
		case !strings.HasPrefix(line, "|"):
			table = ""
		case table == "":
			table = cell
		case (table == "place" || table == "it names") && !strings.HasPrefix(cell, "-"):
			rows = append(rows, cell)
		}
	}
	return rows, headings
}
