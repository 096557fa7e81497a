package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

const (
	productionHost = "www.example.com"
	stagingHost    = "staging.example.com"
)

// editorApp is an app in which files are uploaded, as in a form, and deleted, and
// whose pages show a picture.
func editorApp(uploads string) appFunc {
	unique := uniqueNames(uploads)
	return func(w http.ResponseWriter, r *http.Request) error {
		original := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
		switch original.URL.Path {
		case "/upload":
			return unique(w, r)
		case "/delete":
			return os.RemoveAll(filepath.Join(uploads, r.FormValue("file")))
		}
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		_, err := io.WriteString(w, picturePage)
		return err
	}
}

const picturePage = `<!DOCTYPE html><p><img src="/wp-content/uploads/a.jpg"></p>`

// newEditorSite makes a site that answers for hosts alone (none: for all).
func newEditorSite(t *testing.T, hosts ...string) *testSite {
	s := newTestSite(t, nil)
	s.appName = t.Name() + strings.Join(hosts, " ")
	testApps.Store(s.appName, editorApp(s.uploads))
	t.Cleanup(func() { testApps.Delete(s.appName) })
	s.handler["public_url"] = strings.TrimSuffix(publicTestURL, "/")
	s.handler["health"] = "/health"
	delete(s.handler, "deletes")
	s.server["routes"] = []any{s.route(hosts...)}
	return s
}

// route is that of the site's hosts, as the Caddyfile adapter makes it of an address.
func (s *testSite) route(hosts ...string) map[string]any {
	handlers := []map[string]any{
		s.handler,
		{"handler": "file_server", "root": s.docRoot, "pass_thru": true},
		{"handler": "test_app", "name": s.appName},
	}
	r := map[string]any{"handle": []any{map[string]any{"handler": "subroute", "routes": []any{map[string]any{"handle": handlers}}}}, "terminal": true}
	if len(hosts) > 0 {
		r["match"] = []any{map[string]any{"host": hosts}}
	}
	return r
}

// at sends a request for a host.
func (s *testSite) at(host, method, path, contentType string, body io.Reader) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url(path), body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host, r.Close = host, true
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{Response: response, body: string(text)}
}

// uploadAt uploads a file at a host, and returns the name that it got.
func (s *testSite) uploadAt(host, name, content string) string {
	s.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("async-upload", name)
	if err != nil {
		s.t.Fatal(err)
	}
	_, _ = io.WriteString(part, content)
	w.Close()
	a := s.at(host, http.MethodPost, "/upload", w.FormDataContentType(), &body)
	if a.StatusCode != http.StatusOK {
		s.t.Fatalf("an upload at %s: status %d", host, a.StatusCode)
	}
	return a.body
}

func (s *testSite) deleteAt(host, name string) {
	s.t.Helper()
	s.at(host, http.MethodPost, "/delete?file="+name, "", nil)
}

// everything is all that a directory holds.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// statusOf is the status of the site's engine.
func (s *testSite) statusOf() engineStatus {
	for _, e := range allStatus() {
		if e.Site == s.docRoot {
			return e
		}
	}
	return engineStatus{}
}

func (s *testSite) untilState(state string) engineStatus {
	s.t.Helper()
	eventually(s.t, "the state "+state, func() bool { return s.statusOf().State == state })
	return s.statusOf()
}

// A staging copy, with the disk and the configuration of production but for the
// site's address, changes nothing in production's bucket: not by uploads, deletes or
// overwriting, nor with an odd Host header. Its pages show its pictures, status, health
// and metrics say what it is, and its uploads are answered. If it is the same site after
// all, the line that the log names makes it one.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one." Promise 2: "Nothing is lost."
func TestStagingCopy(t *testing.T) {
	for _, policy := range []string{"all", "own"} {
		for how, command := range map[string]string{"with marks": "cp -a", "without marks": "cp -r"} {
			t.Run(policy+" "+how, func(t *testing.T) {
				prod := newEditorSite(t, productionHost, "example.com")
				prod.handler["local"] = policy
				t.Run("production", func(t *testing.T) {
					prod.t = t
					prod.start()
					prod.uploadAt(productionHost, "a.jpg", "production's picture")
					prod.uploadAt(productionHost, "b.jpg", "another")
					if page := prod.at(productionHost, http.MethodGet, "/", "", nil).body; !strings.Contains(page, publicTestURL+"a.jpg") {
						t.Errorf("production's page: %s", page)
					}
				})
				staging := newEditorSite(t, stagingHost, "127.0.0.1")
				staging.bucket = prod.bucket
				staging.handler["bucket"], staging.handler["local"] = prod.handler["bucket"], policy
				out, err := exec.CommandContext(t.Context(), "sh", "-c", command+` "$1/." "$2"`, "sh", prod.docRoot, staging.docRoot).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				testStagingCopy(t, prod, staging)
			})
		}
	}
}

