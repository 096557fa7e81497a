package media

import (
	"bytes"
	"html"
	"slices"
)

// xmlrpcScanner finds names in an XML-RPC call: in a struct's members, as
// <member><name>name</name><value><string>a.jpg</string></value></member>. It
// looks at tags and what is between them, and knows no other XML.
type xmlrpcScanner struct {
	memberText
	inTag bool
	tag   []byte // of a tag, what stands after the <, as far as it matters
}

// maxTag is the longest tag that matters, and one byte more.
const maxTag = 16

func (s *xmlrpcScanner) scan(p []byte) {
	for len(p) > 0 {
		end := byte('<')
		if s.inTag {
			end = '>'
		}
		i := bytes.IndexByte(p, end)
		piece := p
		if i >= 0 {
			piece = p[:i]
		}
		if s.inTag {
			s.tag = append(s.tag, piece[:min(len(piece), maxTag-len(s.tag))]...)
		} else {
			s.keep(piece)
		}
		if i < 0 {
			return
		}
		if s.inTag {
			s.endTag()
		}
		s.inTag, s.tag = !s.inTag, s.tag[:0]
		p = p[i+1:]
	}
}

func (s *xmlrpcScanner) endTag() {
	switch string(s.tag) {
	case "name":
		s.capture, s.text, s.wanted = true, s.text[:0], false
	case "/name":
		s.wanted = s.capture && slices.Contains(s.members, s.plain())
		s.capture = false
	case "value", "string":
		if s.wanted {
			s.capture, s.text = true, s.text[:0]
		}
	case "/value", "/string":
		if name := s.plain(); s.wanted && s.capture && isFileName(name) {
			s.names.add(name)
		}
		s.capture, s.wanted = false, false
	default:
		s.capture, s.wanted = false, false
	}
}

func (s *xmlrpcScanner) plain() string {
	return html.UnescapeString(string(bytes.TrimSpace(s.text)))
}
