package local

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// What stands in for renameat2 where the kernel or the file system has none of
// it does the same.
func TestWithoutRenameat2(t *testing.T) {
	for _, c := range []struct {
		name        string
		do          func(root *os.Root) error
		files, want map[string]string
		err         error
	}{
		{
			"exchange", func(root *os.Root) error { return exchangeByThree(root, "d/a", "d/b") },
			map[string]string{"d/a": "new", "d/b": "old"}, map[string]string{"d/a": "old", "d/b": "new"}, nil,
		},
		{
			"exchange with nothing", func(root *os.Root) error { return exchangeByThree(root, "d/a", "d/b") },
			map[string]string{"d/a": "new"}, map[string]string{"d/a": "new"}, fs.ErrNotExist,
		},
		{
			"rename", func(root *os.Root) error { return linkNew(root, "d/a", "d/b") },
			map[string]string{"d/a": "old"}, map[string]string{"d/b": "old"}, nil,
		},
		{
			"rename to a name that is taken", func(root *os.Root) error { return linkNew(root, "d/a", "d/b") },
			map[string]string{"d/a": "old", "d/b": "the app's"}, map[string]string{"d/a": "old", "d/b": "the app's"}, fs.ErrExist,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := root.Mkdir("d", 0o755); err != nil {
				t.Fatal(err)
			}
			for name, text := range c.files {
				if err := root.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.do(root); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			left, err := fs.ReadDir(root.FS(), "d")
			if err != nil || len(left) != len(c.want) {
				t.Errorf("left: %v, %v", left, err)
			}
			for name, want := range c.want {
				if got, err := root.ReadFile(name); err != nil || string(got) != want {
					t.Errorf("%s: %q, %v, want %q", name, got, err, want)
				}
			}
		})
	}
}
