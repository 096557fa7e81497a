package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// liveEngines returns the engines in the pool.
func liveEngines() (all []*sharedEngine) {
	engines.Range(func(_, value any) bool {
		all = append(all, value.(*sharedEngine))
		return true
	})
	return all
}

// theEngine returns the only one.
func theEngine(t *testing.T) *sharedEngine {
	t.Helper()
	all := liveEngines()
	if len(all) != 1 {
		t.Fatalf("%d engines, want 1", len(all))
	}
	return all[0]
}

// TestReloadKeepsEngine: a reload that changes nothing of the engine's keeps it,
// and a request that runs meanwhile keeps its hold.
func TestReloadKeepsEngine(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, _ *http.Request) error {
		s.writeUpload("before.jpg", "one")
		close(entered)
		<-leave
		s.writeUpload("after.jpg", "two")
		_, err := io.WriteString(w, "done")
		return err
	}))
	s.start()
	engine := theEngine(t)

	result := make(chan answer, 1)
	go func() { result <- s.do(http.MethodPost, "/slow", "") }()
	<-entered
	s.handler["hold"] = "9s" // the handler's, not the engine's
	for range 3 {
		if err := s.load(); err != nil {
			t.Fatal(err)
		}
	}
	if theEngine(t) != engine {
		t.Error("another engine after a reload")
	}
	close(leave)
	if a := <-result; a.StatusCode != http.StatusOK || a.body != "done" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
	for _, key := range []string{"before.jpg", "after.jpg"} {
		if _, err := s.object("media/" + key); err != nil {
			t.Errorf("answered before %s was committed: %v", key, err)
		}
	}
	s.upload(map[string]string{"later.jpg": "three"})
}

// TestReloadWithOtherSettings: a request that began under the old config keeps
// the old engine until it ends; then that one stops.
func TestReloadWithOtherSettings(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	var s *testSite
	s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, _ *http.Request) error {
		close(entered)
		<-leave
		s.writeUpload("old.jpg", "one")
		_, err := io.WriteString(w, "done")
		return err
	}))
	s.start()
	old := theEngine(t)

	result := make(chan answer, 1)
	go func() { result <- s.do(http.MethodPost, "/slow", "") }()
	<-entered
	s.handler["workers"] = 3
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	if theEngine(t) == old {
		t.Error("the same engine with other settings")
	}
	if state := old.engine.Stats().State; state == "stopped" {
		t.Error("the old engine was stopped while a request used it")
	}
	s.upload(map[string]string{"new.jpg": "two"})
	close(leave)
	if a := <-result; a.StatusCode != http.StatusOK {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
	if _, err := s.object("media/old.jpg"); err != nil {
		t.Error(err)
	}
	stopping.Wait()
	if state := old.engine.Stats().State; state != "stopped" {
		t.Errorf("the old engine is %s", state)
	}
}

// TestFailedReloadHarmsNothing loads configs that fail before, while and after
// the handler gets its engine: the live one's must go on. (STYLE.md P2.)
func TestFailedReloadHarmsNothing(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.start()
	engine := theEngine(t)
	good, err := json.Marshal(s.handler)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(){
		// With the live engine's settings: what a careless Cleanup would release.
		"before":  func() { s.handler["public_url"] = "not a URL" },
		"docroot": func() { s.handler["app"] = map[string]any{"preset": "wordpress", "docroot": s.docRoot + "/none"} },
		"while":   func() { s.handler["bucket"] = map[string]any{"url": "ftp://x"} },
		"after":   func() { s.after = []map[string]any{{"handler": "no_such_handler"}} },
		"start":   func() { s.server["listen"] = []string{"192.0.2.1:1"} },
	} {
		t.Run(name, func(t *testing.T) {
			spoil()
			if err := s.load(); err == nil {
				t.Error("the config was taken")
			}
			s.handler = nil
			if err := json.Unmarshal(good, &s.handler); err != nil {
				t.Fatal(err)
			}
			s.after = nil
			delete(s.server, "listen")
			if theEngine(t) != engine {
				t.Error("another engine")
			}
			if state := engine.engine.Stats().State; state == "stopped" {
				t.Error("the live engine was stopped")
			}
			if refs, _ := engines.References(engine.key); refs != 1 {
				t.Errorf("%d references", refs)
			}
			s.upload(map[string]string{name + ".jpg": name})
		})
	}
}

