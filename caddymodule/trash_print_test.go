package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Who can write to the bucket has no say in what the admin's terminal does.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"2026/11/photo.jpg":  "2026/11/photo.jpg",
		"Ä b.jpg":            "Ä b.jpg",
		"a\x1b[2J.jpg":       `"a\x1b[2J.jpg"`,
		"a\u202egpj.jpg":     `"a\u202egpj.jpg"`,
		"a\u009b31m.jpg":     `"a\u009b31m.jpg"`,
		"outside\tforged\n.": `"outside\tforged\n."`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is shown as %s", text, got)
		}
	}
}

func TestNumberOf(t *testing.T) {
	for n, want := range map[int]string{0: "0 files", 1: "1 file", 2: "2 files"} {
		if got := numberOf(n, "file"); got != want {
			t.Errorf("%q", got)
		}
	}
}

func TestTrashWithoutUnit(t *testing.T) {
	var h Handler
	d := caddyfile.NewTestDispenser("media_offload {\ntrash 30\n}")
	if err := h.UnmarshalCaddyfile(d); err == nil || !strings.Contains(err.Error(), "as 30d") {
		t.Errorf("got %v", err)
	}
}
