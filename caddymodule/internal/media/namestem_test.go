package media

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// TestNameStem: names in one row could collide in some app, and names of
// different rows could not. (A row's first word is its stem.)
func TestNameStem(t *testing.T) {
	for _, row := range [][]string{
		// What facts of the apps tell: sizes, edits, counters.
		{"photo", "photo.jpg", "Photo.JPG", "photo-1.jpg", "photo-12.jpg", "photo-1-1.jpg", "photo-scaled.jpg", "photo-rotated.jpg",
			"photo-150x150.jpg", "photo-1536x2048.png", "photo-e1699999999.jpg", "photo-e1699999999999-300x200.jpg", "photo-scaled-1.jpg",
			"photo-150x150-1.jpg", "photo (1).jpg", "photo 2.jpg", "photo_0.jpg", "photo_3.jpg", "-photo-.jpg", "photo.jpg.webp", "photo-1.jpg.avif",
			"photo.pdf", "photo-pdf.jpg", "photo-pdf-150x150.jpg", "photo", "photo.", ".photo.jpg", "PHOTO~.jpg", "photo-10000.jpg"},
		// Paths.
		{"x", "x.jpg", "local-images:/x.jpg", "local-images:/a/b/x.jpg", `C:\fakepath\x.jpg`, "../../x.jpg", "x-1.jpg"},
		// WordPress: "Été photo (1)+x&y.JPG" becomes "Ete-photo-1xy.jpg".
		{"etephoto1xy", "Été photo (1)+x&y.JPG", "Ete-photo-1xy.jpg", "E\u0301te\u0301 photo (1)+x&y.jpg", "Ete photo 1xy.jpg", "\xc9t\xe9 photo (1)+x&y.jpg"},
		// Umlauts in each spelling.
		{"ubergrosarmchen", "Übergroßärmchen.png", "Uebergrossaermchen.png", "Ubergrosarmchen.png", "UBERGROSSARMCHEN.PNG"},
		{"smorebrodpan", "Smørebrød på én.jpg", "smorebrod-pa-en.jpg", "smoerebroed-paa-en.jpg"},
		{"thor", "Þór.jpg", "thor.jpg", "THOR.jpg"},
		{"dindic", "Đinđić.jpg", "Djindjic.jpg", "dindic.jpg"},
		{"colecio", "col·lecció.jpg", "colleccio.jpg"},
		{"ijzutfen", "Ĳzutfen.jpg", "ijzutfen.jpg"},
		// Percent signs: WordPress and Joomla drop them.
		{"a20b", "a%20b.jpg", "a20b.jpg"},
		{"10", "10%.jpg", "10.jpg"},
		// Kinds of spaces, and of other writing.
		{"ab", "a b.jpg", "a-b.jpg", "a_b.jpg", "a  - b.jpg", "a\u00a0b.jpg", "a+b.jpg", "a\tb.jpg", "a’b.jpg", "a.b.jpg", "a\x00b.jpg", "a😀b.jpg"},
		{"фото", "фото.jpg", "ФОТО.JPG", "фото-1.jpg"},
		{"еи", "ёй.jpg", "е\u0308и\u0306.jpg"},
		{unnamed, "😀.jpg", "😀-1.jpg", "😀-150x150.jpg"},
		{unnamed, "@.jpg", "@-1.jpg", "^-150x150.jpg"},
		{"ab", "a@b.jpg", "ab@.jpg", "ab-1@.jpg"},
		{"写真", "写真.png", "写真-300x200.png"},
		{"響", "響.jpg", "\ufa69.jpg", "\ufa69-1.jpg"}, // a compatibility ideograph, which NFC replaces
		{"\u1112\u1161\u11ab", "\ud55c.jpg", "\u1112\u1161\u11ab-1.jpg"},
		{"x", "x-e\u03011699999999999.jpg", "x-é1699999999999.jpg", "x-e1699999999999.jpg"},
		{unnamed, "\u0301.jpg", "\u0301-1.jpg"},
		// Cameras and phones: not counters.
		{"img1234", "IMG_1234.JPG", "img1234.jpg"},
		{"img1235", "IMG_1235.JPG"},
		{"dsc00012", "DSC00012.JPG", "dsc-00012.jpg"},
		{"img0001", "img-0001.jpg", "IMG 0001.jpg"},
		{"20241121101112", "20241121_101112.jpg", "2024-11-21 101112.jpg"},
		{"screnshot20241121101112", "Screenshot 2024-11-21 101112.png"},
		{"a1", "a1.jpg", "a(1).jpg", "a1-1.jpg"},
		{"a2x", "a@2x.png"},
		{"atar", "a.tar.gz"},
		// Nothing is left of the name.
		{unnamed, "", "???.jpg", ".jpg", "-.jpg", "/", "unnamed-file.jpg", "unnamed-file-1.jpg", "....", "png"},
		// An extension that is none.
		{"mr", "Mr. Smith", "mr.Smith"},
		// No more than a name.
		{"150x150", "150x150.jpg", "-150x150.jpg"},
		{"scaled", "scaled.jpg"},
		{"1", "1.jpg", "-1.jpg", "1-1.jpg"},
	} {
		for _, name := range row[1:] {
			if got := NameStem(name); got != row[0] {
				t.Errorf("NameStem(%q) = %q, want %q", name, got, row[0])
			}
		}
	}
}