// TestReloadsUnderLoad reloads all the time, with and without a change of the
// engine, while uploads run: of those that reached the app none fails and none
// is lost. (Connections that still wait in the queue of a listener when Caddy
// closes it are reset by the kernel, without this module as well.)
func TestReloadsUnderLoad(t *testing.T) {
	var reached sync.Map
	var s *testSite
	s = newTestSite(t, func(w http.ResponseWriter, r *http.Request) error {
		key := strings.TrimPrefix(r.URL.Path, "/")
		reached.Store(key, true)
		s.writeUpload(key, "content")
		_, err := io.WriteString(w, "uploaded")
		return err
	})
	s.start()
	s.client.Transport = &http.Transport{DisableKeepAlives: true}
	stop := make(chan struct{})
	var uploads sync.WaitGroup
	var answered atomic.Int64
	for worker := range 4 {
		uploads.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprintf("%d/%d.jpg", worker, i)
				response, err := s.client.Post(s.url("/"+key), "text/plain", nil)
				if err != nil {
					if _, ok := reached.Load(key); ok {
						t.Errorf("%s reached the app: %v", key, err)
					}
					continue
				}
				response.Body.Close()
				answered.Add(1)
				if _, err := s.object("media/" + key); err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("%s: %d, %v", key, response.StatusCode, err)
				}
			}
		})
	}
	for i := range 12 {
		s.handler["workers"] = 4 + i/4
		if err := s.load(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	uploads.Wait()
	if answered.Load() == 0 {
		t.Error("no upload was answered")
	}
}

// TestValidateTouchesNothing: `caddy validate` makes no bucket and leaves no
// engine.
func TestValidateTouchesNothing(t *testing.T) {
	s := newTestSite(t, notFound)
	var config caddy.Config
	if err := json.Unmarshal(s.config(), &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	if all := liveEngines(); len(all) != 0 {
		t.Errorf("%d engines are left", len(all))
	}
	if _, err := os.Stat(s.bucket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the bucket was touched: %v", err)
	}
}

// TestLateRequest: a request of a replaced config that comes after its engine
// was stopped uses the engine that has the media roots now.
func TestLateRequest(t *testing.T) {
	var s *testSite
	s = newTestSite(t, uploadApp(&s, notFound))
	s.start()
	old := theEngine(t)
	s.handler["workers"] = 5
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	stopping.Wait()
	got := old.acquire()
	if got == nil || got != theEngine(t) {
		t.Fatalf("acquired %v", got)
	}
	got.release()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := old.acquire(); got != nil {
		t.Error("acquired an engine when there is none")
	}
}

// TestSwitchedLog: records go to the newest live config's logger, also from a
// logger that was derived earlier.
func TestSwitchedLog(t *testing.T) {
	var outputs [3]strings.Builder
	loggers := make([]*slog.Logger, len(outputs))
	for i := range outputs {
		loggers[i] = slog.New(slog.NewTextHandler(&outputs[i], nil))
	}
	log := newSwitchedLog(loggers[0])
	derived := log.logger().With("site", "x").WithGroup("g")
	first, second := new(Handler), new(Handler)

	derived.Info("a")
	log.use(first, loggers[1])
	derived.Info("b", "k", 1)
	log.use(second, loggers[2])
	derived.Info("c")
	log.drop(second)
	derived.Info("d")

	for i, want := range [][]string{{"a"}, {"b", "d"}, {"c"}} {
		lines := strings.Split(strings.TrimSpace(outputs[i].String()), "\n")
		if len(lines) != len(want) {
			t.Errorf("logger %d: %q, want %v", i, lines, want)
			continue
		}
		for j, line := range lines {
			if !strings.Contains(line, "msg="+want[j]+" site=x") {
				t.Errorf("logger %d: %q, want %s", i, line, want[j])
			}
		}
	}
	if !strings.Contains(outputs[1].String(), "g.k=1") {
		t.Errorf("group lost: %s", outputs[1].String())
	}
}
