package watch

import (
	"os"
	"testing"
)

func TestFiles(t *testing.T) {
	bothKinds(t, func(t *testing.T, cfg Config) {
		f := start(t, cfg)
		wantNone(t, f.seen())

		f.write("a.jpg", "1")
		if ev := wantLast(t, f.seen(), "a.jpg", Wrote); !ev.Created {
			t.Error("a new file is not Created")
		}
		f.write("a.jpg", "2")
		if ev := wantLast(t, f.seen(), "a.jpg", Wrote); ev.Created {
			t.Error("an overwritten file is Created")
		}
		f.must(os.Chmod(f.path("a.jpg"), 0o600))
		wantLast(t, f.seen(), "a.jpg", Touched, Wrote)

		f.rename("a.jpg", "b.jpg")
		events := f.seen()
		wantLast(t, events, "a.jpg", Gone)
		wantLast(t, events, "b.jpg", Wrote)

		f.remove("b.jpg")
		wantLast(t, f.seen(), "b.jpg", Gone)
	})
}
