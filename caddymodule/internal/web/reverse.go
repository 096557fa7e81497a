package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// Public URLs in request bodies are turned back into local ones, in one of
// three ways:
//
//   - A body of a known length up to reverseLimit is read first, turned, and
//     passed on with its new length: PHP needs a right CONTENT_LENGTH. Of a
//     multipart body only what stands before the first file is read.
//   - What follows, longer bodies, and those that find headsLimit used up, are turned while they stream by,
//     without changing their length. The local URL then has no host if it would
//     not fit otherwise, and a public URL that is even shorter than that stays.
//   - A body of unknown length streams, and its length changes freely.
//
// Files in a multipart body are neither buffered nor changed, nor are the
// strings of serialized PHP values, and not the bodies that mayTurn refuses.

// reverseLimit is how much of a body is read before the app gets it, in bytes.
const reverseLimit = 2 << 20

// headsLimit is how much of all bodies together.
const headsLimit = 64 << 20

// heads is the room for that.
var heads = budget{limit: headsLimit}

// prepareReverse prepares the turning back of public URLs. All URLs below the public
// URL are taken for the site's media: text does not say where a URL
// ends, so what follows the folder's URL is not looked at.
func (h *Handler) prepareReverse() error {
	bases := make(map[string]string)
	for _, root := range h.site.Roots() {
		public := h.config.PublicURL
		if root.Name != "" {
			public += string(media.EscapeKey(nil, root.Name)) + "/"
		}
		bases[public] = string(media.EscapeKey(nil, root.URL))
	}
	reverse, err := rewrite.NewReverse(rewrite.ReverseConfig{Bases: bases, Version: versionParameter})
	if err != nil {
		return fmt.Errorf("public_url: %w", err)
	}
	h.reverse = reverse
	return nil
}

// withLocalURLs returns r, which may write, as the app is to see it: with local URLs in
// its query and its body in place of public ones. An error while the body is read
// reaches the app at the point where it happened. What is kept of the body is memory's
// to free.
//
// (Promise 4: "public URLs that come back in a request body are turned back
// into local ones, so that the app's database never holds one.")
func (h *Handler) withLocalURLs(r *http.Request, q *requestPaths, memory *share) *http.Request {
	contentType := r.Header.Get("Content-Type")
	if h.reverse == nil || h.site.IsMediaURL(r.URL.EscapedPath()) || !h.mayTurn(r, q, contentType) {
		return r
	}
	r = h.withLocalQuery(r)
	if !hasReversibleBody(r, contentType) {
		return r
	}
	return h.withLocalBody(r, contentType, memory)
}

// withLocalQuery returns r with local URLs in its query, unless that is signed.
func (h *Handler) withLocalQuery(r *http.Request) *http.Request {
	query := r.URL.RawQuery
	if query == "" || hasSignature(query) {
		return r
	}
	turned := string(h.turn(r, []byte(query), queryType, h.originOf(r)))
	if turned == query {
		return r
	}
	ctx := r.Context()
	if original := h.config.Server.OriginalURL(r); original != nil && original.RawQuery == query {
		ctx = h.config.Server.WithOriginalURL(ctx, withQuery(original, turned)) // what PHP has as REQUEST_URI
	}
	r2 := r.WithContext(ctx)
	r2.URL = withQuery(r.URL, turned)
	return r2
}

// queryType is the type of a form, which is written as a query is.
const queryType = "application/x-www-form-urlencoded"

func withQuery(u *url.URL, query string) *url.URL {
	u2 := *u
	u2.RawQuery = query
	return &u2
}

// withLocalBody returns r with local URLs in its body.
func (h *Handler) withLocalBody(r *http.Request, contentType string, memory *share) *http.Request {
	origin := h.originOf(r)
	multipart := boundary(contentType)
	switch {
	case r.ContentLength < 0:
		return withBody(r, h.reverse.NewReader(r.Body, contentType, origin), -1)
	case r.ContentLength > reverseLimit && multipart == "":
		return withBody(r, h.reverse.NewSizedReader(r.Body, contentType, origin), r.ContentLength)
	}
	head, file, err := readHead(r.Body, multipart, r.ContentLength, memory)
	switch {
	case errors.Is(err, io.EOF):
		turned := h.turn(r, head, contentType, origin)
		return withBody(r, bytes.NewReader(turned), int64(len(turned)))
	case err != nil:
		return withBody(r, io.MultiReader(bytes.NewReader(head), failingReader{err}), r.ContentLength)
	}
	turned := h.turn(r, head[:file], contentType, origin)
	rest := io.MultiReader(bytes.NewReader(head[file:]), r.Body)
	return withBody(r, io.MultiReader(bytes.NewReader(turned), h.reverse.NewSizedReader(rest, contentType, origin)),
		r.ContentLength+int64(len(turned)-file))
}

