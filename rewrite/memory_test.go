package rewrite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func withMemory(c *Config) { c.Changes = unchanging }

// memoryPages differ in all that the URLs of a page depend on.
var memoryPages = func() (pages []Page) {
	for _, edit := range []func(*Page){
		func(*Page) {},
		func(p *Page) { p.Path = "/wp-content/" },
		func(p *Page) { p.Path = "" },
		func(p *Page) { p.Host = "other.example" },
		func(p *Page) { p.Scheme = "http" },
		func(p *Page) { p.ContentType = "text/html; charset=iso-8859-1" },
	} {
		p := sitePage
		edit(&p)
		pages = append(pages, p)
	}
	return pages
}()

// What is remembered becomes the same as what is read, on every page.
func TestMemory(t *testing.T) {
	// It completes URLs with the scheme.
	resolve := func(c *Config) {
		c.Resolve = func(dst []byte, m Match) ([]byte, bool) {
			at := len(dst)
			dst, ok := resolveTest(dst, m)
			return append(dst[:at], bytes.TrimPrefix(dst[at:], []byte("https:"))...), ok
		}
	}
	r, known := newTest(t, withPolicy, resolve), newTest(t, withPolicy, resolve, withMemory)
	more := []row{
		{in: `<base href="/wp-content/"><img src="uploads/a.jpg"><img src="{U}a.jpg">`},
		{in: `<base href="//other.example/"><img src="/wp-content/uploads/a.jpg">`},
		{in: `<img src="uploads/wp-content/a.jpg"><img src="../wp-content/uploads/a.jpg">`},
		{in: `<script>var a = "{UJ}a.jpg"</script><script type="application/json">["{UJ}a.jpg"]</script>`},
		{in: `<script>["/wp-content/uploads/a.jpg", "wp-content/uploads/a.jpg"]</script>`},
		{in: `<script type="application/json">["/wp-content/uploads/a.jpg", "wp-content/uploads/a.jpg"]</script>`},
		{in: `<script type="application/ld+json">["/wp-content/uploads/a.jpg", "wp-content/uploads/a.jpg"]</script>`},
		{in: `<script>// "/wp-content/uploads/a.jpg"` + "\n" + `</script><script type=json>// "/wp-content/uploads/a.jpg"` + "\n" + `</script>`},
		{in: `<p style="background:url({U}a.jpg)"><svg><p style="background:url({U}a.jpg)"><![CDATA[><img src="{U}a.jpg">]]>`},
		{in: `<img src="https:` + strings.Repeat("&#x2F;", maxHead/6) + `example.com/wp-content/uploads/a.jpg">`},
		{in: `<img src="https:&#x2F;&#x2F;` + strings.Repeat("&#101;", maxHead/6-4) + `.com/wp-content/uploads/a.jpg">`},
		{in: "<img src=\"{U}caf\xe9.jpg\"><img src=\"{U}café.jpg\">"},
		{in: `<svg><style><img src="{U}a.jpg"></style></svg><style><img src="{U}a.jpg"></style>`},
	}
	for _, c := range append(rows(htmlRows+policyRows+hashedMetaRows+jsonRows), more...) {
		in := expand.Replace(c.in)
		for range 3 {
			for _, p := range memoryPages {
				want := rewriteIn(t, r, p, in, whole(in), false)
				if got := rewriteIn(t, known, p, in, whole(in), false); got != want {
					t.Errorf("%+v:\n in   %s\n got  %s\n want %s", p, in, got, want)
				}
			}
		}
		for _, p := range memoryPages {
			rewriteAll(t, known, p, in)
		}
	}
}

