//go:build integration

package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// TestReadWithoutLocalCopy removes the local files by hand: pages and pictures
// still work.
func TestReadWithoutLocalCopy(t *testing.T) {
	for _, store := range allStores {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 3*time.Minute)
			w := newWorld(t, worldOptions{store: store, https: true, options: []string{"deletes requests"}})
			client := login(t, ctx, w.site)
			post, images := w.gallery(ctx, client)
			content := w.removeLocalCopies(ctx)

			w.pageComesFromBucket(ctx, client, post)
			for key, want := range content {
				if got := get(t, ctx, w.publicURL+"/"+key); !bytes.Equal(got, want) {
					t.Errorf("%s from the public URL has other bytes", key)
				}
			}
			key, want := largest(content)
			for _, protocol := range w.protocols(t) {
				t.Run(protocol.name, func(t *testing.T) {
					testReads(t, ctx, protocol.client, protocol.site+"/wp-content/uploads/"+key, want)
				})
			}
			w.editWithoutLocalCopy(ctx, client, images)
		})
	}
}

// TestServeRedirect and presigned URLs lead to the object.
func TestServeRedirect(t *testing.T) {
	for _, serve := range []string{"redirect", "presign"} {
		t.Run(serve, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 2*time.Minute)
			w := newWorld(t, worldOptions{store: onVersitygw, options: []string{"serve " + serve, "deletes requests"}})
			client := login(t, ctx, w.site)
			must1(client.UploadGrid(ctx, sample.JPEG("photo.jpg", 0.3, 1)))(t)
			for key, want := range w.removeLocalCopies(ctx) {
				resp := must1(client.Do(ctx, http.MethodGet, "/wp-content/uploads/"+key, nil, nil, http.StatusFound))(t)
				if got := get(t, ctx, resp.Header.Get("Location")); !bytes.Equal(got, want) {
					t.Errorf("%s has other bytes at %s", key, resp.Header.Get("Location"))
				}
			}
		})
	}
}

// gallery uploads pictures and publishes an article that shows them.
func (w *world) gallery(ctx context.Context, client *wp.Client) (*wp.Post, []*wp.Attachment) {
	w.t.Helper()
	var images []*wp.Attachment
	for i := range 2 {
		id := must1(client.UploadGrid(ctx, sample.JPEG(fmt.Sprintf("Bild %d ü 😀.jpg", i), 2, uint64(i))))(w.t)
		images = append(images, must1(client.Attachment(ctx, id))(w.t))
	}
	return must1(client.Publish(ctx, "Gallery", wp.Gallery(images), images[0].ID))(w.t), images
}

// removeLocalCopies removes all media from disk, with no request running, and
// returns what they were.
func (w *world) removeLocalCopies(ctx context.Context) map[string][]byte {
	w.t.Helper()
	w.settle(ctx)
	defer w.settle(ctx)
	content := map[string][]byte{}
	for _, key := range must1(check.Files(w.site.Uploads()))(w.t) {
		path := filepath.Join(w.site.Uploads(), key)
		content[key] = must1(os.ReadFile(path))(w.t)
		must(w.t, os.Remove(path))
	}
	return content
}

// settle returns when the module has seen all changes on disk so far: a file
// that is written after them is in the bucket. It takes longer than a request
// whose answer the client has takes to end.
func (w *world) settle(ctx context.Context) {
	w.t.Helper()
	w.settled++
	name := fmt.Sprintf("settle-%d.txt", w.settled)
	must(w.t, os.WriteFile(filepath.Join(w.site.Uploads(), name), []byte(name), 0o644))
	w.waitObject(ctx, "media/"+name)
}

var mediaReference = regexp.MustCompile(`https?:[^"'\s<>\\]*?\.(?:jpg|png|jpeg)`)

