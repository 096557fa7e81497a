package media

// accents are ranges of accented Latin letters, each with the ASCII letter for
// every code point. A dot: there is none.
var accents = [...]struct {
	first   rune
	letters string
}{
	{0x00c0, // Latin-1 Supplement, Latin Extended-A
		"aaaaaaaceeeeiiiidnooooo.ouuuuy.saaaaaaaceeeeiiiidnooooo.ouuuuy.y" +
			"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii..jjkkklllllll" +
			"lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"},
	{0x0180, // Latin Extended-B
		"................................oo.............uu..............." +
			".............aaiioouuuuuuuuuu.aaaaaa..ggkkoooo..j...gg..nnaaaaoo" +
			"aaaaeeeeiiiioooorrrruuuusstt..hh......aaeeooooooooyy............"},
	{0x1e00, // Latin Extended Additional
		"aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm" +
			"mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv" +
			"wwwwwwwwwwxxxxyyzzzzzzhtwy.s....aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee" +
			"eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy......"},
}

// unaccented returns the letters without accents that stand for a lower-case
// letter with one, or "". Of several spellings it is the one that appendBare
// makes of all.
func unaccented(r rune) string {
	for i := range accents {
		at := int(r - accents[i].first)
		if at < 0 || at >= len(accents[i].letters) {
			continue
		}
		if letter := accents[i].letters[at : at+1]; letter != "." {
			return letter
		}
	}
	switch r {
	case 'þ':
		return "th"
	case 'ĳ':
		return "ij"
	case 'ª':
		return "a"
	case 'º':
		return "o"
	case '€':
		return "e"
	case 'й': // the Cyrillic letters that macOS sends in two parts
		return "и"
	case 'ё':
		return "е"
	case 'ї':
		return "і"
	case 'ў':
		return "у"
	}
	return ""
}
