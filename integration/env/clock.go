package env

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// clockVariable is the environment variable from which a program that was built
// with a settable clock takes how many seconds its clock is ahead.
const clockVariable = "MEDIA_OFFLOAD_CLOCK_AHEAD"

// ClockAhead is the environment variable that sets the clock of a program built
// with Builder.Clock ahead by so many seconds, or back.
func ClockAhead(seconds int) string { return fmt.Sprintf("%s=%d", clockVariable, seconds) }

// clockSource is added to the standard library's package time.
const clockSource = `package time

import "syscall"

var clockAhead = func() int64 {
	value, _ := syscall.Getenv("` + clockVariable + `")
	seconds, sign := int64(0), int64(1)
	for i, digit := range []byte(value) {
		if i == 0 && digit == '-' {
			sign = -1
			continue
		}
		seconds = seconds*10 + int64(digit-'0')
	}
	return sign * seconds
}()
`

// clockOverlay writes what `go build -overlay` needs to give a program a wall
// clock that can be set: a time namespace does not move that clock, and a
// static program calls no library that could.
func clockOverlay(dir string) (string, error) {
	root, err := exec.CommandContext(context.Background(), "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("finding the standard library: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	content, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("reading the standard library: %w", err)
	}
	const call = "\nfunc Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(content), call) != 1 {
		return "", fmt.Errorf("%s is not as expected: %q is not there once", original, call)
	}
	changed := strings.Replace(string(content), call, call+"\tsec += clockAhead\n", 1)
	files := map[string]string{"time.go": changed, "clock.go": clockSource}
	replace := map[string]string{}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return "", fmt.Errorf("writing the overlay: %w", err)
		}
		replace[filepath.Join(filepath.Dir(original), name)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, overlay, 0o644)
}
