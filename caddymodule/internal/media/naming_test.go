package media

import "testing"

func TestNamingType(t *testing.T) {
	for key, want := range map[string]string{
		"elementor/css/post-5.css": "text/css", "A.CSS": "text/css", "sprite.svg": "image/svg+xml",
		"course/story.html": "text/html", "x.htm": "text/html", "x.xhtml": "application/xhtml+xml", "x.xht": "application/xhtml+xml",
		"site.webmanifest": "application/manifest+json", "d/manifest.json": "application/manifest+json",
		"Manifest.JSON": "application/manifest+json", "live/master.m3u8": "application/vnd.apple.mpegurl",
		"old.m3u": "audio/mpegurl", "live/stream.mpd": "application/dash+xml",
		"app.js": "text/javascript", "part.mjs": "text/javascript", "part.CJS": "text/javascript",
		"a.jpg": "", "app.js.map": "", "app.json": "", "a.jpeg": "", "data.json": "", "manifest.json/x": "", "x.css.gz": "", "css": "", "": "",
		"d.css/a.png": "", "x.css/": "", "x.averylongextension": "", "feed.xml": "", "a.svgz": "",
	} {
		if got := NamingType(key); got != want {
			t.Errorf("NamingType(%q) = %q, want %q", key, got, want)
		}
	}
}

func BenchmarkNamingType(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NamingType("2026/11/holiday-photo-1024x768.jpg")
	}
}

func TestParsePlace(t *testing.T) {
	for word, p := range map[string]Place{
		"anywhere": PlaceAnywhere, "home": PlaceAtHome, "cors:woff2": PlaceWithCORS("woff2"),
		"cors:woff2,ttf,key": PlaceWithCORS("ttf") | PlaceWithCORS("KEY") | PlaceWithCORS("woff2"),
	} {
		if got, ok := ParsePlace(word); !ok || got != p || p.String() != word {
			t.Errorf("ParsePlace(%q) = %v, %v, want %v", word, got, ok, p)
		}
	}
	if p := PlaceWithCORS("ts") | PlaceWithCORS("exe"); p.String() != "home" || !p.AtHome() {
		t.Errorf("with an ending that is not known: %s", p)
	}
	if n := len(corsEndings); n >= 31 {
		t.Errorf("%d endings do not go into a Place", n)
	}
	for _, word := range []string{"", "Home", "cors", "cors:", "cors:exe", "cors:woff2,", "cors:woff2 ", "0"} {
		if got, ok := ParsePlace(word); ok || got != PlaceAtHome {
			t.Errorf("ParsePlace(%q) = %v, %v", word, got, ok)
		}
	}
}

func TestEnding(t *testing.T) {
	for path, want := range map[string]string{
		"2026/a.b.jpg": "jpg", "a": "", "a.b/c": "", "a.": "", ".a": "a", "a.webmanifest": "", "": "", "a.%6Apg": "%6Apg",
	} {
		if got := Ending(path); got != want {
			t.Errorf("%s ends with %q", path, got)
		}
	}
}
