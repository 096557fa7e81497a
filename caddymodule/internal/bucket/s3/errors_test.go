package s3_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// Whatever a store says becomes a sentinel that tells the engine what to do
// and a text that tells the admin.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		code   string
		want   error // nil: of no kind, worth another try
		text   string
	}{
		{404, "NoSuchKey", bucket.ErrNotFound, ""},
		{404, "NoSuchBucket", bucket.ErrNoBucket, "photos"},
		{403, "AccessDenied", bucket.ErrDenied, "s3:PutObject"},
		{403, "InvalidAccessKeyId", bucket.ErrDenied, "does not know the access key"},
		{403, "SignatureDoesNotMatch", bucket.ErrDenied, "secret_key"},
		{400, "ExpiredToken", bucket.ErrDenied, "session token"},
		{401, "Unauthorized", bucket.ErrDenied, "may not"},
		{403, "RequestTimeTooSkewed", bucket.ErrClock, "NTP"},
		{301, "PermanentRedirect", bucket.ErrNoBucket, "eu-central-1"},
		{400, "AuthorizationHeaderMalformed", bucket.ErrNoBucket, "eu-central-1"},
		{501, "NotImplemented", bucket.ErrUnsupported, ""},
		{400, "InvalidStorageClass", bucket.ErrUnsupported, "storage class"},
		{400, "AccessControlListNotSupported", bucket.ErrUnsupported, "ACL"},
		{400, "KMS.NotFoundException", bucket.ErrUnsupported, "encrypt"},
		{400, "BadDigest", bucket.ErrRefused, "changed"},
		{409, "ObjectParentIsFile", bucket.ErrRefused, "below another"},
		{400, "KeyTooLongError", bucket.ErrRefused, "name"},
		{400, "EntityTooLarge", bucket.ErrRefused, "large"},
		{412, "PreconditionFailed", bucket.ErrExists, ""},
		{400, "InvalidRequest", bucket.ErrOfObject, "400"},
		{409, "ConditionalRequestConflict", nil, "409"},
		{503, "SlowDown", nil, "503 SlowDown: the server said so"},
		{503, "ServiceUnavailable", nil, "503"},
		{500, "InternalError", nil, "500"},
		{429, "TooManyRequests", nil, "429"},
		{400, "RequestTimeout", nil, "RequestTimeout"},
		{507, "XMinioStorageFull", bucket.ErrFull, "XMinioStorageFull"},
		{507, "", bucket.ErrFull, "507"},
		{403, "QuotaExceeded", bucket.ErrFull, "quota"},
	} {
		t.Run(c.code, func(t *testing.T) {
			t.Parallel()
			fake := newFakeS3(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Amz-Bucket-Region", "eu-central-1")
				xmlError(w, c.status, c.code, "the server said so")
			})
			_, err := buckettest.PutText(t.Context(), fake.open(t), "a/b.jpg", "x", bucket.PutOptions{IfNoneMatch: true})
			buckettest.CheckError(t, err, c.want, c.text)
			if !strings.HasPrefix(err.Error(), "storing a/b.jpg: ") {
				t.Errorf("it does not say what was being done: %v", err)
			}
			for _, secret := range []string{"very-secret", "AKIATEST", "Signature="} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("it tells a secret: %v", err)
				}
			}
		})
	}
}

// A server that is no store must not make objects look deleted: the engine
// would remove local files (DESIGN 3, promise 8: "Deleting is careful.").
func TestNotAStore(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"plain 404":      http.NotFound,
		"empty 404":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"missing bucket": func(w http.ResponseWriter, _ *http.Request) { xmlError(w, 404, "NoSuchBucket", "") },
		"html": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, "<html><p>not here")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFakeS3(t, answer).open(t)
			_, headErr := s.Head(t.Context(), "a")
			_, getErr := s.Get(t.Context(), "a", bucket.GetOptions{})
			for what, err := range map[string]error{"Head": headErr, "Get": getErr} {
				if err == nil || errors.Is(err, bucket.ErrNotFound) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// Contract: "a body shorter than announced, ends it with a non-EOF error."
func TestCutBody(t *testing.T) {
	t.Parallel()
	fake := newFakeS3(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write(make([]byte, 60))
	})
	o, err := fake.open(t).Get(t.Context(), "a", bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Body.Close()
	n, err := io.Copy(io.Discard, o.Body)
	if n != 60 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read %d bytes, then: %v", n, err)
	}
}

// A store that ignores Range must not pass for one that heeds it.
func TestIgnoredRange(t *testing.T) {
	t.Parallel()
	for name, contentRange := range map[string]string{
		"whole object": "", "another part": "bytes 0-4/10", "longer part": "bytes 5-9/10", "nonsense": "bytes 5-/x",
	} {
		fake := newFakeS3(t, func(w http.ResponseWriter, r *http.Request) {
			if contentRange != "" {
				w.Header().Set("Content-Range", contentRange)
				w.WriteHeader(http.StatusPartialContent)
			}
			fmt.Fprint(w, "01234")
		})
		length := int64(5)
		if name == "longer part" {
			length = 3
		}
		if o, err := fake.open(t).Get(t.Context(), "a", bucket.GetOptions{Offset: 5, Length: length}); err == nil {
			t.Errorf("%s: got a body of %d bytes", name, o.Size)
		}
	}
}

// Credentials go where they were meant to go, and nowhere else.
func TestRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := newFakeS3(t, ok)
	fake := newFakeS3(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	s := fake.open(t)
	_, putErr := buckettest.PutText(t.Context(), s, "a", "x", bucket.PutOptions{})
	_, getErr := s.Get(t.Context(), "a", bucket.GetOptions{})
	_, headErr := s.Head(t.Context(), "a")
	for _, err := range []error{putErr, getErr, headErr, s.Delete(t.Context(), "a")} {
		buckettest.CheckError(t, err, bucket.ErrNoBucket, "region")
	}
	if n := len(elsewhere.seen()); n != 0 {
		t.Errorf("%d requests followed the redirect", n)
	}
}
