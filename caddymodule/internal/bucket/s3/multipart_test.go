package s3_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// multipart is a fake store that takes uploads in parts.
type multipart struct {
	mu                  sync.Mutex
	begun, done, thrown int
	sizes               map[int]int64

	// failPart and failComplete answer instead, if they return true.
	failPart     func(w http.ResponseWriter, part int) bool
	failComplete func(w http.ResponseWriter, try int) bool
}

func (m *multipart) answer(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && query.Has("uploads"):
		m.begun++
		m.sizes = map[int]int64{}
		fmt.Fprintf(w, `<InitiateMultipartUploadResult><UploadId>up%d</UploadId></InitiateMultipartUploadResult>`, m.begun)
	case r.Method == http.MethodPut && query.Has("partNumber"):
		part, _ := strconv.Atoi(query.Get("partNumber"))
		n, err := io.Copy(io.Discard, r.Body)
		if m.failPart != nil && m.failPart(w, part) || err != nil {
			return
		}
		m.sizes[part] = n
		w.Header().Set("ETag", fmt.Sprintf(`"part%d"`, part))
	case r.Method == http.MethodPost:
		m.done++
		if m.failComplete != nil && m.failComplete(w, m.done) {
			return
		}
		fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"abc-3"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodDelete:
		m.thrown++
		w.WriteHeader(http.StatusNoContent)
	default:
		xmlError(w, 404, "NoSuchKey", "")
	}
}

const largeSize = 20<<20 + 1

func (m *multipart) put(t *testing.T, opts bucket.PutOptions) (bucket.Info, error) {
	t.Helper()
	return newFakeS3(t, m.answer).open(t).Put(t.Context(), "large.mp4", buckettest.Pattern{Size: largeSize}, largeSize, opts)
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	m := &multipart{}
	info, err := m.put(t, bucket.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]int64{1: 8 << 20, 2: 8 << 20, 3: 4<<20 + 1}
	if fmt.Sprint(m.sizes) != fmt.Sprint(want) || m.begun != 1 || m.done != 1 || m.thrown != 0 {
		t.Errorf("parts of %v bytes; begun %d, done %d, thrown away %d", m.sizes, m.begun, m.done, m.thrown)
	}
	if info.ETag != "abc-3" || info.ContentMD5() != (buckettest.Pattern{Size: largeSize}).MD5() {
		t.Errorf("got %+v", info)
	}
}

// DESIGN 6: "409 → restart whole": the parts are gone with the upload.
func TestMultipartConflict(t *testing.T) {
	t.Parallel()
	m := &multipart{failComplete: func(w http.ResponseWriter, try int) bool {
		if try < 3 {
			xmlError(w, 409, "ConditionalRequestConflict", "")
		}
		return try < 3
	}}
	if _, err := m.put(t, bucket.PutOptions{IfMatch: "abc"}); err != nil {
		t.Fatal(err)
	}
	if m.begun != 3 || m.thrown != 2 {
		t.Errorf("begun %d, thrown away %d", m.begun, m.thrown)
	}
}

// A failed upload leaves no parts to be paid for.
func TestMultipartFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m    *multipart
		want error
	}{
		"part": {&multipart{failPart: func(w http.ResponseWriter, part int) bool {
			if part == 2 {
				xmlError(w, 503, "SlowDown", "")
			}
			return part == 2
		}}, nil},
		"part vanished": {&multipart{failPart: func(w http.ResponseWriter, _ int) bool {
			xmlError(w, 404, "NoSuchUpload", "")
			return true
		}}, nil},
		"complete": {&multipart{failComplete: func(w http.ResponseWriter, _ int) bool {
			xmlError(w, 500, "InternalError", "")
			return true
		}}, nil},
		"complete, in a 200": {&multipart{failComplete: func(w http.ResponseWriter, _ int) bool {
			xmlError(w, 200, "InternalError", "")
			return true
		}}, nil},
		"condition": {&multipart{failComplete: func(w http.ResponseWriter, _ int) bool {
			xmlError(w, 412, "PreconditionFailed", "")
			return true
		}}, bucket.ErrExists},
	} {
		_, err := c.m.put(t, bucket.PutOptions{IfNoneMatch: true})
		buckettest.CheckError(t, err, c.want, "storing large.mp4")
		if c.m.begun != 1 || c.m.thrown != 1 {
			t.Errorf("%s: begun %d, thrown away %d", name, c.m.begun, c.m.thrown)
		}
	}
}

