package media

import "slices"

// Place says from where a file can be used by the site's pages without making a
// difference, by what is in it. Of two places the greater one asks for more. (The
// values are those of the package rewrite, which says the same of where a URL
// stands in a page.)
type Place uint8

// The places of files.
const (
	// PlaceAnywhere: it names no other file, or only such as are found from the
	// public URL as well.
	PlaceAnywhere Place = iota
	// PlaceWithCORS: the same, but what it names is fetched with CORS, as the web
	// fonts of a style sheet.
	PlaceWithCORS
	// PlaceAtHome: from the public URL, what it names would be another file or
	// none.
	PlaceAtHome
)

// placeWords are the places as they stand in marks and in objects' metadata.
var placeWords = [...]string{PlaceAnywhere: "anywhere", PlaceWithCORS: "cors", PlaceAtHome: "home"}

// String returns the word for a place that ParsePlace reads.
func (p Place) String() string { return placeWords[p] }

// ParsePlace reads the word for a place. What it does not know is to be used at
// home.
func ParsePlace(word string) (p Place, ok bool) {
	if i := slices.Index(placeWords[:], word); i >= 0 {
		return Place(i), true
	}
	return PlaceAtHome, false
}
