package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// inspection is the version of the rules below: what was found by older ones is
// found anew.
const inspection = 4

// New returns what looks through the files of a site that may name others. It goes
// by all of the configuration that says what is media, under which URL and key, and
// who may read it; not by the public URL, for below any of them files lie by their
// keys.
func New(site *media.Site, config media.Config) (offload.Inspector, error) {
	roots := make([]media.Root, len(config.Roots))
	for i, root := range config.Roots {
		roots[i] = media.Root{Name: root.Name, URL: root.URL} // each server may have its own directories
	}
	text, err := json.Marshal([]any{
		inspection, config.Preset, config.BasePath, config.Subsites, roots, config.Aliases,
		config.Public, config.Private, config.Ignore,
	})
	if err != nil {
		return offload.Inspector{}, fmt.Errorf("identifying what files may name: %w", err)
	}
	sum := sha256.Sum256(text)
	return offload.Inspector{
		Rules: hex.EncodeToString(sum[:4]),
		Inspect: func(key string, body io.Reader, class func(key string) media.Class) media.Place {
			return inspect(site, key, body, class)
		},
	}, nil
}

// inspect returns from where the file of a key may be used, by the URLs in it.
//
// (Promise 4: "never for a file whose own URLs would then lead elsewhere".)
func inspect(site *media.Site, key string, body io.Reader, class func(key string) media.Class) media.Place {
	contentType := media.NamingType(key)
	switch {
	case media.IsDocument(contentType): // its scripts and frames are of its own origin, whatever it names
		return media.PlaceAtHome
	case media.IsScript(contentType):
		return inspectScript(key, body)
	}
	place, left := media.PlaceAnywhere, maxNamedParts
	signs := newHidden(contentType, body)
	err := rewrite.References(contentType, signs, func(url []byte, stands rewrite.Place) bool {
		named, file := site.Names(key, url)
		left -= 1 + strings.Count(file, "/")
		switch {
		case named == media.NamedAtHome, left < 0, named == media.NamedFile && !mayBeNamed(file, class):
			place |= media.PlaceAtHome
		case named == media.NamedFile:
			place |= placeFor(file, stands)
		}
		return !place.AtHome()
	})
	if err != nil || signs.found || place.AtHome() {
		return media.PlaceAtHome // of what cannot be read nothing is known
	}
	return place
}

// placeFor is the place of a file that names the file of a key in a place.
func placeFor(key string, stands rewrite.Place) media.Place {
	switch stands {
	case rewrite.Anywhere:
		return media.PlaceAnywhere
	case rewrite.WithCORS:
		return media.PlaceWithCORS(media.Ending(key))
	}
	return media.PlaceAtHome
}

// maxNamedParts is how many parts the keys may have together that a file names: for
// the class of each one the directories on the way to it are looked at.
const maxNamedParts = 1 << 17

// mayBeNamed reports whether a file may be named by one that is used from the
// public URL: it is there too, and none of those that are looked through
// themselves, or what they name would have to be looked for here as well. (An SVG
// picture names nothing that is loaded where it stands as a picture, and in other
// places it is to be used at home.)
func mayBeNamed(key string, class func(key string) media.Class) bool {
	t := media.NamingType(key)
	return (t == "" || t == media.SVG) && class(key) == media.Public
}

// inspectScript is inspect for a script. One that is a module by its name is known by
// its URL, and fetches others by that.
func inspectScript(key string, body io.Reader) media.Place {
	if strings.EqualFold(path.Ext(key), ".mjs") {
		return media.PlaceAtHome
	}
	if found, err := goesByItsURL(body); found || err != nil {
		return media.PlaceAtHome
	}
	return media.PlaceAnywhere
}
