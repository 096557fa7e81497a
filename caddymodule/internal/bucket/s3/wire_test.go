package s3_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

// fakeS3 answers as a test says and records what it was asked. What real
// servers do is tested on real ones; this is for what they do only on bad days.
type fakeS3 struct {
	*httptest.Server
	cfg s3.Config

	mu       sync.Mutex
	requests []*http.Request
}

func newFakeS3(t *testing.T, answer http.HandlerFunc) *fakeS3 {
	t.Helper()
	f := &fakeS3{}
	f.Server = httptest.NewServer(f.recording(answer))
	t.Cleanup(f.Close)
	f.cfg = s3.Config{Bucket: "photos", Endpoint: f.URL, Region: "eu-test-1", AccessKey: "AKIATEST", SecretKey: "very-secret"}
	return f
}

func (f *fakeS3) recording(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.mu.Lock()
		f.requests = append(f.requests, r.Clone(context.Background()))
		f.mu.Unlock()
		answer(w, r)
	}
}

func (f *fakeS3) seen() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

func (f *fakeS3) open(t *testing.T) bucket.Store {
	t.Helper()
	s := openS3(t, f.cfg)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func xmlError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
}

func ok(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	modified := time.Unix(1_700_000_000, 123_000_000)
	body := "hello"
	crc := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
	for _, c := range []struct {
		name         string
		change       func(*s3.Config)
		public       bool
		want, absent map[string]string
	}{
		{
			"default", func(*s3.Config) {}, true,
			map[string]string{
				"Content-Md5": "XUFAKrxLKna5cZ2REBfFkg==", "Content-Type": "text/plain", "Cache-Control": "max-age=1",
				"X-Amz-Meta-Mtime": "1700000000.123", "X-Amz-Meta-Md5": "5d41402abc4b2a76b9719d911017c592", "X-Amz-Meta-Node": "n1",
				"Content-Length": "5", "If-Match": `"abc"`,
			},
			map[string]string{
				"X-Amz-Acl": "", "X-Amz-Storage-Class": "", "X-Amz-Server-Side-Encryption": "", "X-Amz-Checksum-Crc32": "",
				"X-Amz-Sdk-Checksum-Algorithm": "", "X-Amz-Trailer": "", "Content-Encoding": "",
			},
		},
		{
			"everything", func(cfg *s3.Config) {
				cfg.Encryption, cfg.KMSKeyID, cfg.StorageClass, cfg.PublicACL = "aws:kms", "key-1", "STANDARD_IA", "public-read"
				cfg.SessionToken = "token"
			}, true,
			map[string]string{
				"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1",
				"X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Acl": "public-read", "X-Amz-Security-Token": "token",
			}, nil,
		},
		{
			"private", func(cfg *s3.Config) { cfg.PublicACL = "public-read" }, false,
			nil, map[string]string{"X-Amz-Acl": ""},
		},
		{
			"crc32", func(cfg *s3.Config) { cfg.Checksum = s3.ChecksumCRC32 }, true,
			map[string]string{"X-Amz-Checksum-Crc32": crc},
			map[string]string{"Content-Md5": "", "X-Amz-Trailer": "", "Content-Encoding": ""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fake := newFakeS3(t, ok)
			c.change(&fake.cfg)
			_, err := buckettest.PutText(t.Context(), fake.open(t), "a b/ü+.txt", body, bucket.PutOptions{
				Info: bucket.Info{
					ContentType: "text/plain", CacheControl: "max-age=1", ModTime: modified, Meta: map[string]string{"node": "n1"},
				},
				IfMatch: "abc", Public: c.public,
			})
			if err != nil {
				t.Fatal(err)
			}
			r := fake.seen()[0]
			if r.Method != http.MethodPut || r.URL.EscapedPath() != "/photos/a%20b/%C3%BC%2B.txt" {
				t.Errorf("asked for %s %s", r.Method, r.URL.EscapedPath())
			}
			for name, want := range c.want {
				if got := r.Header.Get(name); got != want && name != "Content-Length" {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			for name := range c.absent {
				if got := r.Header.Values(name); len(got) != 0 {
					t.Errorf("%s: %q, want none", name, got)
				}
			}
			if signed := r.Header.Get("Authorization"); strings.Contains(signed, "accept-encoding") || !strings.Contains(signed, "/eu-test-1/s3/") {
				t.Errorf("signed: %s", signed)
			}
		})
	}
}

// DeleteObjects carries Content-MD5 and no CRC where the store is not
// Amazon's, and reports the errors of single keys.
func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	fake := newFakeS3(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "locked") {
			fmt.Fprint(w, `<DeleteResult><Error><Key>locked</Key><Code>AccessDenied</Code><Message>no</Message></Error><Error><Key>gone</Key><Code>NoSuchKey</Code></Error></DeleteResult>`)
			return
		}
		fmt.Fprint(w, `<DeleteResult></DeleteResult>`)
	})
	s := fake.open(t)
	if err := s.Delete(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	r := fake.seen()[0]
	if r.Header.Get("Content-Md5") == "" || r.Header.Get("X-Amz-Checksum-Crc32") != "" {
		t.Errorf("headers: %v", r.Header)
	}
	buckettest.CheckError(t, s.Delete(t.Context(), "a", "locked", "gone"), bucket.ErrDenied, "locked")
}