// What is left of a script that was read in part is not taken for another one.
func TestMemoryOfScripts(t *testing.T) {
	r := newTest(t, withMemory)
	known := expand.Replace(`<script>["{UJ}a.jpg"]</script>`)
	for range 2 {
		rewriteIn(t, r, sitePage, known, whole(known), false)
	}
	begin := expand.Replace(`<script>"{UJ}b.jpg" // {U}`)
	in := begin + strings.TrimPrefix(known, "<script>")
	want := strings.Replace(in, expand.Replace("{UJ}b"), expand.Replace("{CJ}b"), 1)
	pieces := []int{len(begin), len(in)}
	next := func() (n int) { n, pieces = pieces[0], pieces[1:]; return n }
	if got := rewriteIn(t, r, sitePage, in, next, true); got != want {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
}

// A page of pictures that came before is not resolved again, and its replaced URLs
// are counted as if it were.
func TestMemoryIsUsed(t *testing.T) {
	asked := 0
	r := newTest(t, withMemory, func(c *Config) {
		c.Resolve = func(dst []byte, m Match) ([]byte, bool) {
			asked++
			return resolveTest(dst, m)
		}
	})
	in := expand.Replace(`<p>{U}</p><img src="{U}a.jpg" srcset="{U}a.jpg 1x, {U}b.jpg 2x"><a data-x="{&quot;u&quot;:&quot;{UJ}a.jpg&quot;}" href='{U}a.jpg'>
<a href="{U}unknown"><script>var a = "{U}a.jpg"</script>`)
	for i, want := range []int{7, 7, 2, 2} { // a tag with a single quote is always read
		asked = 0
		var out bytes.Buffer
		w := r.NewWriter(&out, sitePage)
		if _, err := w.Write([]byte(in)); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		if w.Replaced() != 6 {
			t.Errorf("pass %d: %d URLs replaced, not 6", i, w.Replaced())
		}
		_ = w.Close()
		if asked != want {
			t.Errorf("pass %d: %d URLs were resolved, not %d", i, asked, want)
		}
	}
}

// What the resolver answers after a change is what stands in all pages that begin
// after it, while others are being rewritten.
func TestMemoryForgets(t *testing.T) {
	var changes, version atomic.Uint64
	r := newTest(t, func(c *Config) {
		c.Changes = changes.Load
		c.Resolve = func(dst []byte, m Match) ([]byte, bool) {
			v := version.Load()
			if v%3 == 0 {
				return dst, false
			}
			return fmt.Appendf(dst, "https://cdn.test/%d/%s", v, m.Raw), true
		}
	})
	in := expand.Replace(strings.Repeat(`<img src="{U}a.jpg"><script>["{UJ}a.jpg"]</script>`, 3))
	var others sync.WaitGroup
	defer others.Wait()
	stop := make(chan struct{})
	defer close(stop)
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					rewriteIn(t, r, sitePage, in, whole(in), false)
				}
			}
		})
	}
	for v := range uint64(300) {
		version.Store(v)
		changes.Add(1)
		want := in
		if v%3 != 0 {
			want = strings.ReplaceAll(in, expand.Replace("{U}"), fmt.Sprintf("https://cdn.test/%d/", v))
			want = strings.ReplaceAll(want, expand.Replace("{UJ}"), fmt.Sprintf(`https:\/\/cdn.test\/%d\/`, v))
		}
		for range 3 {
			if got := rewriteIn(t, r, sitePage, in, whole(in), false); got != want {
				t.Fatalf("version %d:\n got  %s\n want %s", v, got, want)
			}
		}
	}
}

// However many tags there are and however large, no more than 16 MiB are kept.
func TestMemoryHasALimit(t *testing.T) {
	const limit = memorySets * setSize * maxPiece
	r := newTest(t, withMemory)
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range 4 * memorySets {
		page := fmt.Sprintf(`<img src="/wp-content/uploads/%d.jpg" alt="%s"><a data-x="{&quot;u&quot;:&quot;\/wp-content\/uploads\/%d.jpg&quot;}">`,
			i, strings.Repeat("x", rnd.IntN(maxPiece)), i)
		for range 2 {
			rewriteIn(t, r, sitePage, page, whole(page), false)
		}
	}
	size, kept := 0, 0
	for i := range r.memory.sets {
		for j := range r.memory.sets[i].pieces {
			if p := r.memory.sets[i].pieces[j].Load(); p != nil {
				kept++
				size += cap(p.text) + cap(p.out) + cap(p.repl) + cap(p.edits)*editSize
			}
		}
	}
	t.Logf("%d pieces, %d bytes of %d", kept, size, limit)
	if size > limit+limit/4 || kept < memorySets {
		t.Errorf("%d pieces of %d bytes are kept", kept, size)
	}
}
