package env

import (
	"os/exec"
	"testing"
	"time"
)

// TestCPU has a child of the process work; the process itself only waits.
func TestCPU(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p, err := e.start("busy", exec.Command("sh", "-c", "(while :; do :; done) & child=$!; trap 'kill $child; exit' TERM; wait"), nil)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		used, err := p.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if used > 200*time.Millisecond {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s of processor time after 20 s of a busy child", used)
		}
		time.Sleep(pollInterval) // a process that ends is only seen by looking
	}
}
