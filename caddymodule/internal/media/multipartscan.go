package media

import (
	"bytes"
	"slices"
	"strings"
)

const (
	// maxPartHeader is the longest header of a part that is read.
	maxPartHeader = 8 << 10
	// maxFieldValue is the longest value of a form field that is read. It is
	// longer than a name, for the path before it.
	maxFieldValue = maxKey
	// maxEarlyNames is how many names in form fields are kept until a file
	// comes.
	maxEarlyNames = 4
)

// multipartScanner finds names in a multipart body: in the header of each part,
// and in form fields of a request that also brings a file. Parts are told apart
// as PHP does it: a line ends with LF, a CR before it does not matter, and what
// follows the closing delimiter is read like all else.
type multipartScanner struct {
	names  *NameScanner
	fields []string // the form fields that hold names

	delimiter []byte // "\n--boundary"
	matched   int    // how much of it ended the last piece
	state     partState
	padded    bool // only spaces so far on the delimiter's line

	header    []byte
	lineStart int // of the last line in header

	capture bool // value is being read
	value   []byte

	early     []string // names in fields before the first file
	withNames bool     // a field held a name
	withFile  bool     // a part was a file
}

type partState uint8

const (
	inContent   partState = iota // before the first part, too
	inDelimiter                  // on the rest of its line
	inHeader
)

func newMultipartScanner(boundary string, fields []string, names *NameScanner) *multipartScanner {
	return &multipartScanner{
		names: names, fields: fields,
		delimiter: []byte("\n--" + boundary),
		matched:   1, // the first delimiter begins the body
	}
}

func (s *multipartScanner) scan(piece []byte) {
	for len(piece) > 0 {
		switch s.state {
		case inContent:
			piece = s.skipContent(piece)
		case inDelimiter:
			piece = s.endDelimiter(piece)
		case inHeader:
			piece = s.readHeader(piece)
		}
	}
}

// skipContent returns what follows the next delimiter. A line feed stands only
// at a delimiter's beginning, so where a match breaks off none can have begun
// within it.
func (s *multipartScanner) skipContent(p []byte) []byte {
	for s.matched > 0 && len(p) > 0 {
		if p[0] != s.delimiter[s.matched] {
			s.keep(s.delimiter[:s.matched])
			s.matched = 0
			break
		}
		s.matched++
		p = p[1:]
		if s.matched == len(s.delimiter) {
			return s.endContent(p)
		}
	}
	if i := bytes.Index(p, s.delimiter); i >= 0 {
		s.keep(p[:i])
		return s.endContent(p[i+len(s.delimiter):])
	}
	if s.matched > 0 {
		return nil
	}
	end := len(p)
	if i := bytes.LastIndexByte(p[max(0, len(p)-len(s.delimiter)+1):], '\n'); i >= 0 {
		i += max(0, len(p)-len(s.delimiter)+1)
		if bytes.HasPrefix(s.delimiter, p[i:]) {
			s.matched, end = len(p)-i, i
		}
	}
	s.keep(p[:end])
	return nil
}

// keep adds to the value of a form field that is being read.
func (s *multipartScanner) keep(content []byte) {
	if !s.capture {
		return
	}
	s.value = append(s.value, content[:min(len(content), maxFieldValue+2-len(s.value))]...)
}

// endContent ends a part.
func (s *multipartScanner) endContent(rest []byte) []byte {
	if s.capture {
		s.capture = false
		s.fieldName(string(bytes.TrimSuffix(s.value, []byte{'\r'})))
	}
	s.matched, s.state, s.padded = 0, inDelimiter, true
	return rest
}

// endDelimiter reads the rest of a delimiter's line. Unless that is empty it was
// another line, or the closing delimiter.
func (s *multipartScanner) endDelimiter(p []byte) []byte {
	i := bytes.IndexByte(p, '\n')
	line := p
	if i >= 0 {
		line = p[:i]
	}
	s.padded = s.padded && len(bytes.Trim(line, " \t\r")) == 0
	if i < 0 {
		return nil
	}
	if s.padded {
		s.state, s.header, s.lineStart = inHeader, s.header[:0], 0
	} else {
		s.state, s.matched = inContent, 1
	}
	return p[i+1:]
}

// readHeader reads lines up to an empty one.
func (s *multipartScanner) readHeader(p []byte) []byte {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		line := p[:i+1]
		if i < 0 {
			line = p
		}
		if len(s.header)+len(line) > maxPartHeader {
			s.names.over = true
			s.state, s.matched = inContent, 0
			return p
		}
		s.header = append(s.header, line...)
		p = p[len(line):]
		if i < 0 {
			return nil
		}
		if len(bytes.TrimRight(s.header[s.lineStart:], "\r\n")) == 0 {
			s.endHeader()
			return p
		}
		s.lineStart = len(s.header)
	}
	return nil
}

// endHeader looks at the whole header of a part.
func (s *multipartScanner) endHeader() {
	s.state, s.matched = inContent, 0
	d := parseDisposition(dispositionOf(s.header))
	switch {
	case d.filename != "" || d.filenameExt != "":
		s.file(d)
	case slices.Contains(s.fields, d.field):
		s.capture, s.value = true, s.value[:0]
	}
}

// file notes the names of a part that is a file.
func (s *multipartScanner) file(d disposition) {
	s.withFile = true
	for _, name := range s.early {
		s.names.add(name)
	}
	s.early = nil
	// A file that a script sends in chunks, or made itself, has no name of its
	// own (XMLHttpRequest standard, "create an entry"): a field has it.
	if d.filename == "blob" && s.withNames {
		return
	}
	s.names.add(d.filename)
	if d.filenameExt != d.filename {
		s.names.add(d.filenameExt)
	}
}

// fieldName notes the value of a form field that may be a name.
func (s *multipartScanner) fieldName(value string) {
	switch {
	case !isFileName(value):
	case s.withFile:
		s.withNames = true
		s.names.add(value)
	case len(s.early) < maxEarlyNames:
		s.withNames = true
		s.early = append(s.early, value)
	default:
		s.names.over = true
	}
}

// dispositionOf returns the Content-Disposition in a part's header, with
// continued lines (RFC 5322, section 2.2.3) joined.
func dispositionOf(header []byte) string {
	var value strings.Builder
	within := false
	for line := range bytes.Lines(header) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			if within {
				value.Write(line)
			}
			continue
		}
		key, rest, _ := bytes.Cut(line, []byte{':'})
		if within = bytes.EqualFold(bytes.TrimSpace(key), contentDisposition); within {
			value.Reset()
			value.Write(rest)
		}
	}
	return value.String()
}

var contentDisposition = []byte("content-disposition")
