package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/metrics"
	"github.com/spf13/pflag"
)

// metricsRoute serves the metrics at /metrics.
var metricsRoute = []map[string]any{{"handler": "subroute", "routes": []any{map[string]any{
	"match":  []any{map[string]any{"path": []string{"/metrics"}}},
	"handle": []any{map[string]any{"handler": "metrics"}},
}}}}

// TestStatus: the admin API and the command tell how each site is, and no
// secret.
func TestStatus(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.admin = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.start()
	s.upload(map[string]string{"a.jpg": "content", "b.jpg": "content"})
	var list []engineStatus
	eventually(t, "the comparison at the start", func() bool {
		list = s.status(t)
		return len(list) == 1 && !list[0].Reconciled.IsZero()
	})
	mend := s.breakBucket()
	s.writeUpload("c.jpg", "content")
	eventually(t, "a degraded state", func() bool {
		list = s.status(t)
		return list[0].State == "degraded" && list[0].Pending == 1
	})
	status := list[0]
	if status.Site != s.docRoot || status.Bucket != "file://"+s.bucket || status.Committed != 2 || status.Reason == "" || status.Pending != 1 {
		t.Errorf("%+v", status)
	}
	if code, err := runStatus(t, s.admin, false); code != caddy.ExitCodeFailedStartup || err == nil {
		t.Errorf("command: %d, %v", code, err)
	}
	mend()
	eventually(t, "a running state", func() bool { return s.status(t)[0].State == "running" })
	for _, asJSON := range []bool{false, true} {
		if code, err := runStatus(t, s.admin, asJSON); code != caddy.ExitCodeSuccess || err != nil {
			t.Errorf("command: %d, %v", code, err)
		}
	}
	if code, err := runStatus(t, "127.0.0.1:1", false); code == caddy.ExitCodeSuccess || err == nil {
		t.Errorf("command without a server: %d, %v", code, err)
	}
	response, err := s.client.Post("http://"+s.admin+statusPath, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", response.StatusCode)
	}
}

func (s *testSite) status(t *testing.T) (list []engineStatus) {
	t.Helper()
	response, err := s.client.Get("http://" + s.admin + statusPath)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return list
}

func runStatus(t *testing.T, address string, asJSON bool) (int, error) {
	t.Helper()
	flags := pflag.NewFlagSet("status", pflag.ContinueOnError)
	flags.Bool("json", asJSON, "")
	flags.String("address", address, "")
	flags.String("config", "", "")
	flags.String("adapter", "", "")
	return cmdStatus(caddycmd.Flags{FlagSet: flags})
}

// TestPrintStatus: a line for each site.
func TestPrintStatus(t *testing.T) {
	var out strings.Builder
	list := []engineStatus{
		{Site: "/var/www/a", Bucket: "s3://b at https://s3.test", State: "running", Committed: 12},
		{Site: "/var/www/b", Bucket: "file:///srv/b", State: "degraded", Reason: "no such bucket", Pending: 3, OldestPendingSeconds: 1.5, Refused: 7},
	}
	if err := printStatus(&out, list); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[2], (1500*time.Millisecond).String()) ||
		!strings.Contains(lines[0], "REFUSED") || !strings.Contains(lines[2], " 7 ") || !strings.HasSuffix(lines[2], "no such bucket") {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	if err := printStatus(&out, nil); err != nil || !strings.Contains(out.String(), "no media_offload handler") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// TestMetrics: the counters are exposed, survive a reload that keeps the engine,
// and each config has them once.
func TestMetrics(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.before = metricsRoute
	s.start()
	s.upload(map[string]string{"a.jpg": "content"})
	for range 2 {
		want := fmt.Sprintf(`caddy_media_offload_committed_files_total{bucket="file://%s",site="%s"} 1`, s.bucket, s.docRoot)
		if text := s.get("/metrics").body; strings.Count(text, want) != 1 {
			t.Errorf("no %s in\n%s", want, text)
		}
		if err := s.load(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMetricsOfIgnored: what stays on disk is counted, by the kind of rule.
func TestMetricsOfIgnored(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.before = metricsRoute
	s.start()
	if a := s.do(http.MethodPost, "/upload", `{"debug.log":"log","x.php":"<?php","a.log":"log"}`); a.StatusCode != http.StatusOK {
		t.Fatalf("%d", a.StatusCode)
	}
	text := s.get("/metrics").body
	for rule, n := range map[string]int{"preset": 2, "executable": 1, "ignore": 0, "cache": 0} {
		want := fmt.Sprintf(`caddy_media_offload_ignored_writes_total{bucket="file://%s",rule="%s",site="%s"} %d`, s.bucket, rule, s.docRoot, n)
		if strings.Count(text, want) != 1 {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// TestMetricsOfTwoHandlers: two handlers for other media of one site must not make
// the same series twice.
func TestMetricsOfTwoHandlers(t *testing.T) {
	s := newTestSite(t, notFound)
	second := map[string]any{}
	for k, v := range s.handler {
		second[k] = v
	}
	second["app"] = map[string]any{"preset": "generic", "docroot": s.docRoot}
	second["roots"] = []any{map[string]any{"dir": s.docRoot + "/images", "url": "/images/"}}
	second["bucket"] = map[string]any{"url": "file://" + s.bucket, "public_prefix": "m2", "private_prefix": "p2", "control_prefix": "o2"}
	s.after = []map[string]any{second}
	s.before = metricsRoute
	s.start()
	a := s.get("/metrics")
	if got := strings.Count(a.body, "caddy_media_offload_up{"); got != 2 {
		t.Errorf("%d series: %s", got, a.body)
	}
}
