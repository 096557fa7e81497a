package offload

import "testing"

// A folder that is closed but for pictures, as PrestaShop closes its own, keeps
// these public; the option `public` opens what an .htaccess closes; and the log
// names the line that nobody but Apache can decide.
func TestHtaccessByName(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.openly = []string{"/given/"}
	s.ready()
	s.mustRequest(func() {
		s.write("img/.htaccess", "Require all denied\n<Files ~ \"(?i)^.*\\.(jpg|png)$\">\nRequire all granted\n</Files>\n")
		s.write("img/1/product.jpg", "picture")
		s.write("img/1/product.zip", "source")
		s.write("given/.htaccess", "Require all denied")
		s.write("given/a.jpg", "given")
		s.write("odd/.htaccess", "Order allow,deny\nAllow from env=ours\n")
		s.write("odd/a.jpg", "odd")
	})
	compare(t, map[string]string{"img/1/product.jpg": "picture", "given/a.jpg": "given"}, s.objects())
	compare(t, map[string]string{"img/1/product.zip": "source", "odd/a.jpg": "odd"}, s.private())
	for key, want := range map[string]bool{"img/1/product.jpg": false, "img/1/product.zip": true, "img/1/": true, "given/a.jpg": false, "odd/a.jpg": true} {
		if got := s.e.Closed(key); got != want {
			t.Errorf("Closed(%q) = %v", key, got)
		}
	}
	s.mustRequest(func() { s.write("odd/b.jpg", "odd too") })
	if n := s.logs.count(`line=2 text="Allow from env=ours"`); n != 1 {
		t.Errorf("%d lines in the log", n)
	}
}
