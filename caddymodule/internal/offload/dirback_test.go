package offload

import "testing"

// A file that is written below a directory while that one's objects are being
// deleted is in the bucket when its request ends.
//
// Promise 1: "Durable before visible." Promise 2: "Nothing is lost."
func TestFileComesBackDuringDeleteOfItsDirectory(t *testing.T) {
	for _, policy := range []LocalPolicy{LocalOwn, LocalAll} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newNodes(t, 1, func(c *Config) { c.Local = policy })[0]
			s.ready()
			s.mustRequest(func() { s.write("d/x.jpg", "old") })
			r := s.e.Begin(t.Context(), "")
			defer r.End()
			s.calls.set(func(c *calls) {
				c.onDelete = func([]string) error {
					c.set(func(c *calls) { c.onDelete = nil })
					s.write("d/x.jpg", "new")
					s.until("the new file", func() bool { return s.readObject("d/x.jpg") == "new" })
					return nil
				}
			})
			s.rename("d", "e")
			if err := r.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := s.readObject("d/x.jpg"); got != "new" {
				t.Errorf("after the request the bucket has %q", got)
			}
			s.idle()
			s.equal()
		})
	}
}
