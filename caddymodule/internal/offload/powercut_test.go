package offload

import (
	"strings"
	"testing"
	"time"
)

// A disk that lost its power bears the note that requests were running: what it lacks of
// their uploads was not deleted by the app.
//
// Promise 8: "What is missing after a time without the module is fetched, not deleted".
func TestDiskThatLacksTheLastUploads(t *testing.T) {
	t.Parallel()
	other := func(note string) string { return note[:strings.LastIndexByte(note, ' ')] + " another-boot" }
	for name, note := range map[string]func(begun time.Time) string{
		"a power cut": func(begun time.Time) string { return other(window{from: begun, to: time.Now()}.String()) },
	} {
		t.Run(name, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, others nodes) {
				s.mustUpload(func() { s.write("2026/before.jpg", "before") })
				begun := time.Now()
				s.mustUpload(func() { s.write("2026/after.jpg", "after") })
				s.kill()
				s.remove("2026/after.jpg") // it is not there any more
				s.setNote(note(begun))
				s.ready()
				s.idle()
				if got := s.readObject("2026/after.jpg"); got != "after" {
					t.Errorf("the object of an upload is %q", got)
				}
			})
		})
	}
}
