package web

import (
	"net/http"
	"strconv"
	"strings"
)

// The ETag of a changed page is the app's with a mark behind it, which tells what
// was made of the page: of "abc" becomes W/"abc~mo0123456789abcdef". It is weak:
// a part of one page does not go with a part of another.

const (
	// tagMark and weakTagMark stand before the sum; the second one says that the
	// app's ETag is weak as well.
	tagMark, weakTagMark = "~mo", "~mw"
	sumDigits            = 16
	// maxTag is the size in bytes of the longest ETag of the app's that gets a mark.
	maxTag = 256
)

// markedTag returns the ETag of a page of which something was made. app is the app's
// ETag, or "" if it has none.
func markedTag(app string, sum uint64) (tag string, ok bool) {
	mark, opaque := tagMark, ""
	if app != "" {
		var weak bool
		if opaque, weak, ok = parseTag(app); !ok || len(opaque) > maxTag {
			return "", false
		}
		if weak {
			mark = weakTagMark
		}
	}
	digits := strconv.FormatUint(sum, 16)
	return `W/"` + opaque + mark + strings.Repeat("0", sumDigits-len(digits)) + digits + `"`, true
}

// unmarkedTag returns the app's ETag of a marked one; "" if the app had none.
func unmarkedTag(tag string) (app string, ok bool) {
	opaque, weak, ok := parseTag(tag)
	at := len(opaque) - sumDigits - len(tagMark)
	if !ok || !weak || at < 0 || !isHex(opaque[at+len(tagMark):]) {
		return "", false
	}
	switch opaque[at : at+len(tagMark)] {
	case tagMark:
		if at == 0 {
			return "", true
		}
		return `"` + opaque[:at] + `"`, true
	case weakTagMark:
		return `W/"` + opaque[:at] + `"`, true
	}
	return "", false
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// parseTag returns what stands between the quotes of an ETag (RFC 9110, section
// 8.8.3).
func parseTag(tag string) (opaque string, weak, ok bool) {
	opaque, weak = strings.CutPrefix(tag, "W/")
	if len(opaque) < 2 || opaque[0] != '"' || strings.IndexByte(opaque[1:], '"') != len(opaque)-2 {
		return "", false, false
	}
	return opaque[1 : len(opaque)-1], weak, true
}

// eachTag calls f for each ETag in the values of If-None-Match or If-Match, until it
// returns false. What is none ends a value.
func eachTag(values []string, f func(tag string) bool) {
	for _, rest := range values {
		for {
			rest = strings.TrimLeft(rest, " \t,")
			begin := strings.IndexByte(rest, '"')
			if begin != 0 && !strings.HasPrefix(rest, `W/"`) {
				break
			}
			end := strings.IndexByte(rest[begin+1:], '"')
			if end < 0 {
				break
			}
			end += begin + 2
			if !f(rest[:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// sameTag reports whether two ETags are equal in the weak sense (RFC 9110, section
// 8.8.3.2).
func sameTag(a, b string) bool { return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/") }

// withAppTags returns r with the app's ETags in If-Match, whichever of its pages
// they came with: a client of an API that has read something sends them along when
// it writes.
func withAppTags(r *http.Request) *http.Request {
	marked := false
	var tags []string
	eachTag(r.Header["If-Match"], func(tag string) bool {
		if app, ok := unmarkedTag(tag); ok && app != "" {
			tag, marked = app, true
		}
		tags = append(tags, tag)
		return true
	})
	if !marked {
		return r
	}
	r2 := r.WithContext(r.Context())
	r2.Header = r.Header.Clone()
	r2.Header.Set("If-Match", strings.Join(tags, ", "))
	return r2
}
