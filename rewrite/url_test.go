package rewrite

import "testing"

// TestPlainPath: a path that is taken for plain is one that scanPath and decodePath
// leave as it is, whatever byte or pair of bytes stands anywhere in it. The names that
// apps give to uploads are plain.
func TestPlainPath(t *testing.T) {
	for _, plain := range []string{"2026/11/photo-1024x768.jpg", "2026/11/IMG_0815.JPG", "sites/default/files/Report_2.pdf", "12345678", "azAZ09-_"} {
		if !isPlainPath([]byte(plain)) {
			t.Errorf("%s is not plain", plain)
		}
	}
	w := newWriter(nil)
	check := func(path []byte) {
		if !isPlainPath(path) {
			return
		}
		rest, bits := scanPath(path)
		decoded, ok := w.decodePath(rest, bits)
		if len(rest) != len(path) || !ok || string(decoded) != string(path) || bits&(unsafeURL|varies|isEscape) != 0 {
			t.Errorf("%q is taken for plain", path)
		}
	}
	const name = "2026/11/photo-1024.jpg"
	for length := range len(name) + 1 {
		for at := range length {
			for c := range 256 {
				path := []byte(name[:length])
				path[at] = byte(c)
				check(path)
				if at+1 == length {
					continue
				}
				for _, next := range []byte("./%?#&\\ \x80a") {
					path[at+1] = next
					check(path)
				}
			}
		}
	}
}
