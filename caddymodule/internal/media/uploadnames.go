package media

import (
	"net/http"
	"slices"
	"strings"
)

// uploadNames says where an app finds the names of uploaded files, besides the
// Content-Disposition of a request or of a part of its body.
type uploadNames struct {
	fields  []string // form fields of a request that brings a file
	members []string // members of a JSON object
	structs []string // members of a struct in XML-RPC
	query   []string // query parameters
}

func (n uploadNames) none() bool {
	return len(n.fields)+len(n.members)+len(n.structs)+len(n.query) == 0
}

// anyUploadNames are the places that apps are known to use: for an app of which
// nothing is known. A name too many costs a little, one too few a collision.
func anyUploadNames() uploadNames {
	return uploadNames{
		fields:  []string{"name", "filename"},
		members: []string{"name", "filename", "path"},
		structs: []string{"name"},
		query:   []string{"name", "filename", "path"},
	}
}

const (
	// maxUploadName is the longest name of a file in bytes: longer ones exist on
	// no disk.
	maxUploadName = maxSegment
	// maxUploadNames is how many names of one request count. PHP takes 20
	// files of one request unless told otherwise (max_file_uploads).
	maxUploadNames = 32
)

// RequestNames returns the file names that the URL and the header of a request
// name: that of a raw upload, the last part of the path of a PUT or DELETE, and
// those in query parameters that the preset knows. Those in its body are found
// by [Site.NewNameScanner].
func (s *Site) RequestNames(r RequestInfo) []string {
	var names []string
	add := func(name string) {
		if isFileName(name) && len(names) < maxUploadNames && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if value := r.Header.Get("Content-Disposition"); value != "" {
		d := parseDisposition(value)
		add(d.filename)
		add(d.filenameExt)
	}
	if isWrite(r.Method) && r.Method != http.MethodPost {
		add(r.Path)
	}
	if !isWrite(r.Method) || len(s.uploads.query) == 0 || r.Query == "" {
		return names
	}
	for pair := range strings.SplitSeq(r.Query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if value != "" && slices.Contains(s.uploads.query, unescapeQuery(name)) {
			add(unescapeQuery(value))
		}
	}
	return names
}

// isFileName reports whether a value that may be anything names a file that may
// be media: its last part has an extension, and not one of a script.
func isFileName(value string) bool {
	if len(value) > maxKey {
		return false
	}
	name := value[strings.LastIndexAny(value, `/\`)+1:]
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || len(name)-dot < 2 || len(name)-dot > 12 || len(name) > maxUploadName {
		return false
	}
	for i := dot + 1; i < len(name); i++ {
		if !isAlphanumeric(lower(name[i])) {
			return false
		}
	}
	return !Executable(name)
}

// NameScanner finds the names of the files that a request's body brings while
// the body streams by. It keeps no more of it than a part's header or a name.
type NameScanner struct {
	body  bodyScanner
	found func(name string)
	count int
	over  bool
}

// bodyScanner reads a body of one type.
type bodyScanner interface {
	// scan reads the next piece of the body, of any size. It does not keep it.
	scan(piece []byte)
}

// NewNameScanner returns a scanner of a body with this Content-Type that calls
// found for each name as soon as it has passed, in Scan. It returns nil if
// bodies of this type bring no names. Multipart bodies are read by RFC 7578 and
// RFC 2046, as leniently as PHP does; JSON and XML-RPC where the preset knows
// members.
func (s *Site) NewNameScanner(contentType string, found func(name string)) *NameScanner {
	n := &NameScanner{found: found}
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch {
	case strings.HasPrefix(media, "multipart/"):
		boundary := multipartBoundary(contentType)
		if boundary == "" {
			n.over = true
			return n
		}
		n.body = newMultipartScanner(boundary, s.uploads.fields, n)
	case media == "application/json", strings.HasSuffix(media, "+json"):
		if len(s.uploads.members) > 0 {
			n.body = &jsonScanner{memberText: memberText{names: n, members: s.uploads.members}}
		}
	case media == "text/xml", media == "application/xml":
		if len(s.uploads.structs) > 0 {
			n.body = &xmlrpcScanner{memberText: memberText{names: n, members: s.uploads.structs}}
		}
	}
	if n.body == nil {
		return nil
	}
	return n
}

// Scan reads the next piece of the body. How the body is cut into pieces makes
// no difference.
func (n *NameScanner) Scan(piece []byte) {
	if n.body != nil {
		n.body.scan(piece)
	}
}

// Over reports whether the body has passed a bound, or is of a form that cannot
// be read, so that there may be names that were not found.
func (n *NameScanner) Over() bool { return n.over }

// add passes a name on.
func (n *NameScanner) add(name string) {
	switch {
	case name == "":
	case len(name) > maxKey || len(name)-strings.LastIndexAny(name, `/\`)-1 > maxUploadName,
		n.count == maxUploadNames:
		n.over = true
	default:
		n.count++
		n.found(name)
	}
}

// multipartBoundary returns the boundary in a Content-Type, or "" if there is
// none or none that RFC 2046, section 5.1.1, allows. As PHP it looks no further
// than it must.
func multipartBoundary(contentType string) string {
	_, rest, ok := strings.Cut(contentType, ";")
	if !ok {
		return ""
	}
	for rest != "" {
		var parameter string
		parameter, rest = cutParameter(rest)
		key, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "boundary") {
			continue
		}
		value = strings.TrimSpace(value)
		if strings.HasPrefix(value, `"`) {
			value = unquote(value)
		} else {
			value, _, _ = strings.Cut(value, ",")
		}
		if len(value) > maxBoundary || strings.ContainsAny(value, "\r\n\x00") {
			return ""
		}
		return value
	}
	return ""
}

// maxBoundary is the longest boundary that RFC 2046, section 5.1.1, allows.
const maxBoundary = 70
