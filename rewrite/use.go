package rewrite

import "bytes"

// use is how a browser fetches what a value names: at least as carefully as the
// place says, and more so if the name tells of more.
type use struct {
	least Place
	names naming
}

// naming is what the name of a file tells of the way in which it is fetched.
type naming uint8

const (
	// anyName: nothing.
	anyName naming = iota
	// scriptName: a script takes it up. Images, sound, video and sheets it gives
	// to an element that fetches them from anywhere; scripts and documents may
	// become workers and frames, which are only from home; the rest a script can
	// only fetch, which takes CORS, and so an SVG image that is to be inlined.
	scriptName
	// frameName: it is embedded. Documents and what may be one reach, and are
	// reached by, the page that embeds them, if they are from home; pictures,
	// sound, video and PDF do not.
	frameName
	// elementName: with a fragment it names an element of another document, which
	// must be from home, else it is an image.
	elementName
)

// scriptUse is of the strings in scripts, JSON and data attributes.
var scriptUse = use{names: scriptName}

// place is how what is at path, which tail (a query, a fragment) follows, is
// fetched.
func (u use) place(path, tail []byte) Place {
	switch u.names {
	case scriptName:
		return max(u.least, scriptPlace(path))
	case frameName:
		if !isFlat(extension(path)) {
			return AtHome
		}
	case elementName:
		if bytes.IndexByte(tail, '#') >= 0 {
			return AtHome
		}
	}
	return u.least
}

// scriptPlace is how a script is expected to fetch the file at path.
func scriptPlace(path []byte) Place {
	ext := extension(path)
	switch {
	case equalFold(ext, "pdf"), equalFold(ext, "svg"):
		return WithCORS
	case isFlat(ext), equalFold(ext, "css"):
		return Anywhere
	case documents.has(ext):
		return AtHome
	}
	return WithCORS
}

// isFlat reports whether a file of this extension is a picture, sound, a video or
// a PDF: nothing that reaches the page it is shown in.
func isFlat(ext []byte) bool { return flat.has(ext) }

var (
	flat = newNames("apng avif bmp cur gif heic heif ico jfif jpe jpeg jpg jxl png tif tiff webp" +
		" aac flac m4a m4v mov mp3 mp4 mpg mpeg oga ogg ogv opus wav weba webm pdf")
	documents = newNames("htm html js mjs cjs php shtm shtml xht xhtml")
)

// extension is what follows the last dot of the last segment of path.
func extension(path []byte) []byte {
	for i := len(path) - 1; i >= 0 && path[i] != '/'; i-- {
		if path[i] == '.' {
			return path[i+1:]
		}
	}
	return nil
}

// names is a set of names, which it finds in any case, each with a number from 1
// on.
type names struct {
	slots [512]uint8 // a number, or 0
	list  []string   // by number; the first is for none
}

// newNames is the set of the names between spaces in s.
func newNames(s string) *names {
	n := &names{list: []string{""}}
	for _, name := range bytes.Fields([]byte(s)) {
		n.add(string(name))
	}
	return n
}

// add is the number of name, which it adds if it is new.
func (n *names) add(name string) uint8 {
	if id := n.id([]byte(name)); id != 0 {
		return id
	}
	id := uint8(len(n.list))
	h := nameHash([]byte(name))
	for n.slots[h] != 0 {
		h = (h + 1) % len(n.slots)
	}
	n.slots[h] = id
	n.list = append(n.list, name)
	return id
}

// id is the number of name, 0 if it is none of the set.
func (n *names) id(name []byte) uint8 {
	if len(name) == 0 {
		return 0
	}
	for h := nameHash(name); n.slots[h] != 0; h = (h + 1) % len(n.slots) {
		if id := n.slots[h]; equalFold(name, n.list[id]) {
			return id
		}
	}
	return 0
}

func (n *names) has(name []byte) bool { return n.id(name) != 0 }

// nameHash tells names apart by their ends, middle and length.
func nameHash(name []byte) int {
	first, middle, last := lower(name[0]), lower(name[len(name)/2]), lower(name[len(name)-1])
	return (int(first)*37 + int(middle)*11 + int(last)*5 + len(name)) & 511
}