// Over TLS too nothing is framed (aws-chunked); AWS_CA_BUNDLE is heeded.
func TestOverTLS(t *testing.T) {
	fake := &fakeS3{}
	fake.Server = httptest.NewTLSServer(fake.recording(ok))
	defer fake.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	pemBytes := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: fake.Certificate().Raw})
	if err := os.WriteFile(bundle, pemBytes, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	for _, checksum := range []s3.Checksum{s3.ChecksumMD5, s3.ChecksumCRC32} {
		fake.cfg = s3.Config{Bucket: "photos", Endpoint: fake.URL, AccessKey: "a", SecretKey: "b", Checksum: checksum}
		if _, err := buckettest.PutText(t.Context(), fake.open(t), "a", "hello", bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		seen := fake.seen()
		r := seen[len(seen)-1]
		body, _ := io.ReadAll(r.Body)
		if string(body) != "hello" || r.ProtoMajor != 1 || r.Header.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD" {
			t.Errorf("%s: %s with %v, body %q", checksum, r.Proto, r.Header, body)
		}
	}
}

// DESIGN 6: "A lost response means "unknown", never "failed": after a 412
// compare the nonce."
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	server := buckettest.StartVersityGW(t)
	var mu sync.Mutex
	lose := true
	cfg := server
	cfg.Endpoint = proxy(t, server.Endpoint, func(*http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		defer func() { lose = false }()
		return lose
	})
	s := openS3(t, cfg)
	defer s.Close()
	create := bucket.PutOptions{IfNoneMatch: true, Info: bucket.Info{Meta: map[string]string{"nonce": "mine"}}}
	_, err := buckettest.PutText(t.Context(), s, "a", "x", create)
	buckettest.CheckError(t, err, nil, "no answer from")
	_, err = buckettest.PutText(t.Context(), s, "a", "x", create)
	buckettest.CheckError(t, err, bucket.ErrExists, "")
	if info, err := s.Head(t.Context(), "a"); err != nil || info.Meta["nonce"] != "mine" {
		t.Errorf("the object is %+v, %v", info, err)
	}
}

// proxy passes requests on, and cuts the connection instead of answering when
// lose says so.
func proxy(t *testing.T, to string, lose func(*http.Request) bool) string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.RequestURI = ""
		out.URL.Scheme, out.URL.Host = "http", strings.TrimPrefix(to, "http://")
		resp, err := transport.RoundTrip(out)
		if err != nil || lose(r) {
			if err == nil {
				_ = resp.Body.Close()
			}
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// Contract: "bounds each wait (connecting, waiting for the first byte, a
// transfer that stands still), so that no call hangs for ever."
func TestStall(parent *testing.T) {
	t := parent
	t.Parallel()
	// Not the request's context: a server that reads no body does not notice
	// that the client is gone.
	over := make(chan struct{})
	end := sync.OnceFunc(func() { close(over) })
	serve := func(answer http.HandlerFunc) string {
		server := httptest.NewServer(answer)
		parent.Cleanup(func() {
			end()
			server.Close()
		})
		return server.URL
	}
	hang := func(http.ResponseWriter, *http.Request) { <-over }
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		size   int64
	}{
		"no answer": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			hang(w, r)
		}, 10},
		"nobody reads": {hang, 12 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openPatient(t, serve(c.answer))
			_, err := s.Put(t.Context(), "a", buckettest.Pattern{Size: c.size}, c.size, bucket.PutOptions{})
			buckettest.CheckError(t, err, nil, "")
		})
	}
	t.Run("body stops", func(t *testing.T) {
		t.Parallel()
		url := serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write(make([]byte, 10))
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		})
		o, err := openPatient(t, url).Get(t.Context(), "a", bucket.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer o.Body.Close()
		if n, err := io.Copy(io.Discard, o.Body); n != 10 || err == nil {
			t.Errorf("read %d bytes, then: %v", n, err)
		}
	})
}

func openPatient(t *testing.T, url string) bucket.Store {
	t.Helper()
	return openPatientFor(t, url, 300*time.Millisecond)
}

func openPatientFor(t *testing.T, url string, patience time.Duration) bucket.Store {
	t.Helper()
	cfg := s3.Config{Bucket: "photos", Endpoint: url, AccessKey: "a", SecretKey: "b"}
	s3.SetPatience(&cfg, patience)
	s := openS3(t, cfg)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A slow transfer that moves is not cut, however long it takes.
func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	const pieces, pause = 40, 60 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range pieces {
			if _, err := io.CopyN(io.Discard, r.Body, 1<<20); err != nil {
				return
			}
			time.Sleep(pause) // the slow network itself
		}
		ok(w, r)
	}))
	defer server.Close()
	const size = pieces << 20
	// All in all it takes longer than the patience, and a busy machine stands still
	// for less.
	store := openPatientFor(t, server.URL, pieces*pause*5/6)
	if _, err := store.Put(t.Context(), "a", buckettest.Pattern{Size: size}, size, bucket.PutOptions{}); err != nil {
		t.Error(err)
	}
}
