package offload

import (
	"fmt"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// TestIgnoredIsCounted: a file that stays on disk is counted by the rule that
// keeps it there, and the first of each rule that a request writes is logged.
//
// "Nothing that stays on disk may do so unseen."
func TestIgnoredIsCounted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("old.log", "log")
	s.write("a/old.sql.gz", "dump")
	s.write("cache/x.json", "{}")
	s.write(".git/config", "[core]")
	s.write("a/photo.log.png", "picture")
	e := s.ready()
	if got, want := e.Stats().Ignored.Found, ([media.Reasons]uint64{media.ByName: 1, media.ByPreset: 2, media.ByCache: 1}); got != want {
		t.Errorf("found: %v, want %v", got, want)
	}
	if got := s.objects()["a/photo.log.png"]; got != "picture" {
		t.Errorf("object: %q", got)
	}

	if s.logs.count("stays on this disk only") != 0 {
		t.Error("what was there before a request is logged")
	}
	s.mustRequest(func() {
		for i := range 50 {
			s.write(fmt.Sprintf("a/%d.log", i), "log")
			s.write(fmt.Sprintf("b/%d.log.1", i), "log")
			s.write(fmt.Sprintf("b/%d.php", i), "<?php")
		}
		s.write("b/picture.jpg", "picture")
	})
	// A file in a new directory may be seen twice.
	if got := e.Stats().Ignored.Written; got[media.ByName] < 50 || got[media.ByPreset] < 100 || got[media.ByOption]+got[media.ByCache] != 0 {
		t.Errorf("written: %v", got)
	}
	if n := s.logs.count("stays on this disk only"); n != 2 {
		t.Errorf("%d lines in the log, want one for each rule", n)
	}
	if s.logs.count("pattern=*.log") != 1 || s.logs.count("because a web server might run it") != 1 || s.logs.count("the option public") != 1 {
		t.Error("the log names no rule or option")
	}
	s.equal()
}
