package env

import "testing"

// TestBlock has the layout of `caddy fmt`, because people read the demo's
// Caddyfile.
func TestBlock(t *testing.T) {
	got := block("http://127.0.0.1:1", "root * /x", "", block("media_offload", "hold 1s", "workers 2"), "file_server")
	want := "http://127.0.0.1:1 {\n\troot * /x\n\tmedia_offload {\n\t\thold 1s\n\t\tworkers 2\n\t}\n\tfile_server\n}\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
