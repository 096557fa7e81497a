package web

import (
	"testing"
)

func TestAppendVersion(t *testing.T) {
	for etag, want := range map[string]string{"": "u", "a": "u?v=moaf63dc4c86", "d41d8cd98f00b204e9800998ecf8427e-3": ""} {
		got := string(appendVersion([]byte("u"), etag))
		if want != "" && got != want {
			t.Errorf("%q: %s, want %s", etag, got, want)
		}
	}
}
