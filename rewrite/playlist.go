package rewrite

import "bytes"

// playlistScanner finds the URLs of a playlist of HLS (RFC 8216, 4): lines that
// are neither empty nor begin with '#', and the attributes of tags whose name ends
// with URI.
type playlistScanner struct {
	w *Writer
	// long says that a line over the limit is being passed over.
	long bool
}

// scan works as cssScanner.scan does.
func (s *playlistScanner) scan(src []byte, pos int, f *finder, final, advance bool) int {
	for pos < len(src) {
		n := f.next(src, pos)
		switch {
		case n < 0 && final:
			return len(src)
		case n < 0 && !advance:
			return pos
		}
		end := len(src)
		if i := bytes.IndexByte(src[pos:], '\n'); i >= 0 {
			end = pos + i
		} else if len(src)-pos > s.w.rw.maxToken {
			s.long = true
			return len(src)
		} else if !final {
			return pos
		}
		if !s.long && end-pos <= s.w.rw.maxToken {
			s.line(src[pos:end], pos)
		}
		s.long = false
		pos = min(end+1, len(src))
	}
	return pos
}

func (s *playlistScanner) line(line []byte, off int) {
	if len(line) == 0 || line[0] != '#' {
		s.url(line, off)
		return
	}
	if !bytes.HasPrefix(line, []byte("#EXT")) {
		return
	}
	i := bytes.IndexByte(line, ':')
	for i >= 0 && i < len(line) {
		name := i + 1
		eq := bytes.IndexByte(line[name:], '=')
		if eq < 0 {
			return
		}
		value := name + eq + 1
		if value == len(line) || line[value] != '"' {
			i = indexFrom(line, value, ',')
			continue
		}
		end := indexFrom(line, value+1, '"')
		if end < 0 {
			return
		}
		if isURIAttribute(bytes.TrimSpace(line[name : name+eq])) {
			s.url(line[value+1:end], off+value+1)
		}
		i = indexFrom(line, end, ',')
	}
}

// isURIAttribute reports whether the attribute called name is a URL.
func isURIAttribute(name []byte) bool {
	return bytes.HasSuffix(name, []byte("URI")) || string(name) == "X-ASSET-LIST"
}

// indexFrom is the position of c in s from i on, or -1.
func indexFrom(s []byte, i int, c byte) int {
	if j := bytes.IndexByte(s[i:], c); j >= 0 {
		return i + j
	}
	return -1
}

func (s *playlistScanner) url(text []byte, off int) {
	s.w.use = playlistUse
	s.w.value(text, off, oneURL, plain, 0)
}
