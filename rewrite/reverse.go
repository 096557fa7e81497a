package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// ReverseConfig says which public URLs are turned back into the site's own.
type ReverseConfig struct {
	// Bases maps the start of public URLs to that of local ones, such as
	// "https://cdn.example.com/site1/media/" to "/wp-content/uploads/". Public
	// ones are absolute http or https URLs; their scheme and the case of their
	// host are ignored. Local ones are paths. All are percent-encoded and end
	// with a slash. At least one pair is needed.
	Bases map[string]string
	// Version, if not empty, is a parameter of queries that a resolver adds to public
	// URLs, such as "v=x####": of letters and digits, with # for each hexadecimal
	// digit. It is taken off in bodies, behind the first URL that is turned.
	Version string
}

// Reverse turns the public URLs in request bodies into local ones, so that
// what a visitor or an editor copied from a page is stored as the app itself
// would have written it. Unlike in pages, they are replaced wherever they
// stand, text included, for a body says nothing of where its values are used.
// It is safe for concurrent use.
//
// Recognised are http, https and protocol-relative URLs with slashes and
// colons plain, percent-encoded once or twice, and in the escapes of JSON,
// JavaScript and HTML, also percent-encoded. One in a string of PHP's serialize
// format stays, since the string's length stands before it.
type Reverse struct {
	bases   []reverseBase
	needles *needles
	version *regexp.Regexp // or nil
	// ahead is how much after the start of a host must be in hand.
	ahead int
}

type reverseBase struct {
	host, port, path string
	local            string
}

// maxBefore is the most that can stand between the start of a URL and its
// host: a scheme, a colon and two slashes, each generously escaped.
const maxBefore = 96

// widest is how many bytes a character of a base can take at most in a body.
const widest = 24

// NewReverse compiles c. It reports bases of the wrong form.
func NewReverse(c ReverseConfig) (*Reverse, error) {
	if len(c.Bases) == 0 {
		return nil, errors.New("rewrite: no public bases")
	}
	r := &Reverse{}
	if c.Version != "" {
		var err error
		if r.version, err = newVersion(c.Version); err != nil {
			return nil, err
		}
	}
	var hosts []string
	for public, local := range c.Bases {
		u, err := url.Parse(public)
		if err != nil {
			return nil, fmt.Errorf("rewrite: parsing a public base: %w", err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("rewrite: public base %q is not an absolute http(s) URL", u.Redacted())
		}
		b := reverseBase{host: strings.ToLower(u.Hostname()), port: u.Port(), path: u.EscapedPath(), local: local}
		if !strings.HasSuffix(b.path, "/") || !strings.HasPrefix(local, "/") || strings.HasPrefix(local, "//") || !strings.HasSuffix(local, "/") {
			return nil, fmt.Errorf("rewrite: public base %q or its local path %q does not end, or the path not begin, with one slash", public, local)
		}
		r.bases = append(r.bases, b)
		r.ahead = max(r.ahead, len(b.host)+widest*(len(b.port)+len(b.path)+1))
		if !slices.Contains(hosts, b.host) {
			hosts = append(hosts, b.host)
		}
	}
	if len(hosts) > maxNeedles {
		return nil, fmt.Errorf("rewrite: more than %d public hosts", maxNeedles)
	}
	r.needles = newNeedles(hosts)
	return r, nil
}

// Reversible reports whether Reverse looks into a body of this Content-Type:
// form fields, JSON and XML.
func Reversible(contentType string) bool {
	return bodyOf(contentType).kind != bodyOther
}

type bodyKind uint8

const (
	bodyOther bodyKind = iota
	bodyForm           // application/x-www-form-urlencoded
	bodyText           // JSON, XML
	bodyParts          // multipart/form-data
)

type bodyType struct {
	kind     bodyKind
	boundary string
}

// maxBoundary is the longest boundary that RFC 2046, 5.1.1, allows.
const maxBoundary = 70

func bodyOf(contentType string) bodyType {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return bodyType{}
	}
	switch media {
	case "application/x-www-form-urlencoded":
		return bodyType{kind: bodyForm}
	case "application/json", "application/xml", "text/xml":
		return bodyType{kind: bodyText}
	case "multipart/form-data":
		if b := params["boundary"]; b != "" && len(b) <= maxBoundary {
			return bodyType{bodyParts, b}
		}
	}
	if strings.HasSuffix(media, "+json") {
		return bodyType{kind: bodyText}
	}
	return bodyType{}
}

// Body returns body with its public URLs turned into local ones that begin
// with origin ("https://example.com"; empty makes them root-relative). The
// result is body itself if there are none. Its length is the Content-Length to
// pass on. kept is how many stayed because a serialized PHP string holds them.
func (r *Reverse) Body(body []byte, contentType, origin string) (turned []byte, kept int) {
	t := bodyOf(contentType)
	if t.kind == bodyOther || r.needles.index(body, 0) < 0 {
		return body, 0
	}
	s := reverser{r: r, t: t, origin: origin}
	out := s.run(make([]byte, 0, len(body)+len(body)/8), body, true)
	if s.replaced == 0 {
		return body, s.kept
	}
	return out, s.kept
}

// reverser turns one body.
type reverser struct {
	r      *Reverse
	t      bodyType
	origin string
	part   partState
	// sized says that the body may not grow; saved is by how much it is
	// shorter so far.
	sized    bool
	saved    int
	replaced int
	// serialized tells which URLs stay; kept is how many did.
	serialized serializedStrings
	kept       int
	held       []byte // input that is not decided yet
}

