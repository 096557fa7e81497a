package caddymodule

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// uniqueNames is an app that stores an uploaded file as WordPress does: under a
// name that no file in its directory has. Between the look and the write there
// is time for others.
func uniqueNames(uploads string) appFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		file, header, err := r.FormFile("async-upload")
		if err != nil {
			return caddyhttp.Error(http.StatusBadRequest, err)
		}
		defer file.Close()
		content, err := io.ReadAll(file)
		if err != nil {
			return err
		}
		ext := filepath.Ext(header.Filename)
		base := strings.TrimSuffix(header.Filename, ext)
		name := base + ext
		for n := 1; ; n++ {
			if _, err := os.Lstat(filepath.Join(uploads, name)); err != nil {
				break
			}
			name = base + "-" + strconv.Itoa(n) + ext
		}
		time.Sleep(5 * time.Millisecond) // as an app that does something else meanwhile
		if err := os.WriteFile(filepath.Join(uploads, name), content, 0o644); err != nil {
			return err
		}
		_, err = io.WriteString(w, name)
		return err
	}
}

// twoNodes are two servers with a disk each and one bucket, in one Caddy: a request
// with the header `X-Node: other` goes to the other one. Their app stores uploads as
// WordPress does.
type twoNodes struct {
	*testSite
	other *testSite
	nodes []*testSite
}

func newTwoNodes(t *testing.T) *twoNodes {
	t.Helper()
	other, s := newTestSite(t, nil), newTestSite(t, nil)
	testApps.Store(s.appName, uniqueNames(s.uploads))
	testApps.Store("other", uniqueNames(other.uploads))
	t.Cleanup(func() { testApps.Delete("other") })
	nodes := []*testSite{s, other}
	// One configuration refuses two sites with one bucket, but a server may have two
	// addresses.
	server := buckettest.StartVersityGW(t)
	for site, endpoint := range map[*testSite]string{s: server.Endpoint, other: strings.Replace(server.Endpoint, "127.0.0.1", "localhost", 1)} {
		site.handler["bucket"] = map[string]any{
			"url": "s3://" + server.Bucket, "endpoint": endpoint, "access_key": server.AccessKey, "secret_key": server.SecretKey,
		}
		site.handler["hold"], site.handler["ready_wait"] = "60s", "60s"
	}
	s.before = []map[string]any{{"handler": "subroute", "routes": []any{map[string]any{
		"match":  []any{map[string]any{"header": map[string]any{"X-Node": []string{"other"}}}},
		"handle": []any{other.handler, map[string]any{"handler": "file_server", "root": other.docRoot, "pass_thru": true}, map[string]any{"handler": "test_app", "name": "other"}},
	}}}}
	s.after = []map[string]any{{"handler": "file_server", "root": s.docRoot, "pass_thru": true}}
	s.client.Timeout = 2 * time.Minute
	return &twoNodes{s, other, nodes}
}

// TestTwoNodes sends uploads of one name through two servers with a disk each
// and one bucket, some at the same moment: all are kept, each under a name of
// its own, and both servers have all.
//
// Promise 6: "Every node sees what a shared disk would show. Before PHP runs for an
// upload, the node has caught up with the change log, so that the app's own check whether
// a name is taken (file_exists, scandir) is right. What one node wrote, all others can
// serve as soon as the answer is out."
func TestTwoNodes(t *testing.T) {
	const each, atOnce = 12, 3
	s := newTwoNodes(t)
	other := s.other
	s.start()

	var mu sync.Mutex
	contents := make(map[string]string) // by name
	var wg sync.WaitGroup
	for i := range 2 * atOnce {
		node := [2]string{"", "other"}[i%2]
		wg.Go(func() {
			for range each / atOnce {
				content := randomText(t)
				name, err := s.uploadTo(node, "photo.jpg", content)
				if err != nil {
					t.Error(err)
					return
				}
				for _, reader := range []string{"", "other"} {
					if got, err := s.fetchFrom(reader, name); err != nil || got != content {
						t.Errorf("%s, uploaded through %q, read through %q: %.20q, %v; want %.20q", name, node, reader, got, err, content)
					}
				}
				mu.Lock()
				if _, twice := contents[name]; twice {
					t.Errorf("%s was given twice", name)
				}
				contents[name] = content
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(contents) != 2*each {
		t.Errorf("%d names for %d uploads", len(contents), 2*each)
	}
	eventually(t, "both disks with all files", func() bool {
		for name, content := range contents {
			for _, dir := range []string{s.uploads, other.uploads} {
				if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
					return false
				}
			}
		}
		return true
	})
	for _, e := range liveEngines() {
		if stats := e.engine.Stats(); stats.Conflicts != 0 || stats.Nodes != "several" || stats.Fetched == 0 {
			t.Errorf("%s: %d conflicts, nodes %q, %d files fetched", e.site, stats.Conflicts, stats.Nodes, stats.Fetched)
		}
	}
}

func randomText(t *testing.T) string {
	b := make([]byte, 2000)
	if _, err := rand.Read(b); err != nil {
		t.Error(err)
	}
	return hex.EncodeToString(b)
}

// uploadTo uploads a file through a node and returns its name there.
func (s *testSite) uploadTo(node, name, content string) (string, error) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("async-upload", name)
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(part, content); err != nil {
		return "", err
	}
	w.Close()
	return s.through(node, http.MethodPost, "/up", w.FormDataContentType(), &body)
}

// fetchFrom gets a media file through a node.
func (s *testSite) fetchFrom(node, name string) (string, error) {
	return s.through(node, http.MethodGet, "/wp-content/uploads/"+name, "", nil)
}

func (s *testSite) through(node, method, path, contentType string, body io.Reader) (string, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url(path), body)
	if err != nil {
		return "", err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if node != "" {
		r.Header.Set("X-Node", node)
	}
	response, err := s.client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: status %d", method, path, response.StatusCode)
	}
	return string(text), err
}
