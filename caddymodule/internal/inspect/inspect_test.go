package inspect

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

const (
	anywhere = media.PlaceAnywhere
	atHome   = media.PlaceAtHome
)

// cors is the place of a file that names others with these endings.
func cors(endings ...string) (place media.Place) {
	for _, e := range endings {
		place |= media.PlaceWithCORS(e)
	}
	return place
}

// Promise 4: "never for a file whose own URLs would then lead elsewhere".
func TestInspect(t *testing.T) {
	site, err := media.New(media.Config{Preset: "wordpress", DocRoot: "/srv/www"})
	if err != nil {
		t.Fatal(err)
	}
	class := func(key string) media.Class { return site.Class(key, nil) }
	for _, test := range []struct {
		name, key, text string
		want            media.Place
	}{
		{"fonts by the host's root", "omgf/fonts.css", "@font-face{src:url('/wp-content/uploads/omgf/x.woff2')}", atHome},
		{"the app's own picture", "omgf/fonts.css", ".x{background:url(/core/misc/x.svg)}", atHome},
		{"out of uploads", "omgf/fonts.css", ".x{background:url(../../themes/t/bg.png)}", atHome},
		{"Elementor", "elementor/css/post-5.css", `.e{background-image:url("https://site.test/wp-content/uploads/2026/11/a.jpg")}`, atHome},
		{"another host's media", "x.css", `.e{background-image:url("https://old.test/wp-content/uploads/a.jpg")}`, atHome},
		{"another host", "x.css", `@import "https://fonts.test/css?family=x";.x{background:url(//fonts.test/a.png)}`, anywhere},
		{"relative picture", "elementor/css/x.css", ".x{background:url(../../2026/a.jpg)}", anywhere},
		{"relative font", "omgf/fonts.css", "@font-face{src:local(x),url(x.woff2) format('woff2')}", cors("woff2")},
		{"several fonts and masks", "x.css", "@font-face{src:url(x.eot?#iefix),url(x.TTF)}.x{mask:url(a.svg);background:url(a.jpg)}", cors("eot", "ttf", "svg")},
		{"a font of an unknown kind", "x.css", "@font-face{src:url(x.font)}", atHome},
		{"font and filter", "x.css", "@font-face{src:url(x.woff2)}.x{filter:url(f.svg#x)}", atHome},
		{"own fragment", "x.css", ".x{fill:url(#g)}", anywhere},
		{"data", "x.css", ".x{background:url(data:image/svg+xml,%3Csvg%3E)}", anywhere},
		{"nothing", "x.css", "", anywhere},
		{"imported sheet", "x.css", "@import 'y.css';", atHome},
		{"private file", "x.css", ".x{background:url(woocommerce_uploads/a.jpg)}", atHome},
		{"ignored file", "x.css", ".x{background:url(a.php)}", atHome},
		{"an escaped name", "x.css", `#t{background:u\72l(/wp-content/x.png)}`, atHome},
		{"an escaped name, in capitals", "x.css", `@\00004DEDIA print{}`, atHome},
		{"escapes that hide nothing", "x.css", `.md\:w-1\/2,.\31 0{content:"\f101\A"}`, anywhere},
		{"UTF-16", "x.css", "\xff\xfe.\x00x\x00", atHome},

		{"picture", "a.svg", `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>`, anywhere},
		{"picture with a script", "a.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>document.title="x"</script></svg>`, anywhere},
		{"picture in a picture", "a.svg", `<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="b.png"/></svg>`, anywhere},
		{"picture by the host's root", "a.svg", `<svg><image xlink:href="/wp-content/uploads/b.png"/></svg>`, atHome},
		{"an entity", "a.svg", `<!DOCTYPE svg [<!ENTITY u "/theme/t.png">]><svg><image href="&u;"/></svg>`, atHome},
		{"own part", "a.svg", `<svg><use href="#x"/></svg>`, anywhere},

		{"page", "course/story.html", "<p>x", atHome},
		{"page of XML", "x.xhtml", "<html/>", atHome},
		{"manifest", "site.webmanifest", `{"start_url":"/","icons":[{"src":"a.png"}]}`, atHome},
		{"manifest by another name", "app/manifest.json", `{"icons":[{"src":"a.png"}]}`, anywhere},
		{"segments by the host's root", "v/a.m3u8", "#EXTM3U\n#EXTINF:9,\n/wp-content/uploads/v/1.ts\n", atHome},
		{"segments", "v/a.m3u8", "#EXTM3U\n#EXTINF:9,\n1.ts\n2.ts\n", cors("ts")},
		{"other playlists", "v/a.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n", atHome},
		{"script", "cache/a.js", `!function(){document.documentElement.className+=" js"}()`, anywhere},
		{"script that finds itself", "cache/a.js", `var base = document.currentScript.src`, atHome},
		{"module by name", "a.mjs", `x()`, atHome},
		{"script in UTF-16", "a.js", "\xff\xfex\x00(\x00", atHome},
		{"sheet in a script's sheet", "x.svg", `<svg xmlns:xlink="http://www.w3.org/1999/xlink"><script xlink:href="a.js"/></svg>`, atHome},
		{"DASH", "v/a.mpd", `<MPD><BaseURL>/wp-content/uploads/v/</BaseURL></MPD>`, atHome},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := inspect(site, test.key, strings.NewReader(test.text), class); got != test.want {
				t.Errorf("%s with %q: %s, want %s", test.key, test.text, got, test.want)
			}
		})
	}
	looks := 0
	counted := func(string) media.Class { looks++; return media.Public }
	if got := inspect(site, "x.m3u8", strings.NewReader(strings.Repeat("a/b/c/d.ts\n", maxNamedParts)), counted); got != atHome || looks > maxNamedParts/4 {
		t.Errorf("a file with too many names: %s after %d looks", got, looks)
	}
	if got := inspect(site, "x.css", iotest.ErrReader(errors.New("broken")), class); got != atHome {
		t.Errorf("a file that cannot be read: %s", got)
	}
}

// What was found is found anew if what it goes by is another thing.
func TestInspectorRules(t *testing.T) {
	base := media.Config{Preset: "wordpress", DocRoot: "/srv/www"}
	rules := func(change func(c *media.Config)) string {
		c := base
		change(&c)
		site, err := media.New(c)
		if err != nil {
			t.Fatal(err)
		}
		i, err := New(site, c)
		if err != nil {
			t.Fatal(err)
		}
		return i.Rules
	}
	same := rules(func(*media.Config) {})
	if got := rules(func(c *media.Config) { c.DocRoot = "/var/www" }); got != same {
		t.Error("another directory makes other rules")
	}
	seen := map[string]bool{same: true}
	for name, change := range map[string]func(c *media.Config){
		"private":   func(c *media.Config) { c.Private = []string{"/secret/"} },
		"public":    func(c *media.Config) { c.Public = []string{"/secret/"} },
		"ignore":    func(c *media.Config) { c.Ignore = []string{"/secret/"} },
		"base path": func(c *media.Config) { c.BasePath = "/blog" },
		"root":      func(c *media.Config) { c.Roots = []media.Root{{Name: "x", Dir: "/srv/x", URL: "/x/"}} },
		"root's URL": func(c *media.Config) {
			c.Roots = []media.Root{{Name: "x", Dir: "/srv/x", URL: "/y/"}}
		},
		"alias": func(c *media.Config) { c.Aliases = []media.Alias{{URL: "/files/"}} },
	} {
		if got := rules(change); seen[got] {
			t.Errorf("%s: the same rules", name)
		} else {
			seen[got] = true
		}
	}
}
