package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// Public URLs in request bodies are turned back into local ones, in one of
// three ways:
//
//   - A body of a known length up to reverseLimit is read first, turned, and
//     passed on with its new length: PHP needs a right CONTENT_LENGTH. Of a
//     multipart body only what stands before the first file is read.
//   - What follows, and longer bodies, are turned while they stream by,
//     without changing their length. The local URL then has no host if it would
//     not fit otherwise, and a public URL that is even shorter than that stays.
//   - A body of unknown length streams, and its length changes freely.
//
// Files in a multipart body are neither buffered nor changed.

// reverseLimit is how much of a body is read before the app gets it, in bytes.
const reverseLimit = 2 << 20

// provisionReverse prepares the turning back of public URLs. All URLs below
// h.PublicURL are taken for the site's media: text does not say where a URL
// ends, so what follows the folder's URL is not looked at.
func (h *Handler) provisionReverse() error {
	bases := make(map[string]string)
	for _, root := range h.site.Roots() {
		public := h.PublicURL
		if root.Name != "" {
			public += string(media.EscapeKey(nil, root.Name)) + "/"
		}
		bases[public] = string(media.EscapeKey(nil, root.URL))
	}
	reverse, err := rewrite.NewReverse(rewrite.ReverseConfig{Bases: bases})
	if err != nil {
		return fmt.Errorf("public_url: %w", err)
	}
	h.reverse = reverse
	return nil
}

// withLocalURLs returns r as the app is to see it: with local URLs in its body
// in place of public ones. An error while the body is read reaches the app at
// the point where it happened.
//
// (Promise 4: "public URLs that come back in a request body are turned back
// into local ones, so that the app's database never holds one.")
func (h *Handler) withLocalURLs(r *http.Request) *http.Request {
	contentType := r.Header.Get("Content-Type")
	if h.reverse == nil || !hasReversibleBody(r, contentType) || h.site.IsMediaURL(r.URL.EscapedPath()) {
		return r
	}
	origin := originOf(r)
	multipart := boundary(contentType)
	switch {
	case r.ContentLength < 0:
		return withBody(r, h.reverse.NewReader(r.Body, contentType, origin), -1)
	case r.ContentLength > reverseLimit && multipart == "":
		return withBody(r, h.reverse.NewSizedReader(r.Body, contentType, origin), r.ContentLength)
	}
	head, file, err := readHead(r.Body, multipart, r.ContentLength)
	switch {
	case err == io.EOF:
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

// hasReversibleBody reports whether r has a body that may hold URLs and may be
// changed.
func hasReversibleBody(r *http.Request, contentType string) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 &&
		len(r.Header["Content-Encoding"]) == 0 && rewrite.Reversible(contentType) &&
		!caddyhttp.IsIncremental(r.Header) && !isSigned(r.Header)
}

// isSigned reports whether the header holds a digest or a signature of the
// body (RFC 9530, RFC 9421, and what senders of webhooks use), which would be
// wrong for a changed one.
func isSigned(hdr http.Header) bool {
	for name := range hdr {
		if strings.Contains(name, "Signature") || strings.Contains(name, "Hmac") ||
			strings.Contains(name, "Digest") || name == "Content-Md5" || name == "X-Amz-Content-Sha256" {
			return true
		}
	}
	return false
}

// turn turns a body, or the part of it before the first file.
func (h *Handler) turn(r *http.Request, body []byte, contentType, origin string) []byte {
	turned := h.reverse.Body(body, contentType, origin)
	if len(turned) == len(body) && bytes.Equal(turned, body) {
		return body
	}
	if holdsSerialized(body, h.publicHost) {
		h.engine.log.logger().Debug("a request's body holds public URLs in serialized PHP strings; it is passed on as it is",
			"path", r.URL.Path)
		return body
	}
	return turned
}

// readHead reads a body of the given length to its end (the error is io.EOF),
// to the first file of a multipart body (file is the position of the delimiter
// before it), or to reverseLimit (file is 0).
func readHead(body io.Reader, boundary string, length int64) (head []byte, file int, err error) {
	head = make([]byte, 0, min(length+1, 32<<10))
	for len(head) < reverseLimit || int64(len(head)) >= length {
		if len(head) == cap(head) {
			head = append(head, 0)[:len(head)]
		}
		n, err := body.Read(head[len(head):cap(head)])
		seen := len(head)
		head = head[:seen+n]
		if boundary != "" {
			if file := fileDelimiter(head, boundary, seen); file >= 0 {
				return head, file, nil
			}
		}
		if err != nil {
			return head, 0, err
		}
	}
	return head, 0, nil
}

// fileDelimiter returns the position of the delimiter before the first part
// with a file name, of which the first seen bytes hold no whole name, or -1.
func fileDelimiter(body []byte, boundary string, seen int) int {
	const word = "filename"
	for i := max(0, seen-len(word)); ; i += len(word) {
		at := bytes.Index(lowerASCII(body[i:]), []byte(word))
		if at < 0 {
			return -1
		}
		i += at
		line := body[bytes.LastIndexByte(body[:i], '\n')+1 : i]
		if len(line) >= len(dispositionField) && strings.EqualFold(string(line[:len(dispositionField)]), dispositionField) {
			return bytes.LastIndex(body[:i], []byte("--"+boundary))
		}
	}
}