// hasReversibleBody reports whether r has a body that may hold URLs.
func hasReversibleBody(r *http.Request, contentType string) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 &&
		len(r.Header["Content-Encoding"]) == 0 && rewrite.Reversible(contentType) &&
		!isIncremental(r.Header)
}

// turn turns a query or a body, or the part of it before the first file.
func (h *Handler) turn(r *http.Request, body []byte, contentType, origin string) []byte {
	turned, kept := h.reverse.Body(body, contentType, origin)
	if kept > 0 {
		h.config.Log.Debug("a request holds public URLs in serialized PHP strings, which stay as they are",
			"path", r.URL.Path)
	}
	return turned
}

// readHead reads a body of the given length to its end (the error is io.EOF),
// to the first file of a multipart body (file is the position of the delimiter
// before it), or to reverseLimit or the end of memory (file is 0).
func readHead(body io.Reader, boundary string, length int64, memory *share) (head []byte, file int, err error) {
	parts := partScanner{delimiter: []byte("--" + boundary)}
	first := min(length+1, firstHead)
	if !memory.take(int(first)) {
		return nil, 0, nil
	}
	head = make([]byte, 0, first)
	for len(head) < reverseLimit || int64(len(head)) >= length {
		if len(head) == cap(head) {
			size := cap(head)
			if !memory.take(size) {
				return head, 0, nil
			}
			head = slices.Grow(head, size)
		}
		n, err := body.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if boundary != "" {
			if file, ok := parts.file(head); ok {
				return head, file, nil
			}
		}
		if err != nil {
			return head, 0, err
		}
	}
	return head, 0, nil
}

// partScanner looks for the first file in the head of a multipart body, each
// byte of which it reads about once while the head grows.
type partScanner struct {
	delimiter []byte
	at        int // before this there is none
}

// maxPartHeader is the size of a part's header above which it is none.
const maxPartHeader = 16 << 10

// file returns the position of the delimiter before the first part that has a
// file name (RFC 7578, section 4.2).
func (s *partScanner) file(head []byte) (position int, ok bool) {
	for {
		i := bytes.Index(head[s.at:], s.delimiter)
		if i < 0 {
			s.at = max(s.at, len(head)-len(s.delimiter)+1)
			return 0, false
		}
		begin := s.at + i
		if begin > 0 && !bytes.HasSuffix(head[:begin], []byte("\r\n")) {
			s.at = begin + 1
			continue
		}
		size := bytes.Index(head[begin:], []byte("\r\n\r\n"))
		switch {
		case size < 0 && len(head)-begin <= maxPartHeader:
			s.at = begin
			return 0, false // the header is not complete
		case size < 0 || size > maxPartHeader:
			s.at = begin + 1
		case bytes.Contains(bytes.ToLower(head[begin:begin+size]), []byte("filename")):
			return begin, true
		default:
			s.at = begin + size
		}
	}
}

// boundary returns that of a multipart body, or "".
func boundary(contentType string) string {
	if !strings.HasPrefix(mediaType(contentType), "multipart/") {
		return ""
	}
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return params["boundary"]
}

// withBody returns r with another body; closing it closes r's own. r itself
// stays as it is for the handlers before this one.
func withBody(r *http.Request, body io.Reader, length int64) *http.Request {
	r2 := r.WithContext(r.Context())
	r2.Body = struct {
		io.Reader
		io.Closer
	}{body, r.Body}
	if length == r.ContentLength {
		return r2
	}
	r2.ContentLength = length
	r2.Header = r.Header.Clone()
	setContentLength(r2.Header, int(length))
	return r2
}

// failingReader is what is left of a body that could not be read.
type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// originOf returns the origin that the client sent r to, "https://example.com",
// or "" if it did not say which host it meant.
func (h *Handler) originOf(r *http.Request) string {
	if r.Host == "" {
		return ""
	}
	secure := "https://" + r.Host
	if h.isSecure(r) || r.Header.Get("Origin") == secure { // a proxy that is not trusted ended TLS
		return secure
	}
	return "http://" + r.Host
}

// isSecure reports whether the client surely sent r by TLS.
func (h *Handler) isSecure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	return h.config.Server.FromTrustedProxy(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}
