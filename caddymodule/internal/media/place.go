package media

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
