package media

import (
	"iter"
	"strings"
)

// Place says from where a file can be used by the site's pages without making a
// difference, by what is in it. It is a set of what is asked for, so that of two
// places both are asked for by p|q.
type Place uint32

const (
	// PlaceAnywhere: nothing is asked for. The file names no other, or only such as
	// are found from the public URL as well.
	PlaceAnywhere Place = 0
	// PlaceAtHome: from the public URL, what the file names would be another file or
	// none.
	PlaceAtHome Place = 1 << 31
	// The others: the file names some with one of corsEndings that are fetched with
	// CORS.
)

// corsEndings are the endings of what a file may name that is fetched with CORS: the
// web fonts and masks of a style sheet, the parts of a stream. Each is a bit of a
// Place, which is kept in memory for each file.
var corsEndings = [...]string{
	"woff2", "woff", "ttf", "otf", "ttc", "eot", "svg",
	"png", "webp", "avif", "gif", "jpg", "jpeg",
	"ts", "m4s", "mp4", "m4a", "m4v", "cmfv", "cmfa", "cmft", "aac", "mp3", "webm", "vtt", "srt", "key",
}

// PlaceWithCORS is the place of a file that names another one with this ending, which
// is fetched with CORS. It is PlaceAtHome for an ending that none of these has.
func PlaceWithCORS(ending string) Place {
	for i, e := range corsEndings {
		if strings.EqualFold(e, ending) {
			return 1 << i
		}
	}
	return PlaceAtHome
}

// AtHome reports whether the file is to be used at home.
func (p Place) AtHome() bool { return p&PlaceAtHome != 0 }

// CORSEndings are the endings of what the file names that is fetched with CORS.
func (p Place) CORSEndings() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, e := range corsEndings {
			if p>>i&1 != 0 && !yield(e) {
				return
			}
		}
	}
}

// The words for places as they stand in marks and in objects' metadata.
const (
	wordAnywhere = "anywhere"
	wordHome     = "home"
	wordCORS     = "cors:" // and the endings
)

// String returns the word for a place that ParsePlace reads.
func (p Place) String() string {
	switch {
	case p.AtHome():
		return wordHome
	case p == PlaceAnywhere:
		return wordAnywhere
	}
	var endings []string
	for e := range p.CORSEndings() {
		endings = append(endings, e)
	}
	return wordCORS + strings.Join(endings, ",")
}

// ParsePlace reads the word for a place. What it does not know is to be used at
// home.
func ParsePlace(word string) (p Place, ok bool) {
	switch word {
	case wordAnywhere:
		return PlaceAnywhere, true
	case wordHome:
		return PlaceAtHome, true
	}
	endings, ok := strings.CutPrefix(word, wordCORS)
	if !ok {
		return PlaceAtHome, false
	}
	for e := range strings.SplitSeq(endings, ",") {
		p |= PlaceWithCORS(e)
	}
	if p.AtHome() {
		return PlaceAtHome, false
	}
	return p, true
}

// MaxEnding is the size in bytes of the longest ending.
const MaxEnding = 8

// Ending is what follows the last dot of a path's last segment, if it is short; ""
// else.
func Ending[T string | []byte](path T) T {
	for i := len(path) - 1; i >= max(0, len(path)-1-MaxEnding); i-- {
		switch path[i] {
		case '.':
			return path[i+1:]
		case '/':
			return path[:0]
		}
	}
	return path[:0]
}