func testStagingCopy(t *testing.T, prod, staging *testSite) {
	before := everything(t, prod.bucket)
	staging.ownLog = filepath.Join(t.TempDir(), "log")
	staging.server["routes"] = slices.Concat(staging.server["routes"].([]any), []any{map[string]any{"handle": metricsRoute}})
	staging.start()
	status := staging.untilState("guest")
	for _, want := range []string{"staging copy", "site_hosts example.com", "media-offload adopt", stagingHost} {
		if log, _ := os.ReadFile(staging.ownLog); !strings.Contains(status.Reason, want) || !strings.Contains(string(log), want) {
			t.Errorf("status %q and log %q lack %q", status.Reason, log, want)
		}
	}
	if !status.Guest || !status.ReadyForUploads {
		t.Errorf("%+v", status)
	}
	if a := staging.at(stagingHost, http.MethodGet, "/health?for=uploads", "", nil); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"guest":true`) {
		t.Errorf("health: status %d, %s", a.StatusCode, a.body)
	}
	if a := staging.at("metrics.example", http.MethodGet, "/metrics", "", nil); !strings.Contains(a.body, "caddy_media_offload_guest{") || !strings.Contains(a.body, "} 1\n") {
		t.Errorf("metrics: %.200s", a.body)
	}
	begun := time.Now()
	name := staging.uploadAt(stagingHost, "a.jpg", "staging's picture")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("an upload waited %s", took)
	}
	if name != "a-1.jpg" {
		t.Errorf("the upload's name: %s", name)
	}
	staging.writeUpload("a.jpg", "edited on staging")
	staging.deleteAt(stagingHost, "b.jpg")
	for _, host := range []string{productionHost, "127.0.0.1", "evil.example"} {
		staging.at(host, http.MethodPost, "/delete?file=a-1.jpg.none", "", nil)
		staging.at(host, http.MethodGet, "/", "", nil)
	}
	if page := staging.at(stagingHost, http.MethodGet, "/", "", nil).body; page != picturePage {
		t.Errorf("staging's page: %s", page)
	}
	for path, want := range map[string]string{"a.jpg": "edited on staging", "a-1.jpg": "staging's picture"} {
		if got := staging.at(stagingHost, http.MethodGet, "/wp-content/uploads/"+path, "", nil).body; got != want {
			t.Errorf("%s on staging: %q, want %q", path, got, want)
		}
	}
	if a := staging.at(stagingHost, http.MethodGet, "/wp-content/uploads/b.jpg", "", nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("b.jpg, deleted on staging: status %d", a.StatusCode)
	}
	if status = staging.statusOf(); status.Pending != 0 || status.OldestPendingSeconds != 0 || status.GuestFiles != 2 || status.GuestDeletes != 1 {
		t.Errorf("%+v", status)
	}
	var shown strings.Builder
	if err := printStatus(&shown, []engineStatus{status}); err != nil || !strings.Contains(shown.String(), "2 files written and 1 deleted are on this disk alone") {
		t.Errorf("%s, %v", shown.String(), err)
	}
	if after := everything(t, prod.bucket); !maps.Equal(before, after) {
		t.Errorf("the bucket was changed:\n%v\n%v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	if !staging.statusOf().Guest {
		t.Error("it is no guest any more")
	}

	staging.handler["site_hosts"] = []string{productionHost}
	if err := staging.load(); err != nil {
		t.Fatal(err)
	}
	staging.untilState("running")
	eventually(t, "what was uploaded as a guest in the bucket", func() bool {
		content, err := staging.object("media/a-1.jpg")
		return err == nil && content == "staging's picture"
	})
	if content, err := staging.object("media/b.jpg"); err != nil || content != "another" {
		t.Errorf("what a guest deleted: %q, %v", content, err)
	}
	staging.uploadAt(stagingHost, "c.jpg", "of a member")
	if content, err := staging.object("media/c.jpg"); err != nil || content != "of a member" {
		t.Errorf("the answer is out: %q, %v", content, err)
	}
}

// newStagingBeside makes production and a staging site that can run in one Caddy with
// one bucket: it has two names, so that the configuration is not refused.
func newStagingBeside(t *testing.T) (prod, staging *testSite) {
	server := buckettest.StartVersityGW(t)
	prod, staging = newEditorSite(t, productionHost), newEditorSite(t, stagingHost)
	for site, endpoint := range map[*testSite]string{prod: server.Endpoint, staging: strings.Replace(server.Endpoint, "127.0.0.1", "localhost", 1)} {
		site.handler["bucket"] = map[string]any{
			"url": "s3://" + server.Bucket, "endpoint": endpoint, "access_key": server.AccessKey, "secret_key": server.SecretKey,
		}
	}
	return prod, staging
}

// Production and its staging copy at the same time, each with its own disk: what
// happens on staging reaches neither bucket nor disk of production.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one."
func TestStagingBesideProduction(t *testing.T) {
	prod, staging := newStagingBeside(t)
	prod.start()
	prod.uploadAt(productionHost, "a.jpg", "production's picture")
	prod.server["routes"] = []any{prod.route(productionHost), staging.route(stagingHost)}
	if err := prod.load(); err != nil {
		t.Fatal(err)
	}
	staging.t, staging.port = t, prod.port
	staging.untilState("guest")
	for i := range 5 {
		staging.writeUpload("a.jpg", "edited on staging "+strconv.Itoa(i))
		staging.uploadAt(stagingHost, "s.jpg", fmt.Sprint(i))
		staging.deleteAt(stagingHost, "a.jpg")
		prod.uploadAt(productionHost, "p.jpg", fmt.Sprint(i))
	}
	if s := prod.statusOf(); s.Guest || s.Conflicts+s.Fetched+s.RemovedFiles > 0 || s.State != "running" {
		t.Errorf("production: %+v", s)
	}
	want := []string{"a.jpg", "p-1.jpg", "p-2.jpg", "p-3.jpg", "p-4.jpg", "p.jpg"}
	entries, err := os.ReadDir(prod.uploads)
	if err != nil || len(entries) != len(want) {
		t.Errorf("production's disk: %v, %v", entries, err)
	}
	for _, name := range want {
		a := staging.at(stagingHost, http.MethodGet, "/wp-content/uploads/"+name, "", nil)
		if name != "a.jpg" && a.StatusCode != http.StatusOK {
			t.Errorf("%s, read on staging: status %d", name, a.StatusCode)
		}
	}
	if a := prod.at(productionHost, http.MethodGet, "/wp-content/uploads/a.jpg", "", nil); a.body != "production's picture" {
		t.Errorf("a.jpg: %q", a.body)
	}
}

// The hosts of a handler are those of the routes that lead to it, the inner ones where
// they say more; site_hosts are taken as requests name them.
func TestHostsOfRoutes(t *testing.T) {
	inner, outer, open := new(Handler), new(Handler), new(Handler)
	match := func(hosts ...string) caddyhttp.MatcherSets {
		m := caddyhttp.MatchHost(hosts)
		return caddyhttp.MatcherSets{{&m}, {caddyhttp.MatchPath{"/x"}}}
	}
	handlers := func(h ...caddyhttp.MiddlewareHandler) []caddyhttp.MiddlewareHandler { return h }
	at := make(map[*Handler][]string)
	hostsOf(caddyhttp.RouteList{
		{MatcherSets: match("a.example", "*.example"), Handlers: handlers(&caddyhttp.Subroute{Routes: caddyhttp.RouteList{
			{MatcherSets: match("b.example"), Handlers: handlers(inner)},
			{Handlers: handlers(outer)},
		}})},
		{Handlers: handlers(open, &caddyhttp.Subroute{Routes: caddyhttp.RouteList{{MatcherSets: match("c.example"), Handlers: handlers(inner)}}})},
	}, nil, at)
	for h, want := range map[*Handler]string{inner: "[b.example c.example]", outer: "[a.example *.example]", open: "[]"} {
		if got := fmt.Sprint(at[h]); got != want {
			t.Errorf("hosts %s, want %s", got, want)
		}
	}
	if got := fmt.Sprint(configuredHosts([]string{"Bücher.example", "WWW.example.com:8443", "localhost"})); got != "[xn--bcher-kva.example www.example.com localhost]" {
		t.Errorf("site_hosts %s", got)
	}
}

// A site whose address names no host, as behind a load balancer or with domains that the
// app maps, takes writes for all hosts and is known by those that uploads came for;
// health checks and requests with an odd Host say nothing, and X-Forwarded-Host nothing
// either.
func TestHostsOfACatchAll(t *testing.T) {
	s := newEditorSite(t)
	s.start()
	s.untilState("running")
	hosts := func() []string {
		content, err := s.object("offload/site")
		if err != nil {
			t.Fatal(err)
		}
		var identity struct{ Hosts []string }
		if err := json.Unmarshal([]byte(content), &identity); err != nil {
			t.Fatal(err)
		}
		return identity.Hosts
	}
	s.at("evil.example", http.MethodGet, "/health", "", nil)
	s.at("evil.example", http.MethodPost, "/delete?file=none", "", nil)
	s.uploadAt("10.0.0.1", "a.jpg", "by an address")
	s.uploadAt("one.example", "b.jpg", "1")
	s.uploadAt("two.example:8080", "c.jpg", "2")
	for _, name := range []string{"a.jpg", "b.jpg", "c.jpg"} {
		if _, err := s.object("media/" + name); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the hosts", func() bool { return slices.Equal(hosts(), []string{"one.example", "two.example"}) })
	if s.statusOf().Guest {
		t.Error("it is a guest")
	}
}