// Parts are thrown away also when the caller has given up.
func TestMultipartCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	m := &multipart{failPart: func(http.ResponseWriter, int) bool {
		cancel()
		return false
	}}
	_, err := newFakeS3(t, m.answer).open(t).Put(ctx, "large.mp4", buckettest.Pattern{Size: largeSize}, largeSize, bucket.PutOptions{})
	buckettest.CheckError(t, err, nil, context.Canceled.Error())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begun != 1 || m.thrown != 1 {
		t.Errorf("begun %d, thrown away %d", m.begun, m.thrown)
	}
}

// "memory bounded, reading parts straight from the io.ReaderAt".
func TestMultipartMemory(t *testing.T) {
	server := buckettest.StartVersityGW(t)
	s := openS3(t, server)
	defer s.Close()
	const size = 200 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.Put(t.Context(), "a", buckettest.Pattern{Size: size}, size, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("storing %d MiB allocated %d MiB in all", size>>20, used>>20)
	}
}

func TestAbortUploads(t *testing.T) {
	t.Parallel()
	cfg := buckettest.StartVersityGW(t)
	client := buckettest.Client(cfg)
	for _, key := range []string{"media/a", "media/b", "other/c"} {
		if _, err := client.CreateMultipartUpload(t.Context(), &sdk.CreateMultipartUploadInput{Bucket: &cfg.Bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	s := openS3(t, cfg)
	defer s.Close()
	if n, err := s.AbortUploads(t.Context(), "media/", time.Hour); n != 0 || err != nil {
		t.Errorf("young ones: aborted %d, %v", n, err)
	}
	// The store's clock has seconds only.
	if n, err := s.AbortUploads(t.Context(), "media/", -2*time.Second); n != 2 || err != nil {
		t.Errorf("below a prefix: aborted %d, %v", n, err)
	}
	if n, err := s.AbortUploads(t.Context(), "", -2*time.Second); n != 1 || err != nil {
		t.Errorf("the rest: aborted %d, %v", n, err)
	}
}

// A hostile or broken server is not followed for ever, nor into all memory.
func TestHostile(t *testing.T) {
	t.Parallel()
	page := func(truncated bool, token string, keys ...string) string {
		var b strings.Builder
		fmt.Fprintf(&b, `<ListBucketResult><IsTruncated>%v</IsTruncated><NextContinuationToken>%s</NextContinuationToken>`, truncated, token)
		for _, key := range keys {
			fmt.Fprintf(&b, `<Contents><Key>%s</Key><Size>1</Size><ETag>"x"</ETag></Contents>`, key)
		}
		return b.String() + `</ListBucketResult>`
	}
	for name, answer := range map[string]http.HandlerFunc{
		"the same page for ever":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page(true, "t", "a", "b")) },
		"keys out of order":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page(false, "", "b", "a")) },
		"keys outside the prefix": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page(false, "", "zzz")) },
		"empty pages for ever":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page(true, "t")) },
		"more, but not where":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page(true, "")) },
		"no XML":                  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<ListBucketResult><a></b>") },
		"endless page": func(w http.ResponseWriter, _ *http.Request) {
			flood(w, "<ListBucketResult>", "<Contents><Key>"+strings.Repeat("a", 4000)+"</Key></Contents>")
		},
		"endless error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			flood(w, "<Error><Message>", "no ")
		},
		"endless headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 2000 {
				w.Header().Set("X-"+strconv.Itoa(i), strings.Repeat("x", 100))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFakeS3(t, answer).open(t)
			n := 0
			var last error
			for _, err := range s.List(t.Context(), "", "") {
				last = err
				n++
			}
			if name == "keys outside the prefix" {
				for _, err := range s.List(t.Context(), "media/", "") {
					last = err
				}
			}
			if last == nil || n > 10 {
				t.Errorf("%d entries, error %v", n, last)
			}
		})
	}
}

// flood writes until the client has enough, or 200 MiB.
func flood(w http.ResponseWriter, start, more string) {
	_, _ = io.WriteString(w, start)
	chunk := strings.Repeat(more, 1<<20/len(more))
	for range 200 {
		if _, err := io.WriteString(w, chunk); err != nil {
			return
		}
	}
}

// Objects that others stored under names that we refuse do not end a listing.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	fake := newFakeS3(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("encoding-type") != "url" {
			t.Error("a listing without encoding-type=url cannot carry control bytes")
		}
		fmt.Fprint(w, `<ListBucketResult><EncodingType>url</EncodingType>`)
		for _, key := range []string{"%01", "a", "a%2Bb+c", "folder%2F", "x%2F..%2Fy", "z"} {
			fmt.Fprintf(w, `<Contents><Key>%s</Key></Contents>`, key)
		}
		fmt.Fprint(w, `</ListBucketResult>`)
	})
	var got []string
	for info, err := range fake.open(t).List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
	}
	if want := []string{"a", "a+b c", "z"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
