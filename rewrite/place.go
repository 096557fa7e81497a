package rewrite

// Place says how a browser fetches what stands at a URL, and so from where else
// it may come without making a difference. Of two places the greater one asks for
// more.
type Place uint8

// The places of URLs.
const (
	// Anywhere: fetched in no-cors mode or visited (Fetch standard, 2.2.5), as
	// img, video, sheets and classic scripts without a crossorigin attribute, CSS
	// images and links.
	Anywhere Place = iota
	// WithCORS: only from where the answer allows the page's origin to read it
	// (Fetch standard, 3.3), as web fonts and all that has a crossorigin
	// attribute.
	WithCORS
	// AtHome: only from the page's own origin, as workers, modules, SVG references
	// to another document, text tracks without crossorigin, and download links.
	AtHome
)

// String is the name of the place in messages.
func (p Place) String() string {
	switch p {
	case Anywhere:
		return "anywhere"
	case WithCORS:
		return "with CORS"
	}
	return "at home"
}
