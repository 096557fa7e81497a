package env

import (
	"net/http/httptest"
	"testing"
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
