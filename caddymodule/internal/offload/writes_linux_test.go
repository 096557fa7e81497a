package offload

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Where there is no change log, a running node notices too that its bucket was put
// back to an older state, and stores again what that lacks.
//
// Promise 2: "Nothing is lost."
func TestOlderBucketUnderARunningNode(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(s *site, snapshot string){
		// At no moment is there no bucket.
		"the directory": func(s *site, snapshot string) {
			mustDo(s.t, unix.Renameat2(unix.AT_FDCWD, snapshot, unix.AT_FDCWD, s.bucket, unix.RENAME_EXCHANGE))
		},
		"what is in it": func(s *site, snapshot string) {
			s.sh(`cd "$2"; for f in $(find . -type f); do cp -a "$f" "$1/.tmp/old"; mv "$1/.tmp/old" "$1/$f"; done; rm "$1/media/c.jpg"`, s.bucket, snapshot)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) { c.Look = 20 * time.Millisecond })
			s.bucket = t.TempDir() + "/bucket"
			s.ready()
			s.mustRequest(func() { s.write("a.jpg", "a"); s.write("b.jpg", "older") })
			s.counted()
			snapshot := t.TempDir() + "/snapshot"
			s.sh(`cp -a "$1" "$2"`, s.bucket, snapshot)
			s.mustRequest(func() { s.write("c.jpg", "c"); s.write("b.jpg", "newer") })
			s.counted()
			replace(s, snapshot)
			s.until("what was lost", func() bool { return s.readObject("c.jpg") == "c" && s.readObject("b.jpg") == "newer" })
			s.until("the comparison to find nothing", func() bool { return !s.isOlder() })
			s.equal()
			if n := s.logs.count("older state"); n != 1 {
				t.Errorf("%d lines in the log", n)
			}
			s.mustRequest(func() { s.remove("c.jpg") })
			s.stop()
			s.ready()
			if s.isOlder() || s.readObject("c.jpg") != "" {
				t.Error("it is taken for older still")
			}
		})
	}
}
