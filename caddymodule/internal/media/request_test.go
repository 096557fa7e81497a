package media

import (
	"net/http"
	"strings"
	"testing"
)

// request builds a RequestInfo from "METHOD /path?query" and headers, each as
// "Name: value".
func request(line string, headers ...string) RequestInfo {
	method, target, _ := strings.Cut(line, " ")
	path, query, _ := strings.Cut(target, "?")
	r := RequestInfo{Method: method, Path: path, Query: query, Header: http.Header{}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}

// Promise 4: "admin screens, editor APIs, downloads […] are not rewritten".
func TestNoRewriteWordPress(t *testing.T) {
	const front, admin = "Referer: https://example.com/shop/?page=2", "Referer: https://example.com/wp-admin/post.php?post=1&action=edit"
	const site, nonce = "Referer: https://example.com/wp-admin/site-editor.php?p=%2F", "X-WP-Nonce: 0a1b2c3d4e"
	tests := []struct {
		request RequestInfo
		want    bool
	}{
		{request("GET /"), false},
		{request("GET /2026/11/post/"), false},
		{request("GET /?p=1&preview=true"), false},
		{request("GET /feed/"), false},
		{request("POST /checkout/"), false},
		{request("GET /wp-administration/"), false},
		{request("GET /category/wp-admin"), false},
		{request("GET /wp-json/wp/v2/posts"), false},
		{request("GET /wp-json/oembed/1.0/embed?url=x"), false},
		{request("GET /?rest_route=/wp/v2/posts"), false},
		{request("GET /wp-json/wp/v2/posts?context=view"), false},
		{request("GET /private/", "Authorization: Basic eDp5"), false}, // a site behind a password
		{request("GET /wp-content/uploads/a.css"), false},

		{request("GET /wp-admin/"), true},
		{request("GET /wp-admin/upload.php"), true},
		{request("GET //wp-admin//upload.php"), true},
		{request("GET /WP-Admin/upload.php"), true},
		{request("POST /wp-admin/async-upload.php"), true},
		{request("GET /wp-admin/export.php?download=true"), true},
		{request("GET /site2/wp-admin/"), true},
		{request("GET /wp/wp-admin/"), true},
		{request("GET /wp-admin/network/sites.php"), true},
		{request("GET /wp-login.php"), true},
		{request("POST /xmlrpc.php"), true},
		{request("GET /wp-json/wp/v2/posts", "X-WP-Nonce: 0a1b2c3d4e"), true},
		{request("GET /wp-json/wp/v2/posts", "Authorization: Basic eDp5"), true},
		{request("GET /wp-json/wp/v2/posts/1?context=edit"), true},
		{request("GET /?rest_route=/wp/v2/posts/1&context=edit"), true},
		{request("GET /?rest_route=%2Fwp%2Fv2%2Fposts", "Authorization: Basic eDp5"), true},
		{request("POST /?rest_route=/wp/v2/media"), true},
		{request("GET /wp-json/wp/v2/posts?_wpnonce=0a1b"), true},
		{request("POST /wp-json/wp/v2/media"), true},
		{request("DELETE /wp-json/wp/v2/media/1?force=true"), true},
		{request("POST /graphql", "Authorization: Bearer x"), true},
		{request("GET /?customize_changeset_uuid=1-2&customize_theme=x"), true},
		{request("GET /page/?et_fb=1"), true},
		{request("GET /page/?elementor%2Dpreview=5"), true},
		{request("GET /page/?bricks=run"), true},
		{request("GET /page/?bricks=wall"), false},

		{request("POST /wp-admin/admin-ajax.php", front), false},
		{request("POST /wp-admin/admin-ajax.php", admin), true},
		{request("POST /wp-admin/admin-ajax.php"), true}, // nobody knows for whom
		{request("POST /wp-admin/admin-ajax.php", "Referer: :%zz"), true},
		{request("POST /wp-admin/admin-ajax.php", "Referer: https://example.com/page/?et_fb=1"), true},
		{request("GET /wp-admin/admin-ajax.php?action=query-attachments", front), true},
		{request("GET /wp-json/x/v1/y", "Referer: https://example.com/page/?fl_builder"), true},
		{request("GET /wp-json/x/v1/y", front), false},

		// WordPress sends a nonce with the requests of every script, a visitor's
		// as well: the shop's blocks, forms, searches.
		{request("GET /wp-json/wc/store/v1/products?per_page=9", nonce, front), false},
		{request("GET /wp-json/wc/store/v1/products?per_page=9", nonce), false}, // a browser that tells no page
		{request("POST /wp-json/wc/store/v1/cart/add-item", nonce, front), false},
		{request("POST /wp-json/wc/store/v1/batch", nonce), false},
		{request("POST /wp-json/wc/store/v1/batch", "Nonce: 0a1b"), false},
		{request("GET /?rest_route=/wc/store/v1/products", nonce), false},
		{request("POST /index.php?rest_route=%2Fwc%2Fstore%2Fv1%2Fbatch&_locale=user", nonce, front), false},
		{request("GET /index.php/wp-json/wc/store/v1/products", nonce), false},
		{request("GET /shop2/wp-json/wc/store/v1/products", nonce), false},
		{request("GET /wp-json/wp/v2/posts?search=x", nonce, front), false},
		{request("GET /?rest_route=/wp/v2/posts", nonce, front), false},
		{request("POST /wp-json/contact-form-7/v1/contact-forms/5/feedback", front), false},

		{request("GET /wp-json/wc/store/v1/products", nonce, admin), true}, // the editor's view of a shop's block
		{request("POST /wp-json/wc/store/v1/batch", nonce, admin), true},
		{request("GET /?rest_route=/wc/store/v1/products", nonce, admin), true},
		{request("GET /wp-json/wp/v2/media/5?context=view", nonce, admin), true},
		{request("GET /wp-json/wp/v2/media/5?context=view", nonce, site), true},
		{request("GET /wp-json/wp/v2/posts", nonce), true}, // nobody knows for whom
		{request("GET /?rest_route=/wp/v2/posts", nonce), true},
		{request("POST /wp-json/x/v1/y"), true},
		{request("POST /wp-json/x/v1/y", nonce, admin), true},
		// Only editors ask for these.
		{request("GET /wp-json/wp/v2/block-renderer/core/latest-posts", nonce, front), true},
		{request("GET /wp-json/oembed/1.0/proxy?url=x", nonce, front), true},
		{request("GET /wp-json/wp-block-editor/v1/url-details?url=x", nonce, front), true},
		{request("GET /wp-json/wp/v2/templates/x//single", nonce, front), true},
		{request("GET /wp-json/wp/v2/global-styles/5", nonce, front), true},
		{request("GET /?rest_route=/wp/v2/blocks/5", nonce, front), true},
		{request("POST /wp-json/batch/v1", nonce, front), true},
		{request("POST /wp-json/wp/v2/posts/5/autosaves", nonce, front), true},
		{request("PUT /wp-json/wc/v3/products/5", front), true},
	}
	s := wordpressSite(t)
	for _, tt := range tests {
		if got := s.NoRewrite(tt.request); got != tt.want {
			t.Errorf("NoRewrite(%+v) = %v", tt.request, got)
		}
	}
}

func TestMayWriteWordPress(t *testing.T) {
	s := wordpressSite(t)
	for line, want := range map[string]bool{
		"POST /":                            true,
		"PUT /x":                            true,
		"PATCH /x":                          true,
		"DELETE /wp-json/wp/v2/media/1":     true,
		"PROPFIND /dav":                     true, // what is not known to be safe may write
		"GET /":                             false,
		"GET /?p=1":                         false,
		"GET /wp-json/wp/v2/media":          false,
		"GET /wp-content/uploads/a.jpg":     false,
		"HEAD /wp-admin/upload.php":         false,
		"OPTIONS /wp-admin/upload.php":      false,
		"GET /wp-admin/js/common.min.js":    false,
		"GET /wp-admin/load-styles.php?c=1": false,
		"GET /wp-admin/post.php?action=delete&post=1&_wpnonce=0a":     true,
		"GET /wp-admin/upload.php?action=delete&media%5B%5D=1":        true,
		"GET /site2/wp-admin/upload.php?action=delete":                true,
		"GET /wp-admin/admin-ajax.php?action=regenerate":              true,
		"GET /wp-json/wp/v2/media/1?_method=DELETE&force=true":        true,
		"GET /?rest_route=/wp/v2/media/1&_method=DELETE&force=true":   true,
		"GET /?rest_route=/wp/v2/media/1&%5Fmethod=DELETE&force=true": true,
	} {
		r := request(line)
		if got := s.MayWrite(r.Method, r.Path, r.Query); got != want {
			t.Errorf("MayWrite(%s) = %v", line, got)
		}
	}
}

func TestRequestsInSubdirectories(t *testing.T) {
	s := mustNew(t, Config{
		Preset: "joomla", DocRoot: "/j", BasePath: "/cms", Subsites: []string{"/de"},
		NoRewrite: []string{"/tools/"}, MayWrite: []string{"/cron.php"},
	})
	for line, want := range map[string]bool{
		"GET /cms/administrator/index.php":     true,
		"GET /cms/administrator/":              true,
		"GET /cms/de/administrator/index.php":  true,
		"GET /cms//administrator/index.php":    true,
		"GET /administrator/index.php":         false, // not this app's
		"GET /cmsx/administrator/index.php":    false,
		"GET /cms/dex/administrator/index.php": false,
		"GET /cms/tools/x":                     true,
		"GET /cms/de/tools/x":                  true,
		"GET /tools/x":                         false,
		"GET /cms/x/tools/x":                   false,
		"GET /cms":                             false,
		"GET /cms/":                            false,
		"GET /cms/index.php?option=com_media":  true,
		"GET /elsewhere?layout=edit":           true, // a sign that needs no path
	} {
		if got := s.NoRewrite(request(line)); got != want {
			t.Errorf("NoRewrite(%s) = %v", line, got)
		}
	}
	for line, want := range map[string]bool{
		"GET /cms/cron.php?x": true, "GET /cron.php": false, "GET /cms/administrator/index.php": true, "GET /cms/": false,
	} {
		r := request(line)
		if got := s.MayWrite(r.Method, r.Path, r.Query); got != want {
			t.Errorf("MayWrite(%s) = %v", line, got)
		}
	}
}

func TestGenericKnowsNoRequests(t *testing.T) {
	s := mustNew(t, Config{Roots: []Root{{Dir: "/srv/m", URL: "/m/"}}})
	if s.NoRewrite(request("GET /wp-admin/?context=edit")) || s.MayWrite("GET", "/wp-admin/", "") || !s.MayWrite("POST", "/", "") {
		t.Error("generic has rules of an app")
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET", "/wp-admin/x", "a=b&c", "https://example.com/?et_fb=1")
	f.Add("", "", "%zz=%&&=;[", ":")
	f.Add("POST", strings.Repeat("/", 3000), "action[]=1", "\x00")
	s := mustNew(f, Config{Preset: "wordpress", DocRoot: "/w", BasePath: "/b", Subsites: []string{"/s"}})
	f.Fuzz(func(t *testing.T, method, path, query, referer string) {
		r := RequestInfo{Method: method, Path: path, Query: query, Header: http.Header{"Referer": {referer}}}
		s.NoRewrite(r)
		if !s.MayWrite(method, path, query) && isWrite(method) {
			t.Errorf("MayWrite(%q) = false", method)
		}
		if !s.NoRewrite(RequestInfo{Method: method, Path: "/b/wp-admin/" + path, Query: query, Header: r.Header}) &&
			!strings.Contains(strings.ToLower(path), "admin-ajax.php") {
			t.Errorf("an admin screen is rewritten: %q", path)
		}
	})
}

func BenchmarkNoRewrite(b *testing.B) {
	s := wordpressSite(b)
	page := request("GET /2026/11/a-post-with-a-title/?utm_source=x", "Referer: https://example.com/", "Accept: text/html")
	b.ReportAllocs()
	for b.Loop() {
		s.NoRewrite(page)
	}
}

// BenchmarkNoRewritePlain is BenchmarkNoRewrite without a query, as most requests are.
func BenchmarkNoRewritePlain(b *testing.B) {
	s := wordpressSite(b)
	page := request("GET /2026/11/a-post-with-a-title/", "Referer: https://example.com/", "Accept: text/html")
	b.ReportAllocs()
	for b.Loop() {
		s.NoRewrite(page)
	}
}

func BenchmarkMayWrite(b *testing.B) {
	s := wordpressSite(b)
	b.ReportAllocs()
	for b.Loop() {
		s.MayWrite(http.MethodGet, "/2026/11/a-post-with-a-title/", "utm_source=x")
	}
}
