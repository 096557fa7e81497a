package caddymodule

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/pflag"
)

func runRestore(t *testing.T, address, site string) (int, error) {
	t.Helper()
	flags := pflag.NewFlagSet("restore", pflag.ContinueOnError)
	flags.String("site", site, "")
	flags.String("address", address, "")
	flags.String("config", "", "")
	flags.String("adapter", "", "")
	return cmdRestore(caddycmd.Flags{FlagSet: flags})
}

// TestRestoreCommand:
//
// Promise 9: "Leaving is easy. `restore` brings every file back; then the
// module can be removed."
func TestRestoreCommand(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.handler["deletes"] = "never"
	s.admin = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.start()
	s.upload(map[string]string{"2026/a b.jpg": "content", "c.jpg": "other"})
	s.drop("2026/a b.jpg")
	if code, err := runRestore(t, s.admin, s.docRoot); code != caddy.ExitCodeSuccess || err != nil {
		t.Fatalf("command: %d, %v", code, err)
	}
	if got, err := os.ReadFile(filepath.Join(s.uploads, "2026", "a b.jpg")); string(got) != "content" {
		t.Errorf("restored: %q, %v", got, err)
	}
	if code, err := runRestore(t, s.admin, "/no/such/site"); code == caddy.ExitCodeSuccess || err == nil || !strings.Contains(err.Error(), "no such site") {
		t.Errorf("another site: %d, %v", code, err)
	}
	mend := s.breakBucket()
	defer mend()
	if code, err := runRestore(t, s.admin, ""); code == caddy.ExitCodeSuccess || err == nil {
		t.Errorf("without the bucket: %d, %v", code, err)
	}
	response, err := s.client.Get("http://" + s.admin + restorePath)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", response.StatusCode)
	}
}

func TestFollowRestore(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"site":"a","files":1}` + "\n" + `{"site":"a","files":2,"done":true}`: true,
		`{"site":"a","files":1}`:                                                  false, // broke off
		`{"site":"a","failed":1,"error":"storing x","done":true}`:                 false,
		`{"site":"a","failed":1,"done":true}` + "\n" + `{"site":"b","done":true}`: false,
		`{"site":`: false,
		``:         false,
	} {
		code, err := followRestore(strings.NewReader(text))
		if (err == nil) != ok || (code == caddy.ExitCodeSuccess) != ok {
			t.Errorf("%s: %d, %v", text, code, err)
		}
	}
}