// run appends the turned body to dst as far as it is decided.
func (s *reverser) run(dst, src []byte, final bool) []byte {
	if len(s.held) > 0 {
		s.held = append(s.held, src...)
		src = s.held
	}
	var done int
	if s.t.kind == bodyParts {
		dst, done = s.parts(dst, src, final)
	} else {
		dst, done = s.text(dst, src, final)
	}
	if rest := src[done:]; len(s.held) > 0 {
		s.held = s.held[:copy(s.held, rest)]
	} else {
		s.held = append(s.held, rest...)
	}
	return dst
}

// text appends the turned src to dst; without final it leaves the end of src
// that more input may change. It begins where it left off.
func (s *reverser) text(dst, src []byte, final bool) ([]byte, int) {
	done := 0
	f := finder{ns: s.r.needles}
	for {
		n := f.next(src, done)
		if n < 0 {
			break
		}
		if !final && len(src)-n < s.r.ahead {
			return s.keep(dst, src, done, n-maxBefore)
		}
		m, ok := s.r.match(src, done, n)
		if !ok {
			dst, done = s.plain(dst, src, done, n+1)
			continue
		}
		dst, _ = s.plain(dst, src, done, m.start)
		if s.serialized.hold(src, m.start) {
			dst = append(dst, src[m.start:m.end]...)
			s.kept++
		} else {
			dst = s.replace(dst, src, m)
		}
		done = m.end
	}
	if final {
		dst, done = s.plain(dst, src, done, len(src))
		s.serialized = serializedStrings{} // the next text is another
		return dst, done
	}
	return s.keep(dst, src, done, len(src)-maxBefore-s.r.ahead)
}

// keep copies src[done:end] to dst, as far as that is any, and leaves the rest
// for the next piece.
func (s *reverser) keep(dst, src []byte, done, end int) ([]byte, int) {
	dst, end = s.plain(dst, src, done, max(done, end))
	s.serialized.drop(src, end)
	return dst, end
}

// replace appends the local form of m to dst, or m as it is if the body may
// not grow.
func (s *reverser) replace(dst, src []byte, m reverseMatch) []byte {
	from := len(dst)
	size := m.end - m.start
	for _, origin := range [...]string{s.origin, ""} {
		if m.colon == "" && origin != "" {
			_, host, _ := strings.Cut(origin, ":") // stays protocol-relative
			origin = host
		}
		dst = m.write(dst[:from], origin)
		dst = m.write(dst, m.base.local)
		if grown := len(dst) - from - size; !s.sized || grown <= s.saved {
			s.saved -= grown
			s.replaced++
			return dst
		}
	}
	return append(dst[:from], src[m.start:m.end]...)
}

// reverseMatch is a public base in a body.
type reverseMatch struct {
	base       *reverseBase
	start, end int
	slash      string // as it is spelled there
	colon      string // the same; empty if there is no scheme
}

// write appends plain, part of a URL, in the spelling of m.
func (m *reverseMatch) write(dst []byte, plain string) []byte {
	percent := m.slash[0] == '%'
	for i := range len(plain) {
		switch c := plain[i]; {
		case c == '/':
			dst = append(dst, m.slash...)
		case c == ':' && m.colon != "":
			dst = append(dst, m.colon...)
		case percent && !unreserved(rune(c)):
			dst = fmt.Appendf(dst, "%%%02X", c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// match looks whether the host at n is that of a public URL. What lies before
// done is written already.
func (r *Reverse) match(src []byte, done, n int) (reverseMatch, bool) {
	slash := slashBefore(src[done:n])
	if slash == "" {
		return reverseMatch{}, false
	}
	i := n - 2*len(slash)
	if i < done || !strings.EqualFold(string(src[i:n-len(slash)]), slash) {
		return reverseMatch{}, false
	}
	start, colon, ok := schemeBefore(src[done:i])
	if !ok {
		return reverseMatch{}, false
	}
	best := reverseMatch{slash: slash, colon: colon, start: done + start}
	for k := range r.bases {
		b := &r.bases[k]
		if end := b.endIn(src, n, slash, colon); end > best.end {
			best.base, best.end = b, end
		}
	}
	return best, best.base != nil
}

// endIn is the position after base b, whose host is said to be at n, or 0.
func (b *reverseBase) endIn(src []byte, n int, slash, colon string) int {
	if !hasPrefixFold(src[n:], b.host) {
		return 0
	}
	n += len(b.host)
	if b.port != "" {
		c := colonAt(src[n:])
		if c == 0 || !bytes.HasPrefix(src[n+c:], []byte(b.port)) {
			return 0
		}
		n += c + len(b.port)
	}
	for i := range len(b.path) {
		want := b.path[i]
		switch {
		case want == '/':
			if !hasPrefixFold(src[n:], strings.ToLower(slash)) {
				return 0
			}
			n += len(slash)
		case n < len(src) && src[n] == want && (want != '%' || slash[0] != '%'):
			n++
		case len(src)-n >= 3 && src[n] == '%' && slash[0] == '%':
			if c, _ := percentByte(src[n:]); c != want {
				return 0
			}
			n += 3
		default:
			return 0
		}
	}
	return n
}
