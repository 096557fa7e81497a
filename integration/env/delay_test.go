package env

import (
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

func TestInSequence(t *testing.T) {
	at := func(begin, end int) Span {
		return Span{Begin: time.Unix(int64(begin), 0), End: time.Unix(int64(end), 0)}
	}
	for _, row := range []struct {
		spans []Span
		want  int
	}{
		{nil, 0},
		{[]Span{at(1, 2)}, 1},
		{[]Span{at(1, 3), at(2, 4)}, 1},
		{[]Span{at(1, 2), at(2, 3)}, 2},
		{[]Span{at(6, 9), at(1, 8), at(1, 2), at(3, 5)}, 3},
		{[]Span{at(1, 9), at(2, 3), at(4, 5), at(6, 7)}, 3},
	} {
		if got := InSequence(row.spans); got != row.want {
			t.Errorf("%v: %d, want %d", row.spans, got, row.want)
		}
	}
}
