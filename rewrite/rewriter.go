package rewrite

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// DefaultMaxToken is the Config.MaxToken used when that is zero: 64 KiB.
const DefaultMaxToken = 64 << 10

// minMaxToken keeps a configured limit above what the shortest useful tags and
// the look-ahead of the scanners need.
const minMaxToken = 1 << 10

// maxUnread is how much of a page without media is kept in case that some
// comes: with DefaultMaxToken, pages of up to 256 KiB are never read.
const maxUnread = 192 << 10

// maxPrefix bounds the length of one prefix in bytes.
const maxPrefix = 512

// Context is a set of places that URLs are read from, besides the URL
// attributes of HTML elements, srcset and the text of feeds, which are always
// included.
type Context uint

// Contexts that Config.Skip can name, and of which Page.Hashed names the first two.
const (
	// ContextStyle is CSS within HTML: style elements and attributes.
	ContextStyle Context = 1 << iota
	// ContextScript is the content of script elements and event handlers.
	ContextScript
	// ContextData is data-* attributes.
	ContextData
	// ContextMeta is the content of meta elements.
	ContextMeta
)

// Match is a media URL of the site, found where a URL is read.
type Match struct {
	// Prefix is the index into Config.Prefixes of the prefix that matched; of
	// several that match it is the longest.
	Prefix int
	// Path is what follows the prefix, percent-decoded ('+' is itself). It is
	// not empty, holds no NUL or other control byte, no dot segment and no
	// slash that was percent-encoded, and may be invalid UTF-8. It is valid
	// only during the call.
	Path []byte
	// Raw is Path as it was written, still percent-encoded, after the escapes
	// of the context (character references, \/) were undone. It holds neither
	// query nor fragment and is valid only during the call.
	Raw []byte
	// Place says how a browser fetches what the URL names.
	Place Place
	// Page is the page that the URL stands in. It is valid only during the call.
	Page *Page
}

// Config says which URLs are the site's media and what to put in their place.
type Config struct {
	// Hosts are the host names of the site besides the page's own, without
	// scheme ("www.example.com", "[::1]"). Case and port are ignored.
	Hosts []string

	// Prefixes are the URL paths that media lie below, in percent-decoded
	// form, beginning and ending with a slash ("/wp-content/uploads/"). They
	// are anchored at the root of the site. At least one is needed.
	Prefixes []string

	// Resolve appends the URL that is to stand in place of m to dst and
	// returns the result and true, or returns false: the URL stays as it is.
	// The URL is plain, absolute (or protocol-relative: the page's scheme is
	// added) and percent-encoded, without the query and fragment of the
	// original, which are kept; escaping for the context is the package's task.
	// Resolve is called for each URL in each page, and by several goroutines
	// at once. It must answer from memory, must not keep m, and should answer
	// the same for the same m while a page lasts.
	Resolve func(dst []byte, m Match) ([]byte, bool)

	// Changes, if not nil, is a number that is another one after each change of
	// what Resolve answers: as long as it is the same, so is the answer for the
	// same Match. With it a Rewriter remembers tags and scripts that came before
	// and what became of them, in 16 MiB at most, which makes pages full of media
	// twice as fast. It is called once for each HTML page, and by several
	// goroutines at once.
	Changes func() uint64

	// Policy, if not nil, is given each Content-Security-Policy that stands in
	// a meta element of a page and returns what is to stand there instead: the
	// same, or one that lets the page load what Resolve returns. A policy whose
	// content attribute comes before http-equiv is left alone. It returns as well
	// what Page.Hashed is from this element on, besides what it was. Policy is
	// called by several goroutines at once.
	Policy func(policy string, p Page) (is string, hashed Context)

	// Skip names contexts to leave alone. Default: none.
	Skip Context

	// MaxToken is the size in bytes above which a tag, a string or a URL is
	// passed through unchanged rather than held back. A Writer keeps at most
	// this and 224 KiB of a body, and its buffers are of that order. Default
	// (0): DefaultMaxToken; smaller values than 1024 count as 1024.
	MaxToken int
}

// Rewriter is a compiled Config. It is safe for concurrent use.
type Rewriter struct {
	hosts    []string
	prefixes []string
	// nested says that one prefix lies within another.
	nested   bool
	resolve  func(dst []byte, m Match) ([]byte, bool)
	policy   func(policy string, p Page) (is string, hashed Context)
	changes  func() uint64
	memory   *memory // nil without changes
	skip     Context
	maxToken int
	unread   int // how much a Writer keeps unread beyond maxToken
	needles  *needles
	writers  sync.Pool
}

// New compiles c. It reports a prefix of the wrong form, a missing resolver,
// or prefixes so different that searching for all of them would be slow.
func New(c Config) (*Rewriter, error) {
	if c.Resolve == nil {
		return nil, errors.New("rewrite: no resolver")
	}
	if len(c.Prefixes) == 0 {
		return nil, errors.New("rewrite: no prefixes")
	}
	for _, p := range c.Prefixes {
		if err := checkPrefix(p); err != nil {
			return nil, err
		}
	}
	texts, err := prefixNeedles(c.Prefixes)
	if err != nil {
		return nil, err
	}
	if c.Policy != nil {
		texts = append(texts, policyNeedles...)
	}
	r := &Rewriter{
		prefixes: append([]string(nil), c.Prefixes...),
		resolve:  c.Resolve,
		policy:   c.Policy,
		changes:  c.Changes,
		skip:     c.Skip,
		maxToken: c.MaxToken,
		unread:   maxUnread,
		needles:  newNeedles(texts),
	}
	if r.maxToken == 0 {
		r.maxToken = DefaultMaxToken
	}
	r.maxToken = max(r.maxToken, minMaxToken)
	if c.Changes != nil {
		r.memory = newMemory()
	}
	for _, h := range c.Hosts {
		if h = lowerHost(h); h == "" {
			return nil, errors.New("rewrite: empty host name")
		}
		r.hosts = append(r.hosts, h)
	}
	for i, p := range c.Prefixes {
		for j, q := range c.Prefixes {
			r.nested = r.nested || i != j && strings.HasPrefix(p, q)
		}
	}
	r.writers.New = func() any { return newWriter(r) }
	return r, nil
}

func checkPrefix(p string) error {
	switch {
	case len(p) < 3 || p[0] != '/' || p[len(p)-1] != '/':
		return fmt.Errorf("rewrite: prefix %q does not begin and end with a slash around a name", p)
	case len(p) > maxPrefix:
		return fmt.Errorf("rewrite: prefix %.40q… is longer than %d bytes", p, maxPrefix)
	}
	for seg := range strings.SplitSeq(p[1:len(p)-1], "/") {
		if seg == "" || seg == "." || seg == ".." {
			return fmt.Errorf("rewrite: prefix %q has an empty or dot segment", p)
		}
	}
	for i := range len(p) {
		if p[i] < 0x20 || p[i] == 0x7f || p[i] == '\\' {
			return fmt.Errorf("rewrite: prefix %q has a control character or backslash", p)
		}
	}
	return nil
}

// hostOnly is s without its port.
func hostOnly(s string) string {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.Contains(s[i:], "]") {
		return s[:i]
	}
	return s
}
