package publiccheck

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/publiccheck/publictest"
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
			server, log := publictest.NewServer(t, test.answer), new(logLines)
			c, err := New(Config{
				PublicURL: server.URL + "/site1/media/", CORS: Refuse, Log: slog.New(slog.NewTextHandler(log, nil)),
				Hidden: func(context.Context) ([]string, string, error) { return names, "site1/media/", nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			for range 3 {
				c.Served(pageOf("https://site.test"))
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
