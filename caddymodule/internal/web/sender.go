package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// mayTurn reports whether public URLs in the body of r may be turned back: if
// it comes from a page of the site, or from a program that logged in to write
// there. What another sends, such as a webhook, is often signed, in the header
// or in the body itself, and holds no URL that was copied from a page.
func (h *Handler) mayTurn(r *http.Request, q *requestPaths, contentType string) bool {
	if hasDigest(r.Header) || hasDigest(r.Trailer) {
		return false
	}
	if login := r.Header.Get("Authorization"); login != "" {
		scheme, _, _ := strings.Cut(login, " ")
		return loginScheme.MatchString(scheme)
	}
	if own, known := h.isFromOwnPage(r); known {
		return own
	}
	return len(r.Header["Cookie"]) > 0 || len(r.Header["X-Joomla-Token"]) > 0 ||
		isXML(contentType) && h.noRewrite(r, q) // XML-RPC, which logs in within the body
}

// loginScheme are the schemes of Authorization that say who sends a request and
// nothing of its body. (That of Digest may, RFC 7616; HMAC, OAuth 1.0a, AWS and
// whatever else signs does.)
var loginScheme = regexp.MustCompile(`(?i)^(?:Basic|Bearer|Negotiate|NTLM)$`)

// hasDigest reports whether a field of the header, by its name, is a signature or
// a digest of the body, which would be wrong for a changed one: RFC 1864, 9421 and
// 9530, and what webhooks and stores have. Doubt is a yes: a public URL works.
func hasDigest(hdr http.Header) bool {
	for name := range hdr {
		if digestName.MatchString(name) && !connectionName.MatchString(name) {
			return true
		}
	}
	return false
}

var digestName = regexp.MustCompile(`(?i)sign|hmac|digest|checksum|hash|md5|sha-?(?:1|256|384|512)|(?:^|[-_])sig(?:[-_]|$)`)

// hasSignature reports whether a parameter of a query, by its name, is a signature or
// a digest of the others.
func hasSignature(query string) bool {
	for parameter := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(parameter, "=")
		if digestName.MatchString(name) {
			return true
		}
	}
	return false
}

// connectionName is by what a proxy tells of the connection, such as Cloudflare's
// Cf-Ja3-Hash and HAProxy's X-SSL-Client-SHA1: with each request, whoever sent it.
var connectionName = regexp.MustCompile(`(?i)(?:^|[-_])(?:ja[34]|ssl|tls)(?:[-_]|$)`)

// isFromOwnPage reports whether a page of the site sent r, known whether a browser
// told so at all (Fetch Metadata; Fetch standard, section 3.2; Referer).
func (h *Handler) isFromOwnPage(r *http.Request) (own, known bool) {
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "same-origin" {
		return true, true
	}
	// With a Referrer-Policy that allows none, a form has the origin "null".
	if origin := r.Header.Get("Origin"); origin != "" && origin != "null" {
		return h.isSiteOrigin(origin, r.Host), true
	}
	if page, err := url.Parse(r.Header.Get("Referer")); err == nil && page.Host != "" {
		return h.isSiteOrigin(page.Scheme+"://"+page.Host, r.Host), true
	}
	return false, site == "cross-site" || site == "same-site"
}

// isXML reports whether a Content-Type is XML of no particular kind.
func isXML(contentType string) bool {
	t := mediaType(contentType)
	return t == "text/xml" || t == "application/xml"
}
