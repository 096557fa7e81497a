package web

import (
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/csp"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/decode"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

// page is one answer whose media URLs are to be made public, if it turns out
// to be of a type that has any.
type page struct {
	rewriter   *rewrite.Rewriter
	isolated   *rewrite.Rewriter // in its place, if the page requires Cross-Origin-Resource-Policy
	memory     *pageMemory       // nil: the page is not remembered
	csp        *csp.Source
	public     *publiccheck.Check
	validators *validators
	info       rewrite.Page
	method     string
	uri        *url.URL   // that the client asked for
	condition  *condition // of the request; nil: none
	head       bool       // the answer to a HEAD request
	active     bool       // the body goes through the rewriter (or would, for HEAD)
	changes    uint64     // Handler.changes before anything was resolved
	// mediaFile says that the body is a media file, which keeps its bytes.
	mediaFile bool
	// visit says that a visitor goes to what the answer tells.
	visit bool
}

// newPage returns how to rewrite the answer to r, or nil if it stays as it is.
func (h *Handler) newPage(r *http.Request, q *requestPaths) *page {
	if h.rewriter == nil {
		return nil
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return nil
	}
	if neverRewritten[strings.ToLower(path.Ext(r.URL.Path))] || h.noRewrite(r, q) {
		return nil
	}
	info := rewrite.Page{Scheme: "http", Host: r.Host, Path: q.original.EscapedPath()}
	if h.isSecure(r) {
		info.Scheme = "https"
		if h.plainPublic {
			return nil
		}
	}
	return &page{
		rewriter: h.rewriter, isolated: h.isolated, memory: h.pages, csp: h.csp, public: h.config.Public, validators: h.validators,
		info: info, method: r.Method, uri: q.original, head: r.Method == http.MethodHead,
		visit: isVisit(r),
	}
}

// IsPlainPublic reports whether browsers block, as mixed content, what a page that came
// by https names below a public URL: one by http, but for hosts of the visitor's own
// machine (W3C Mixed Content, section 4; Secure Contexts, section 3.1).
func IsPlainPublic(publicURL string) bool {
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "http" {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return !ip.IsLoopback()
	}
	return host != "localhost" && !strings.HasSuffix(host, ".localhost")
}

// noRewrite asks the preset about the path that the client sent and about the
// one that the request has now, since an admin may have rewritten it.
func (h *Handler) noRewrite(r *http.Request, q *requestPaths) bool {
	info := media.RequestInfo{Method: r.Method, Path: q.original.Path, Query: q.original.RawQuery, Header: r.Header}
	if h.site.NoRewrite(info) {
		return true
	}
	if !q.rewritten() {
		return false
	}
	info.Path, info.Query = r.URL.Path, r.URL.RawQuery
	return h.site.NoRewrite(info)
}

// servePage passes r on and rewrites the answer.
func (h *Handler) servePage(w http.ResponseWriter, r *http.Request, next Next, p *page) error {
	rw := newResponseWriter(w, holding{}, p)
	defer rw.close()
	if err := next.ServeHTTP(rw, p.toApp(r)); err != nil {
		return rw.fail(err)
	}
	if err := rw.endBody(); err != nil {
		return rw.breakOff(&Error{http.StatusBadGateway, err})
	}
	_ = rw.release() // an error here means that the client went away
	if p.active {
		h.config.Public.Served(&p.info)
	}
	return nil
}

// bodyTells reports whether the answer's first bytes must be looked at: its
// header names no type, or an encoding that may not be true.
func (p *page) bodyTells(status int, hdr http.Header) bool {
	return !p.head && !p.mediaFile && bodyAllowed(status) &&
		(len(hdr["Content-Type"]) == 0 || len(hdr["Content-Encoding"]) > 0)
}

// rewritable decides from status, header and, where the type is not named,
// from the first bytes.
func (p *page) rewritable(status int, hdr http.Header, first []byte) bool {
	if p.mediaFile {
		return false
	}
	if status == http.StatusNotModified {
		// A cache takes this header for the page it keeps (RFC 9111, section 3.2).
		p.csp.ExtendHeader(hdr, p.info.Host)
	}
	if !bodyAllowed(status) || status == http.StatusPartialContent || len(hdr["Content-Range"]) > 0 {
		return false
	}
	contentType := hdr.Get("Content-Type")
	if contentType == "" && len(first) > 0 {
		contentType = http.DetectContentType(first)
	}
	if !rewrite.Rewritable(contentType) ||
		mediaType(hdr.Get("Content-Disposition")) == "attachment" ||
		headerHasToken(hdr["Cache-Control"], "no-transform") ||
		!decode.Possible(hdr["Content-Encoding"], first) {
		return false
	}
	p.info.ContentType = contentType
	p.info.Hashed = hashedContexts(csp.HashedHeader(hdr))
	p.active = true
	p.csp.ExtendHeader(hdr, p.info.Host)
	if p.head {
		hdr.Del("Content-Encoding")
		p.finishHeader(hdr, -1, true)
		p.validate(hdr, false, true, nil)
		return false // nothing to rewrite: there is no body
	}
	return true
}

// policy is what becomes of a policy in a page, and what inline text it names by hashes.
func (h *Handler) policy(policy string, p rewrite.Page) (is string, hashed rewrite.Context) {
	return h.csp.ExtendPolicy(policy, p.Host), hashedContexts(csp.Hashed(policy))
}

// hashedContexts are the contexts whose text has to keep its bytes.
func hashedContexts(styles, scripts bool) (hashed rewrite.Context) {
	if styles {
		hashed |= rewrite.ContextStyle
	}
	if scripts {
		hashed |= rewrite.ContextScript
	}
	return hashed
}

// isolate sees to it that a page which requires Cross-Origin-Resource-Policy, or may
// be a part of one, gets only the public URLs that it may load.
func (p *page) isolate(hdr http.Header) {
	switch {
	case p.isolated == nil:
		return
	case requiresPolicy(hdr):
		p.public.Isolate(&p.info)
	case !p.public.IsIsolated(&p.info) || !isPartOfPages(mediaType(hdr.Get("Content-Type"))):
		return
	}
	p.rewriter, p.memory = p.isolated, nil
}

// requiresPolicy reports whether a page loads nothing from another origin that
// does not say by Cross-Origin-Resource-Policy that it may (HTML standard, "embedder
// policy"; Document-Isolation-Policy). Those that only report do not count, and
// credentialless needs no header.
func requiresPolicy(hdr http.Header) bool {
	return mediaType(hdr.Get("Cross-Origin-Embedder-Policy")) == "require-corp" ||
		mediaType(hdr.Get("Document-Isolation-Policy")) == "isolate-and-require-corp"
}

// isPartOfPages reports whether an answer of a media type may be loaded by a page, as
// sheets and data are. Another page says itself what it requires.
func isPartOfPages(contentType string) bool {
	return !media.IsDocument(contentType) && (contentType == media.SVG || !strings.HasSuffix(contentType, "xml"))
}

func (p *page) newWriter(dst io.Writer) *rewrite.Writer {
	return p.rewriter.NewWriter(dst, p.info)
}

// rewriteHeader makes the media URLs in the header public. Where a redirect leads is
// fetched as what asked for it would be: it moves if that is a visitor, who goes there.
func (p *page) rewriteHeader(hdr http.Header) {
	p.rewriteField(hdr, "Link", p.rewriter.HeaderLink)
	p.rewriteField(hdr, "Refresh", p.rewriter.HeaderRefresh) // nothing but a page follows it
	if !p.visit {
		return // a cache may give this to a visitor, for whom it works as well
	}
	before := hdr.Get("Location")
	p.rewriteField(hdr, "Location", p.rewriter.HeaderLocation)
	if hdr.Get("Location") != before {
		hdr.Add("Vary", secFetchDest) // that a visitor's answer is for no one else
	}
}

// rewriteField makes the media URLs in the values of a field public.
func (p *page) rewriteField(hdr http.Header, name string, rewritten func(string, rewrite.Page) string) {
	values := hdr[name]
	for i, value := range values {
		public := rewritten(value, p.info)
		if public == value {
			continue
		}
		// The slice may belong to someone else, a cache for example.
		values = append([]string(nil), values...)
		values[i] = public
		hdr[name] = values
	}
}

// What a browser fetches something for, and how, is told by these on a site with HTTPS
// (Fetch Metadata Request Headers).
const secFetchDest, secFetchMode = "Sec-Fetch-Dest", "Sec-Fetch-Mode"

// isVisit reports whether a request is that of a visitor who goes to a page. One for a
// download, by a click on a link with that attribute, is not: its name would be lost.
func isVisit(r *http.Request) bool {
	return r.Header.Get(secFetchDest) == "document" && r.Header.Get(secFetchMode) == "navigate"
}

// finishHeader makes the header fit the body. size is the body's length, -1 if
// it is not known; changed says that the body may differ from the app's.
func (p *page) finishHeader(hdr http.Header, size int, changed bool) {
	if size >= 0 {
		setContentLength(hdr, size)
	}
	if !changed {
		return
	}
	if size < 0 {
		hdr.Del("Content-Length")
	}
	for _, name := range [...]string{"Accept-Ranges", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		delete(hdr, name)
	}
}

// bodyAllowed reports whether an answer of this status may have a body (RFC
// 9110, section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// mediaType returns what stands before the first parameter, in lower case.
func mediaType(value string) string {
	value, _, _ = strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(value))
}

// headerHasToken reports whether a comma-separated header field has a token,
// which may have a value.
func headerHasToken(values []string, token string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			name, _, _ := strings.Cut(item, "=")
			if strings.EqualFold(strings.TrimSpace(name), token) {
				return true
			}
		}
	}
	return false
}

// neverRewritten are endings of URLs whose answers have no URLs to rewrite. For
// them the app's server sees the request as it is and may send a file that was
// compressed beforehand.
var neverRewritten = map[string]bool{
	".js": true, ".mjs": true, ".wasm": true,
	".avif": true, ".bmp": true, ".gif": true, ".ico": true, ".jpeg": true, ".jpg": true,
	".png": true, ".tif": true, ".tiff": true, ".webp": true,
	".eot": true, ".otf": true, ".ttf": true, ".woff": true, ".woff2": true,
	".aac": true, ".flac": true, ".m4a": true, ".mov": true, ".mp3": true, ".mp4": true,
	".mpeg": true, ".ogg": true, ".ogv": true, ".opus": true, ".wav": true, ".webm": true,
	".7z": true, ".gz": true, ".pdf": true, ".rar": true, ".zip": true,
}
