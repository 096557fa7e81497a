package offload

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// What a directory tells at once of the bucket is seen within about a second though nobody
// uploads anything, and though the identity is looked at rarely: log and status say so, and
// all goes on by itself afterwards.
//
// Promise 2: "No failure of the bucket […] loses a file that the app has on disk: it is
// committed after recovery, without anyone's help."
func TestADirectoryThatFailsAtRest(t *testing.T) {
	for name, leave := range map[string]func(s *site) (comeBack func()){
		"closed":           closeBucket,
		"gone":             func(s *site) func() { aside := s.setAside(); return func() { s.putBack(aside) } },
		"of another site":  anEmptyOne,
		"mounted readonly": mountReadOnly,
	} {
		for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
			t.Run(fmt.Sprintf("%s, local %s", name, policy), func(t *testing.T) {
				if name == "closed" && !asNobodyToo(t) {
					return
				}
				t.Parallel()
				s := newSite(t, func(c *Config) { c.Local, c.Look, c.Poll = policy, time.Hour, time.Hour })
				s.bucket = t.TempDir() + "/bucket"
				if name == "mounted readonly" {
					s.onDisk()
				}
				s.ready()
				s.mustUpload(func() { s.writeAll(names(3)) })
				s.idle()
				for range 2 {
					objects := len(s.objects())
					comeBack := leave(s)
					s.until("the state to say so", func() bool { return s.e.Stats().State == "degraded" })
					if s.logs.count("level=WARN")+s.logs.count("level=ERROR") == 0 {
						t.Error("the log does not say so")
					}
					comeBack()
					s.until("all to be well again", func() bool { return s.e.Stats().State == "running" && s.takesUploads() })
					s.mustUpload(func() { s.write(fmt.Sprintf("afterwards-%d.jpg", objects), "x") })
					s.idle()
					if n := len(s.objects()); n != objects+1 {
						t.Errorf("%d objects, not %d", n, objects+1)
					}
				}
			})
		}
	}
}

func closeBucket(s *site) (comeBack func()) {
	mustDo(s.t, os.Chmod(s.bucket, 0))
	open := func() { mustDo(s.t, os.Chmod(s.bucket, 0o755)) }
	s.t.Cleanup(open) // to be removed
	return open
}
