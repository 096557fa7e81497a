package caddymodule

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestSiblingURL(t *testing.T) {
	for _, test := range []struct{ public, prefix, name, want string }{
		{"https://cdn.test/media/", "media/", "private/a b.zip", "https://cdn.test/private/a%20b.zip"},
		{"https://cdn.test/site1/media/", "site1/media/", "site1/private/a.zip", "https://cdn.test/site1/private/a.zip"},
		{"https://cdn.test/media/", "site1/media/", "site1/offload/log/1", "https://cdn.test/offload/log/1"},
		{"https://cdn.test/bucket/site1/media/", "site1/media/", "other/a", "https://cdn.test/bucket/other/a"},
		{"https://cdn.test/wp-content/uploads/", "uploads/", "private/a", "https://cdn.test/wp-content/private/a"},
		{"https://cdn.test/media/", "site1/media/", "other/a", ""},
		{"https://cdn.test/", "media/", "private/a", ""},
		{"https://media/", "media/", "private/a", ""},
		{"https://cdn.test/files/", "site1/media/", "site1/private/a", ""},
		{"https://cdn.test/files/", "", "private/a", ""},
	} {
		got, ok := siblingURL(test.public, test.prefix, test.name)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%s beside %s at %s: %q, %v, want %q", test.name, test.prefix, test.public, got, ok, test.want)
		}
	}
}

// TestExposure: a public URL that shows private files or control objects is
// reported, once for each of the two.
//
// Promise 7: "Private and ignored files, control objects and the app's code are
// never readable […]".
func TestExposure(t *testing.T) {
	names := []string{"site1/private/a b.zip", "site1/offload/log/1"}
	there := func(paths ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !slices.Contains(paths, r.URL.Path) {
				w.WriteHeader(http.StatusForbidden)
			}
		}
	}
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		logged []string // parts of lines
	}{
		{"nothing", there(), nil},
		{"private files", there("/site1/private/a b.zip"), []string{"/site1/private/a%20b.zip"}},
		{"all", there("/site1/private/a b.zip", "/site1/offload/log/1"), []string{"/site1/private/a%20b.zip", "/site1/offload/log/1"}},
		{"something for every URL", func(http.ResponseWriter, *http.Request) {}, nil},
		{"broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, log := newPublicServer(t, test.answer), new(logLines)
			c := &exposureCheck{
				asker: newAsker(), publicURL: server.URL + "/site1/media/", log: slog.New(slog.NewTextHandler(log, nil)),
				hidden: func(context.Context) ([]string, string, error) { return names, "site1/media/", nil },
			}
			t.Cleanup(c.close)
			c.served(&page{}) // was not rewritten
			if asked := server.requests(); len(asked) > 0 {
				t.Errorf("asked %q for a page without media", asked)
			}
			for range 3 {
				c.served(pageOf("https://site.test"))
			}
			c.asking.Wait()
			lines := strings.Split(strings.TrimSpace(log.all()), "\n")
			if test.logged == nil {
				test.logged = []string{""}
			}
			if len(lines) != len(test.logged) {
				t.Fatalf("logged %q", lines)
			}
			for i, part := range test.logged {
				if !strings.Contains(lines[i], part) || part == "" && lines[i] != "" {
					t.Errorf("logged %q, not of %q", lines[i], part)
				}
			}
		})
	}
}

// TestExposureOfBucket: what is asked for is a private file that the bucket has.
func TestExposureOfBucket(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, html(`<img src="/wp-content/uploads/a.jpg">`)))
	server := newPublicServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.FileServer(http.Dir(s.bucket)).ServeHTTP(w, r)
	})
	s.handler["public_url"] = server.URL + "/media"
	s.start()
	s.upload(map[string]string{"a.jpg": "picture"})
	s.uploadGoods(goodsKey, goods)
	if a := s.get("/"); !strings.Contains(a.body, server.URL) {
		t.Fatalf("page: %s", a.body)
	}
	eventually(t, "the check", func() bool { return slices.Contains(server.requests(), " /private/"+goodsKey) })
}
