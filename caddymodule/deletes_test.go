package caddymodule

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/web"
)

// trashed are the keys in the trash.
func trashed(t *testing.T) (keys []string) {
	t.Helper()
	for item, err := range theEngine(t).engine.Trash().List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, item.Key)
	}
	return keys
}

// TestDeletesBeforeTheAppIsAtWork: while a request arrives its app has not begun, and
// what is deleted meanwhile is not its doing: it goes by way of the trash. What the app
// deletes once it has the whole request goes at once.
//
// Promise 8: "What a process deletes while the module watches is deleted: by a request
// at once, otherwise by way of the trash, from which it can be taken back".
func TestDeletesBeforeTheAppIsAtWork(t *testing.T) {
	contentType, body := multipartUpload(t, "", 100_000)
	form := "action=x&text=" + repeat("x", 500)
	for name, u := range map[string]upload{
		"an upload":        {method: "POST", path: "/up", header: []string{"Content-Type", contentType}, body: body},
		"a form":           {method: "POST", path: "/wp-admin/admin-ajax.php", header: []string{"Content-Type", formType}, body: form},
		"a short form":     {method: "POST", path: "/wp-login.php", header: []string{"Content-Type", formType}, body: "log=a"},
		"JSON":             {method: "POST", path: "/wp-json/wp/v2/media/1", header: []string{"Content-Type", "application/json"}, body: `{"name":"photo.jpg","text":"` + form + `"}`},
		"a PUT":            {method: "PUT", path: "/files/photo.jpg", body: form},
		"a PUT that stops": {method: "PUT", path: "/files/photo.jpg", body: form + repeat("x", web.GatherLimit)},
	} {
		t.Run(name, func(t *testing.T) {
			entered := make(chan struct{})
			var s *testSite
			s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
				close(entered)
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return err
				}
				if err := os.Remove(filepath.Join(s.uploads, "app.jpg")); err != nil {
					return err
				}
				_, err := io.WriteString(w, "done")
				return err
			}))
			s.handler["deletes"] = "always"
			s.handler["slow_body_after"] = "100ms"
			s.start()
			s.upload(map[string]string{"shell.jpg": "content", "app.jpg": "content"})
			slow := s.beginUpload("", u, len(u.body)-1)
			if u.method == http.MethodPut && len(u.body) < web.GatherLimit {
				brought(t, "photo", 1) // the app does not hear of it yet
			} else {
				<-entered
			}
			if len(u.body) > web.GatherLimit {
				eventually(t, "the PUT to be found slow", func() bool { return strings.Contains(s.lease(), `"free"`) })
			}
			if err := os.Remove(filepath.Join(s.uploads, "shell.jpg")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the object to go", func() bool { _, err := s.object("media/shell.jpg"); return err != nil })
			if got := strings.Join(trashed(t), " "); got != "shell.jpg" {
				t.Errorf("the trash has %q", got)
			}
			if status, text := slow.finish(); status != http.StatusOK || text != "done" {
				t.Fatalf("%d %q", status, text)
			}
			if _, err := s.object("media/app.jpg"); err == nil {
				t.Error("what the app deleted is there after its answer")
			}
			if got := strings.Join(trashed(t), " "); got != "shell.jpg" {
				t.Errorf("after the answer the trash has %q", got)
			}
		})
	}
}
