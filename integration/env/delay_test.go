package env

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestS3Kind(t *testing.T) {
	for _, row := range []struct{ method, target, copySource, want string }{
		{"PUT", "/b/media/a.jpg", "", "PUT"},
		{"PUT", "/b/media/a.jpg?x-id=PutObject", "", "PUT"},
		{"PUT", "/b/media/a.jpg", "/b/media/c.jpg", "COPY"},
		{"PUT", "/b/media/a.jpg?partNumber=1&uploadId=x", "", "MULTIPART"},
		{"POST", "/b/media/a.jpg?uploads", "", "MULTIPART"},
		{"POST", "/b?delete", "", "MULTIDEL"},
		{"POST", "/b/?delete=", "", "MULTIDEL"},
		{"GET", "/b?list-type=2&prefix=x", "", "LIST"},
		{"GET", "/b/?list-type=2", "", "LIST"},
		{"GET", "/b/media/a.jpg", "", "GET"},
		{"HEAD", "/b/media/a.jpg", "", "HEAD"},
		{"DELETE", "/b/media/a.jpg", "", "DELETE"},
	} {
		r := httptest.NewRequest(row.method, row.target, nil)
		r.Header.Set("X-Amz-Copy-Source", row.copySource)
		if got := s3Kind(r); got != row.want {
			t.Errorf("%s %s: %s, want %s", row.method, row.target, got, row.want)
		}
	}
}

// TestRealDelay: a round trip is counted as what the requests have really waited.
func TestRealDelay(t *testing.T) {
	const delay = time.Millisecond
	p := &DelayProxy{
		counts: map[string]int{}, waits: map[time.Duration]waits{},
		forward: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	}
	serve := func(ctx context.Context) {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/b/media/a.jpg", nil))
	}
	serve(t.Context()) // before a delay was set
	p.SetDelay(delay)
	if got := p.RealDelay(delay); got != delay {
		t.Errorf("without requests: %s", got)
	}
	for range 3 {
		serve(t.Context())
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	p.SetDelay(time.Hour)
	serve(gone)
	if got := p.RealDelay(delay); got < delay || p.waits[delay].n != 3 || len(p.waits) != 1 {
		t.Errorf("%s after %v", got, p.waits)
	}
}