// pageComesFromBucket fetches an article as a visitor does: every picture of
// it is at the public URL.
//
// Promise 3: "A page is rewritten from memory and local disk alone." The
// files are gone from disk here; what is committed is known nevertheless.
func (w *world) pageComesFromBucket(ctx context.Context, client *wp.Client, post *wp.Post) {
	w.t.Helper()
	var references, local []string
	// For a moment after a file has gone the module waits whether more will,
	// and calls none of them committed.
	waitFor(w.t, 3*time.Second, "page without local URLs", func() bool {
		references = mediaReference.FindAllString(string(get(w.t, ctx, post.Link)), -1)
		local = slices.DeleteFunc(slices.Clone(references), func(reference string) bool { return strings.HasPrefix(reference, w.publicURL+"/") })
		return len(local) == 0
	})
	if len(references) < 10 || len(local) > 0 {
		w.t.Fatalf("of the article's %d references to pictures not at the public URL: %v", len(references), local)
	}
	for _, reference := range references {
		get(w.t, ctx, reference)
	}
}

// editWithoutLocalCopy crops a picture that is not on disk: WordPress fetches
// it over HTTP from the very site, while its own request is held.
func (w *world) editWithoutLocalCopy(ctx context.Context, client *wp.Client, images []*wp.Attachment) {
	w.t.Helper()
	before := must1(w.bucket.Objects(ctx))(w.t)
	start := time.Now()
	must(w.t, client.Crop(ctx, images[0].ID, 10, 10, 200, 150))
	if took := time.Since(start); took > 8*time.Second {
		w.t.Errorf("the crop took %s: did its own reads wait for it?", took)
	}
	must1(client.EditREST(ctx, images[1].ID))(w.t)
	after := must1(w.bucket.Objects(ctx))(w.t)
	if len(after) < len(before)+6 {
		w.t.Errorf("crop and edit: %d objects before, %d after", len(before), len(after))
	}
	for object := range before {
		if _, kept := after[object]; !kept && strings.HasPrefix(object, "media/") {
			w.t.Errorf("removing the local copy of %s has removed the object", object)
		}
	}
	w.diskIsCommitted(ctx)
}

// diskIsCommitted fails the test unless all files on disk are in the bucket,
// which may hold more.
func (w *world) diskIsCommitted(ctx context.Context) {
	w.t.Helper()
	if problems := slices.DeleteFunc(must1(w.check.Compare(ctx))(w.t), bucketOnly); len(problems) > 0 {
		w.t.Errorf("the bucket lacks:\n%s", strings.Join(problems, "\n"))
	}
}

func bucketOnly(problem string) bool { return strings.HasPrefix(problem, check.BucketOnly) }

func largest(content map[string][]byte) (key string, value []byte) {
	for k, v := range content {
		if len(v) > len(value) {
			key, value = k, v
		}
	}
	return key, value
}

func get(t testing.TB, ctx context.Context, url string) []byte {
	t.Helper()
	resp, body := request(t, ctx, http.DefaultClient, http.MethodGet, url, nil)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %.300s", url, resp.Status, body)
	}
	return body
}

func request(t testing.TB, ctx context.Context, client *http.Client, method, url string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	req := must1(http.NewRequestWithContext(ctx, method, url, nil))(t)
	for name, values := range header {
		req.Header[name] = values
	}
	resp := must1(client.Do(req))(t)
	defer resp.Body.Close()
	return resp, must1(io.ReadAll(resp.Body))(t)
}

type protocol struct {
	name   string
	site   string
	client *http.Client
}

// protocols are clients for the versions of HTTP. The world has https.
func (w *world) protocols(t *testing.T) []protocol {
	// The certificate is of an authority that lives as long as the test.
	trust := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a loopback server of this test
	h1 := &http.Transport{}
	h2 := &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true}
	h3 := &http3.Transport{TLSClientConfig: trust}
	t.Cleanup(func() {
		h1.CloseIdleConnections()
		h2.CloseIdleConnections()
		h3.Close()
	})
	return []protocol{
		{"HTTP/1.1", w.site.URL, &http.Client{Transport: h1}},
		{"HTTP/2.0", w.secure, &http.Client{Transport: h2}},
		{"HTTP/3.0", w.secure, &http.Client{Transport: h3}},
	}
}

