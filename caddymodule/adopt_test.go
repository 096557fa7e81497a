package caddymodule

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// A bucket that was emptied is away, the status says so, and it is the site's again
// when the admin says that this was meant.
func TestAdoptABucket(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.admin = "127.0.0.1:" + strconv.Itoa(freePort(t))
	s.start()
	s.upload(map[string]string{"a.jpg": "content"})
	if err := os.RemoveAll(s.bucket); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		all := allStatus()
		return all[0].State + " " + all[0].Reason
	}
	eventually(t, "the status to tell", func() bool { return state() != "running " })
	ask := func(method string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.admin+adoptPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := (&http.Client{Timeout: longest, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		return a.StatusCode
	}
	if got := ask(http.MethodGet); got != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d", got)
	}
	if got := ask(http.MethodPost); got != http.StatusNoContent {
		t.Errorf("POST: status %d", got)
	}
	eventually(t, "the file in the bucket", func() bool {
		content, err := os.ReadFile(filepath.Join(s.bucket, "media", "a.jpg"))
		return err == nil && string(content) == "content" && state() == "running "
	})
}
