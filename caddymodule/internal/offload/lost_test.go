package offload

import "testing"

// What the log did not tell is found by comparing disk and bucket, also of files
// that this node has committed itself.
//
// Promise 6: "Every node sees what a shared disk would show."
func TestComparingFindsWhatTheLogDidNotTell(t *testing.T) {
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write("by-a.jpg", "old"); a.write("by-b.jpg", "old") })
	ns.agree()
	b.mustUpload(func() { b.write("by-b.jpg", "old, of b") })
	ns.agree()
	for _, key := range []string{"by-a.jpg", "by-b.jpg"} {
		a.putObject("media/"+key, "new")
	}
	a.e.lost()
	b.e.lost()
	ns.agree()
	for _, s := range ns {
		if got := s.disk(); got["by-a.jpg"] != "new" || got["by-b.jpg"] != "new" {
			t.Errorf("the disk has %v", got)
		}
	}
	if got := a.conflicts(); len(got) > 0 {
		t.Errorf("kept aside: %q", got)
	}
}
