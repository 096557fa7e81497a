package web

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/iotest"
)

// TestGather: a body is gathered to its end, limit or error, and what was gathered and
// what follows are the body.
func TestGather(t *testing.T) {
	broken := errors.New("the client went away")
	room := budget{limit: 2 * GatherLimit}
	for _, test := range []struct {
		name string
		size int
		then error // after these bytes
		want error
		file bool
	}{
		{"empty", 0, io.EOF, nil, false},
		{"small", 100, io.EOF, nil, false},
		{"larger than the first room", 3 * firstHead, io.EOF, nil, false},
		{"in a file", 100_000, io.EOF, nil, true},
		{"as large as may be", GatherLimit - 1, io.EOF, nil, true},
		{"too large", GatherLimit, io.EOF, errNoRoom, true},
		{"far too large", GatherLimit + 100_000, io.EOF, errNoRoom, true},
		{"broken off", 100_000, broken, broken, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := make([]byte, test.size)
			rand.NewChaCha8([32]byte{1}).Read(content)
			body := io.MultiReader(bytes.NewReader(content), iotest.ErrReader(test.then))
			b := gathered{room: share{of: &room}}
			if err := b.fill(body); !errors.Is(err, test.want) {
				t.Errorf("%v", err)
			}
			if (b.file != nil) != test.file || b.room.taken < int64(test.size)/2 || b.room.taken > GatherLimit+2*gatherMemory {
				t.Errorf("file: %v, %d bytes taken", b.file, b.room.taken)
			}
			got, err := io.ReadAll(io.MultiReader(b.reader(), body))
			if !bytes.Equal(got, content) || err != nil && !errors.Is(err, test.then) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			b.free()
		})
	}
	if left := room.inUse(); left != 0 {
		t.Errorf("%d bytes count as gathered", left)
	}
}

// Bodies take no more room together, nor those of one client, than they may, and give it
// back.
func TestGatherTotal(t *testing.T) {
	const limit, each = 1 << 20, 600 << 10
	room := budget{limit: limit, each: each}
	var all []*gathered
	gather := func(client string) int64 {
		b := &gathered{room: share{of: &room, client: client}}
		all = append(all, b)
		if err := b.fill(zeros{}); !errors.Is(err, errNoRoom) || b.noFile != nil {
			t.Errorf("%v, %v", err, b.noFile)
		}
		return b.room.taken
	}
	if n := gather("greedy") + gather("greedy"); n <= each/2 || n > each {
		t.Errorf("one client has %d bytes", n)
	}
	if n := gather("another"); n == 0 {
		t.Error("another one has nothing")
	}
	gather("")
	if n := room.inUse(); n <= limit/2 || n > limit {
		t.Errorf("%d bytes are taken", n)
	}
	for _, b := range all {
		b.free()
	}
	if n := room.inUse(); n != 0 || len(room.by) != 0 {
		t.Errorf("%d bytes are not given back: %v", n, room.by)
	}
}

// Where no file can be made, what was gathered and what follows are the body all the same,
// and the error is known.
func TestGatherWithoutFiles(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	content := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{1}).Read(content)
	body := bytes.NewReader(content)
	b := gathered{room: share{of: &budget{limit: GatherLimit}}}
	if err := b.fill(body); !errors.Is(err, errNoRoom) || !errors.Is(b.noFile, fs.ErrNotExist) {
		t.Errorf("%v, %v", err, b.noFile)
	}
	if got, err := io.ReadAll(io.MultiReader(b.reader(), body)); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
