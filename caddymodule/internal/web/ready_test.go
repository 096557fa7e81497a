package web

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// TestTurnout counts the log lines: one for each change of state.
func TestTurnout(t *testing.T) {
	var out bytes.Buffer
	turn := NewTurnout(slog.New(slog.NewTextHandler(&out, nil)))
	for range 3 {
		turn.inTime()
		turn.late(errors.New("bucket away"))
		turn.late(errors.New("bucket away"))
		turn.warnOver()
	}
	if warned, info := strings.Count(out.String(), "not ready for a request in time"), strings.Count(out.String(), "ready for uploads again"); warned != 3 || info != 2 {
		t.Errorf("%d warnings, %d times over\n%s", warned, info, out.String())
	}
	if strings.Count(out.String(), "longer file names") != 1 {
		t.Errorf("%s", out.String())
	}
	if turn.enter("a") || !turn.enter("a") || turn.enter("b") {
		t.Error("who is alone with a name")
	}
	if a, c := turn.Bringing("a"), turn.Bringing("c"); a != 2 || c != 0 {
		t.Errorf("%d bring a, %d c", a, c)
	}
	turn.leave([]string{"a", "b"})
	if !turn.enter("a") || turn.enter("b") {
		t.Error("who is alone with a name after others left")
	}
}