// testReads reads one file in each way that browsers and players do
// (RFC 9110, sections 13 and 14).
func testReads(t *testing.T, ctx context.Context, client *http.Client, url string, want []byte) {
	full, body := request(t, ctx, client, http.MethodGet, url, nil)
	if full.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
		t.Fatalf("GET %s: %s, %d bytes of %d", url, full.Status, len(body), len(want))
	}
	if version := strings.TrimPrefix(t.Name()[strings.LastIndex(t.Name(), "HTTP"):], "/"); full.Proto != version {
		t.Errorf("answered by %s", full.Proto)
	}
	etag, modified := full.Header.Get("ETag"), full.Header.Get("Last-Modified")
	for name, value := range map[string]string{
		"Content-Type": "image/jpeg", "X-Content-Type-Options": "nosniff", "Accept-Ranges": "bytes",
		"Content-Length": fmt.Sprint(len(want)),
	} {
		if got := full.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if !strings.HasPrefix(etag, `"`) || modified == "" {
		t.Errorf("ETag %s, Last-Modified %s", etag, modified)
	}
	part := want[1000:2000]
	contentRange := fmt.Sprintf("bytes 1000-1999/%d", len(want))
	for _, test := range []struct {
		name   string
		method string
		header http.Header
		status int
		body   []byte
		rng    string
	}{
		{"range", http.MethodGet, http.Header{"Range": {"bytes=1000-1999"}}, http.StatusPartialContent, part, contentRange},
		{"suffix range", http.MethodGet, http.Header{"Range": {"bytes=-10"}}, http.StatusPartialContent, want[len(want)-10:],
			fmt.Sprintf("bytes %d-%d/%d", len(want)-10, len(want)-1, len(want))},
		{"open range", http.MethodGet, http.Header{"Range": {fmt.Sprintf("bytes=%d-", len(want)-5)}}, http.StatusPartialContent, want[len(want)-5:],
			fmt.Sprintf("bytes %d-%d/%d", len(want)-5, len(want)-1, len(want))},
		{"If-Range, same", http.MethodGet, http.Header{"Range": {"bytes=1000-1999"}, "If-Range": {etag}}, http.StatusPartialContent, part, contentRange},
		{"If-Range, same date", http.MethodGet, http.Header{"Range": {"bytes=1000-1999"}, "If-Range": {modified}}, http.StatusPartialContent, part, contentRange},
		{"If-Range, other", http.MethodGet, http.Header{"Range": {"bytes=1000-1999"}, "If-Range": {`"other"`}}, http.StatusOK, want, ""},
		{"If-None-Match", http.MethodGet, http.Header{"If-None-Match": {etag}}, http.StatusNotModified, nil, ""},
		{"If-None-Match, other", http.MethodGet, http.Header{"If-None-Match": {`"other"`}}, http.StatusOK, want, ""},
		{"If-Modified-Since", http.MethodGet, http.Header{"If-Modified-Since": {modified}}, http.StatusNotModified, nil, ""},
		{"range past the end", http.MethodGet, http.Header{"Range": {fmt.Sprintf("bytes=%d-", len(want))}}, http.StatusRequestedRangeNotSatisfiable, nil,
			fmt.Sprintf("bytes */%d", len(want))},
		{"HEAD", http.MethodHead, nil, http.StatusOK, nil, ""},
	} {
		resp, body := request(t, ctx, client, test.method, url, test.header)
		if resp.StatusCode != test.status {
			t.Errorf("%s: %s, want %d", test.name, resp.Status, test.status)
			continue
		}
		if test.body != nil && !bytes.Equal(body, test.body) {
			t.Errorf("%s: %d bytes, want %d", test.name, len(body), len(test.body))
		}
		if got := resp.Header.Get("Content-Range"); got != test.rng {
			t.Errorf("%s: Content-Range %q, want %q", test.name, got, test.rng)
		}
		if test.method == http.MethodHead && (len(body) != 0 || resp.ContentLength != int64(len(want))) {
			t.Errorf("HEAD: %d bytes of body, Content-Length %d, want %d", len(body), resp.ContentLength, len(want))
		}
	}
}
