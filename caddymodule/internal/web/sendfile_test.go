package web

import (
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// FuzzNamedKeys: whatever a header says, it means keys below a media root or
// nothing.
func FuzzNamedKeys(f *testing.F) {
	site, err := media.New(media.Config{Preset: "joomla", DocRoot: "/srv/www", BasePath: "/j"})
	if err != nil {
		f.Fatal(err)
	}
	h := &Handler{site: site, config: Config{BasePath: "/j"}}
	for _, value := range []string{"/images/a%20b.jpg", "/srv/www/files/x/../y", "/j/images/%2e%2e/x", "images/a?b"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, encoded := range []bool{true, false} {
			for _, key := range h.namedKeys(value, encoded) {
				if _, _, ok := site.Locate(key); !ok || media.CheckKey(key) != nil {
					t.Errorf("%q names the key %q", value, key)
				}
			}
		}
	})
}
