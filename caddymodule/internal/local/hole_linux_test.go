package local

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestHasHole(t *testing.T) {
	for name, c := range map[string]struct {
		written, size int64
		want          bool
	}{
		"empty":          {0, 0, false},
		"whole":          {1 << 20, 1 << 20, false},
		"never written":  {0, 1 << 20, true},
		"written partly": {1 << 19, 1 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(t.TempDir(), "x"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write(make([]byte, c.written)); err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(c.size); err != nil {
				t.Fatal(err)
			}
			if got := HasHole(f); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
			if at, err := f.Seek(0, io.SeekCurrent); err != nil || at != 0 {
				t.Errorf("left at %d, %v", at, err)
			}
		})
	}
}