// sanitizeFileName is what WordPress makes of a name, in an English or German
// site, to compare with: the order of its steps matters.
func sanitizeFileName(name string, german bool) string {
	if german {
		name = strings.NewReplacer("Ä", "Ae", "ä", "ae", "Ö", "Oe", "ö", "oe", "Ü", "Ue", "ü", "ue", "ß", "ss").Replace(name)
	}
	name = strings.NewReplacer("ß", "s", "Æ", "AE", "æ", "ae", "Ø", "O", "ø", "o", "Œ", "OE", "œ", "oe", "Đ", "D", "đ", "d", "ł", "l").Replace(name)
	var plain strings.Builder
	latin := false
	for _, r := range norm.NFD.String(name) {
		mark := unicode.Is(unicode.Mn, r)
		if !mark {
			latin = unicode.Is(unicode.Latin, r)
		}
		if !mark || !latin {
			plain.WriteRune(r)
		}
	}
	name = strings.ReplaceAll(norm.NFC.String(plain.String()), "\u00a0", " ")
	name = regexp.MustCompile("[?\\[\\]/\\\\=<>:;,'\"&$#*()|~`!{}%+’«»”“\x00]").ReplaceAllString(name, "")
	name = regexp.MustCompile(`[\r\n\t -]+`).ReplaceAllString(name, "-")
	return strings.Trim(name, ".-_")
}

// FuzzNameStem: what WordPress stores for an upload, and what it makes of that,
// has the stem of the name that was sent.
func FuzzNameStem(f *testing.F) {
	for _, name := range []string{
		"photo.jpg", "Été photo (1)+x&y.JPG", "a%20b.png", "Größe-150x150.jpg", "a--1-.jpg", "фото.webp", "a.tar.gz", "e\u0301.gif", "..a..", "x-e1699999999999.jpg",
	} {
		f.Add(name, uint16(1))
	}
	f.Fuzz(func(t *testing.T, name string, n uint16) {
		stem := NameStem(name)
		if stem == "" || len(stem) > 2*maxSegment || strings.ContainsAny(stem, ".-_/ \x00") {
			t.Fatalf("NameStem(%q) = %q", name, stem)
		}
		if again := NameStem(stem + ".jpg"); again != stem && !assets[stem] && len(stem) <= maxSegment-len(".jpg") {
			t.Errorf("NameStem(%q) = %q, of that it is %q", name, stem, again)
		}
		if stem == unnamed || !utf8.ValidString(name) || len(name) > 200 || strings.ContainsAny(name, `/\`) || strings.ContainsFunc(name, unusual) {
			return
		}
		for _, german := range []bool{false, true} {
			stored := sanitizeFileName(name, german)
			if stored == "" || len(stored) > 200 || assets[strings.ToLower(stored)] {
				continue
			}
			ext := path.Ext(stored)
			if ext == stored {
				ext = ""
			}
			base := strings.TrimSuffix(stored, ext)
			for _, kin := range []string{
				stored, base + "-" + strconv.Itoa(int(n)+1) + strings.ToLower(ext), base + "-scaled" + ext,
				base + "-" + strconv.Itoa(int(n)) + "x" + strconv.Itoa(int(n)) + ext, base + "-e1699999999999" + ext,
			} {
				if got := NameStem(kin); got != stem {
					t.Errorf("NameStem(%q) = %q, but %q is stored as that, and has %q", kin, got, name, stem)
				}
			}
		}
	})
}

// unusual reports letters that WordPress replaces and the copy of its function
// in this test does not; and the long s, which is an s in capitals.
func unusual(r rune) bool {
	return spelledOut(unicode.ToLower(r)) != "" && !strings.ContainsRune("ßÆæØøŒœĐđł", r)
}

func BenchmarkNameStem(b *testing.B) {
	for _, name := range []string{"photo-150x150.jpg", "Été photo (1)+x&y.JPG"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				NameStem(name)
			}
		})
	}
}
