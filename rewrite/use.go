package rewrite

import (
	"bytes"
	"strings"
)

// use is how a browser fetches what a value names: at least as carefully as the
// place says, and more so if the name tells of more.
type use struct {
	least Place
	names naming
	// whole says that only a URL with a host is one: a script may put a base before a
	// path.
	whole bool
}

// naming is what the name of a file tells of the way in which it is fetched.
type naming uint8

const (
	// anyName: nothing.
	anyName naming = iota
	// scriptName: a script takes it up. What becomes a reference to an SVG document, a
	// text track, a worker or a frame is only from home; the rest a script fetches, which
	// takes CORS, or gives to an element that does.
	scriptName
	// loaderName: a lazy loader takes it up. Images and sheets it gives to an element that
	// fetches them from anywhere, but an SVG image may be inlined, which takes CORS; else it
	// is as with scriptName.
	loaderName
	// filmName: a video or audio element plays it; what it cannot play, such as a
	// playlist, a script takes up.
	filmName
	// linkName: a visitor follows the link if it is to a page, a picture, sound, video, PDF,
	// an archive or an office file; the rest a script fetches.
	linkName
	// elementName: with a fragment it names an element of another document, which
	// must be from home, else it is an image.
	elementName
)

// key tells u from other uses.
func (u use) key() uint16 {
	key := uint16(u.least)<<8 | uint16(u.names)
	if u.whole {
		key |= 1 << 15
	}
	return key
}

// text says it to people.
func (n naming) text() string {
	switch n {
	case scriptName:
		return "SVG, text track, script, document of any kind: at home; picture, css: this; else with CORS"
	case loaderName:
		return "text track, script, document of any kind: at home; picture, css: this; SVG and else with CORS"
	case filmName:
		return "sound, video, picture: this; text track, script, document: at home; else with CORS"
	case linkName:
		return "page, picture, sound, video, PDF, archive, office file: this; else with CORS"
	case elementName:
		return "with a fragment: at home"
	}
	return ""
}

// place is how what is at path, which is that of url or what follows the prefix in
// it, is fetched.
func (u use) place(path, url []byte) Place {
	if u.names == anyName {
		return u.least
	}
	return u.named(path, url)
}

// named is place where the name tells of more.
func (u use) named(path, url []byte) Place {
	kind := fileKindOf(path)
	switch u.names {
	case scriptName:
		if kind == drawing {
			return AtHome
		}
		return max(u.least, kind.takenUp())
	case loaderName:
		return max(u.least, kind.takenUp())
	case filmName:
		if kind != film {
			return max(u.least, kind.takenUp())
		}
	case linkName:
		if !kind.visited() {
			return max(u.least, WithCORS)
		}
	case elementName:
		if bytes.IndexByte(url, '#') >= 0 {
			return AtHome
		}
	}
	return u.least
}

// fileKind is what a file is by its extension.
type fileKind uint8

const (
	otherFile fileKind = iota
	picture
	drawing // SVG
	film    // sound or video
	sheet
	page  // what a visitor reads, and a frame shows
	text  // scripts, text tracks, and documents that are rather for scripts
	saved // archives and office files
)

var fileKinds = [...]string{
	picture: "apng avif bmp cur gif heic heif ico jfif jpe jpeg jpg jxl png tif tiff webp",
	drawing: "svg svgz",
	film:    "3g2 3gp aac aif aiff amr avi flac m4a m4v mkv mov mp3 mp4 mpeg mpg oga ogg ogv opus wav weba webm wma wmv",
	sheet:   "css",
	page:    "htm html pdf php shtm shtml xht xhtml",
	text:    "ass cjs dfxp js mjs sbv srt ssa sub ttml txt vtt xml xsl xslt",
	saved: "7z bz2 doc docm docx dot dotx odg odp ods odt pps ppsx ppt pptm pptx rar rtf tar tbz2 tgz txz xls xlsb xlsm" +
		" xlsx xz zip zst",
}

// takenUp is how what a script takes up of this kind is fetched at least.
func (k fileKind) takenUp() Place {
	switch k {
	case picture, sheet:
		return Anywhere
	case page, text:
		return AtHome
	}
	return WithCORS
}

// visited reports whether a visitor follows a link to a file of this kind.
func (k fileKind) visited() bool {
	switch k {
	case page, picture, drawing, film, saved:
		return true
	}
	return false
}

// extensions are those of all kinds, and kindOfExtension by their numbers which.
var extensions, kindOfExtension = func() (*names, []fileKind) {
	n, kinds := newNames(""), []fileKind{otherFile}
	for kind, list := range fileKinds {
		for ext := range strings.FieldsSeq(list) {
			n.add(ext)
			kinds = append(kinds, fileKind(kind))
		}
	}
	return n, kinds
}()

func fileKindOf(path []byte) fileKind {
	switch string(path[max(0, len(path)-len(".jpg")):]) { // most are these
	case ".jpg", ".png":
		return picture
	}
	return kindOfExtension[extensions.id(extension(path))]
}

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
	slots [nameSlots]uint8 // a number, or 0
	list  []string         // by number; the first is for none
}

// nameSlots is more than twice the number of names of the largest set, and a power
// of two.
const nameSlots = 512

// newNames is the set of the names between spaces in s.
func newNames(s string) *names {
	n := &names{list: []string{""}}
	for name := range strings.FieldsSeq(s) {
		n.add(name)
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
		h = (h + 1) % nameSlots
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
	for h := nameHash(name); n.slots[h] != 0; h = (h + 1) % nameSlots {
		if id := n.slots[h]; string(name) == n.list[id] || equalFold(name, n.list[id]) {
			return id
		}
	}
	return 0
}

// covers reports whether the name of this number, 0 for all others, is in list, in
// which "*" is any.
func (n *names) covers(list string, id int) bool {
	for name := range strings.FieldsSeq(list) {
		if name == "*" || id > 0 && name == n.list[id] {
			return true
		}
	}
	return false
}

func (n *names) has(name []byte) bool { return n.id(name) != 0 }

// nameHash tells names apart by their ends, middle and length, in any case.
func nameHash(name []byte) uint {
	const lowerCase = 0x20
	first, middle, last := uint(name[0]|lowerCase), uint(name[len(name)/2]|lowerCase), uint(name[len(name)-1]|lowerCase)
	return (first*37 + middle*11 + last*5 + uint(len(name))) % nameSlots
}
