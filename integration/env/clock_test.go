package env

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestClockAhead builds a program with a clock that can be set, and sets it.
func TestClockAhead(t *testing.T) {
	dir := t.TempDir()
	overlay, err := clockOverlay(dir)
	if err != nil {
		t.Fatal(err)
	}
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "now")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"time\"\n\nfunc main() { println(time.Now().Unix()) }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	for _, ahead := range []int{0, 3600, -3600} {
		cmd := exec.Command(binary)
		cmd.Env = append(os.Environ(), ClockAhead(ahead))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		now, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if off := now - time.Now().Unix() - int64(ahead); off < -5 || off > 5 {
			t.Errorf("a clock set %d s ahead is off by another %d s", ahead, off)
		}
	}
}
