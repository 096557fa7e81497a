package caddymodule

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClosed: what is closed stays so by every form of the URL that file_server
// understands, by every method, and with any header.
//
// Promise 7: "Private stays private."
func TestClosed(t *testing.T) {
	const base = "/wp-content/uploads/"
	for mode, change := range map[string]func(s *testSite){
		"proxy":    func(*testSite) {},
		"redirect": func(s *testSite) { s.handler["serve"], s.handler["public_url"] = "redirect", publicTestURL },
		"a prefix is cut off": func(s *testSite) {
			s.handler["app"] = map[string]any{"preset": "wordpress", "docroot": s.docRoot, "base_path": "/blog"}
			s.before = []map[string]any{{"handler": "rewrite", "strip_path_prefix": "/blog"}}
		},
	} {
		t.Run(mode, func(t *testing.T) {
			outside := t.TempDir()
			s := newTestSite(t, notFound)
			change(s)
			s.after = []map[string]any{{"handler": "file_server", "root": s.docRoot, "browse": map[string]any{}}}
			for name, content := range map[string]string{
				"woocommerce_uploads/sub/book.pdf": "secret", "woocommerce_uploads/a\\b.pdf": "secret", "woocommerce_uploads/a\x01b.pdf": "secret",
				"woocommerce_uploads/\xff.pdf": "secret", "woocommerce_uploads/a%2Fb.pdf": "secret", "woocommerce_uploads/a b;x=1+ü.pdf": "secret",
				"closed/.htaccess": "Deny from all", "closed/sub/plain.txt": "secret", "closed/sub/dump.sql": "secret", "closed/x.log": "secret",
				"b\\d/.htaccess": "Require all denied", "b\\d/x.txt": "secret",
				"sites/2/woocommerce_uploads/book.pdf": "secret", "open/plain.txt": "open", "open/a\\b.txt": "open", "open/dump.sql": "open",
			} {
				s.writeUpload(name, content)
			}
			if err := os.WriteFile(filepath.Join(outside, "book.pdf"), []byte("secret"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(outside, filepath.Join(s.uploads, "woocommerce_uploads", "elsewhere")); err != nil {
				t.Fatal(err)
			}
			for _, link := range [][2]string{{"../open/plain.txt", "closed/link.txt"}, {"closed", "link"}} {
				if err := os.Symlink(link[0], filepath.Join(s.uploads, link[1])); err != nil {
					t.Fatal(err)
				}
			}
			s.start()
			prefix := ""
			if mode == "a prefix is cut off" {
				prefix = "/blog"
			}
			deny := func(method, path string, header ...string) {
				t.Helper()
				a := s.askRaw(method, prefix+base+path, header...)
				if a.StatusCode < 400 || strings.Contains(a.body, "secret") || strings.Contains(a.body, "book") || strings.Contains(a.body, "plain") {
					t.Errorf("%s %s %v: %d %.40q", method, path, header, a.StatusCode, a.body)
				}
			}
			for _, path := range []string{
				"woocommerce_uploads/sub/book.pdf", "woocommerce_uploads/sub/book.pdf?x=1", "woocommerce_uploads/sub/book.pdf/", "woocommerce_uploads//sub///book.pdf",
				"woocommerce_uploads/./sub/book.pdf", "woocommerce_uploads/sub/../sub/book.pdf", "x/../woocommerce_uploads/sub/book.pdf", "/woocommerce_uploads/sub/book.pdf",
				"../uploads/woocommerce_uploads/sub/book.pdf", "%2e%2e/uploads/woocommerce_uploads/sub/book.pdf", "woocommerce_uploads%2Fsub%2fbook.pdf",
				"woocommerce_uploads%2F..%2Fwoocommerce_uploads/sub/book.pdf", "%77oocommerce_uploads/sub/book.pdf", "woocommerce_uploads/sub/%62ook%2epdf",
				"woocommerce_uploads%252Fsub/book.pdf", "WooCommerce_Uploads/sub/book.pdf", "woocommerce_uploads/sub/BOOK.PDF",
				"woocommerce_uploads/sub/book.pdf.", "woocommerce_uploads/sub/book.pdf%20", "woocommerce_uploads/sub/book.pdf::$DATA", "woocommerce_uploads/sub/book.pdf;x", "woocommerce_uploads/sub/book.pdf%00",
				"woocommerce_uploads%5Csub%5Cbook.pdf", "woocommerce_uploads/a%5Cb.pdf", "woocommerce_uploads/a%01b.pdf", "woocommerce_uploads/%FF.pdf", "woocommerce_uploads/a%252Fb.pdf", "woocommerce_uploads/a%20b;x=1+%C3%BC.pdf",
				"closed/sub/plain.txt", "closed/sub/dump.sql", "closed/x.log", "closed//sub/./plain.txt", "b%5Cd/x.txt", "closed/link.txt", "link/sub/plain.txt", "sites/2/woocommerce_uploads/book.pdf",
				"woocommerce_uploads/", "woocommerce_uploads/sub/", "closed/", "closed/sub/", "woocommerce_uploads/elsewhere/book.pdf",
			} {
				deny("GET", path)
			}
			for _, path := range []string{"woocommerce_uploads/sub/book.pdf", "closed/sub/dump.sql", "closed/sub/", "woocommerce_uploads/sub/book.pdf/"} {
				for _, method := range []string{"HEAD", "POST", "PUT", "PROPFIND", "OPTIONS"} {
					deny(method, path)
				}
				deny("GET", path, "Range", "bytes=0-2")
				deny("GET", path, "Upgrade", "x", "Connection", "Upgrade")
				deny("HEAD", path, "Upgrade", "x")
				deny("POST", path, "X-Http-Method-Override", "GET")
			}
			for _, path := range []string{"open/plain.txt", "open/a%5Cb.txt", "open/dump.sql"} {
				if a := s.askRaw("GET", prefix+base+path); a.body != "open" {
					t.Errorf("%s: %d %q", path, a.StatusCode, a.body)
				}
			}
		})
	}
}

// TestRedirectToPrivateFile: a download that ends in 404 because the app redirects to
// a private file does not do so without a word, nor with many.
func TestRedirectToPrivateFile(t *testing.T) {
	for _, reads := range []string{privateDeny, privateApp} {
		t.Run(reads, func(t *testing.T) {
			var s *testSite
			s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Location", r.URL.Query().Get("to"))
				w.WriteHeader(http.StatusFound)
				return nil
			}))
			s.ownLog = filepath.Join(t.TempDir(), "log")
			s.handler["private_reads"] = reads
			s.start()
			s.uploadGoods(goodsKey, goods)
			s.upload(map[string]string{"a.jpg": "picture"})
			lines := func() int {
				log, err := os.ReadFile(s.ownLog)
				if err != nil {
					t.Fatal(err)
				}
				return strings.Count(string(log), "private_reads")
			}
			for _, to := range []string{"/", "", "/wp-content/uploads/a.jpg", "https://other.test" + goodsURL, "/wp-content/uploads/woocommerce_uploads/none.pdf"} {
				if a := s.get("/?to=" + url.QueryEscape(to)); a.StatusCode != http.StatusFound {
					t.Fatalf("%d", a.StatusCode)
				}
			}
			if n := lines(); n > 0 {
				t.Errorf("%d lines for other redirects", n)
			}
			for range 3 {
				s.get("/?to=" + url.QueryEscape(s.origin()+goodsURL))
				s.get("/?to=" + url.QueryEscape(goodsURL+"?x=1"))
			}
			if n, want := lines(), map[string]int{privateDeny: 1, privateApp: 0}[reads]; n != want {
				t.Errorf("%d lines, want %d", n, want)
			}
		})
	}
}
