package media

import (
	"bytes"
	"encoding/json"
	"slices"
)

// jsonScanner finds names in the members of a JSON object (RFC 8259), wherever
// they stand: before or after the file's content. Only what it must know of the
// syntax it reads.
type jsonScanner struct {
	memberText
	depth    int
	over     bool // the object has ended, or it is none
	isKey    bool // what comes is a member's name
	inString bool
	escaped  bool // a backslash came before
}

func (s *jsonScanner) scan(p []byte) {
	for len(p) > 0 && !s.over {
		if s.inString {
			p = s.readString(p)
		} else {
			p = s.readSyntax(p)
		}
	}
}

// readSyntax reads up to the next string.
func (s *jsonScanner) readSyntax(p []byte) []byte {
	for i, c := range p {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			if s.depth == 0 {
				s.over = true
				return nil
			}
			s.inString, s.text = true, s.text[:0]
			s.capture = s.depth == 1 && (s.isKey || s.wanted)
			return p[i+1:]
		case '{', '[':
			s.over = s.depth == 0 && c == '['
			s.depth++
			s.isKey, s.wanted = s.depth == 1, false
		case '}', ']':
			s.depth--
			s.over = s.depth <= 0
		case ',':
			s.isKey, s.wanted = s.depth == 1, false
		case ':':
			s.isKey = false
		default:
			s.over = s.depth == 0
		}
		if s.over {
			return nil
		}
	}
	return nil
}

// readString reads up to the end of the string. A quote that follows a
// backslash does not end it.
func (s *jsonScanner) readString(p []byte) []byte {
	if s.escaped {
		s.escaped = false
		s.keep(p[:1])
		p = p[1:]
	}
	quote := bytes.IndexByte(p, '"')
	for {
		end := quote
		if end < 0 {
			end = len(p)
		}
		i := bytes.IndexByte(p[:end], '\\')
		if i < 0 {
			s.keep(p[:end])
			break
		}
		next := min(i+2, len(p))
		s.keep(p[:next])
		s.escaped = i+1 == len(p)
		p = p[next:]
		switch {
		case quote < 0:
		case quote >= next:
			quote -= next
		default: // the quote was protected
			quote = bytes.IndexByte(p, '"')
		}
	}
	if quote < 0 {
		return nil
	}
	s.endString()
	return p[quote+1:]
}

func (s *jsonScanner) endString() {
	s.inString = false
	if s.depth != 1 {
		return
	}
	captured := s.capture
	s.capture = false
	switch {
	case s.isKey:
		s.wanted = captured && s.isMember()
	case s.wanted:
		s.wanted = false
		if name := s.plain(); captured && isFileName(name) {
			s.names.add(name)
		}
	}
}

// isMember reports whether text is one of the members that hold names.
func (s *jsonScanner) isMember() bool {
	if bytes.IndexByte(s.text, '\\') >= 0 {
		return slices.Contains(s.members, s.plain())
	}
	for _, member := range s.members {
		if string(s.text) == member {
			return true
		}
	}
	return false
}

// plain returns text without escapes, or "" if it is no string.
func (s *jsonScanner) plain() string {
	var plain string
	if json.Unmarshal(append(append([]byte{'"'}, s.text...), '"'), &plain) != nil {
		return ""
	}
	return plain
}
