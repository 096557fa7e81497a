package web

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// TestGather: a body is gathered to its end, limit or error, and what was gathered and
// what follows are the body.
func TestGather(t *testing.T) {
	broken := errors.New("the client went away")
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
			var b gathered
			if err := b.fill(body); !errors.Is(err, test.want) {
				t.Errorf("%v", err)
			}
			if (b.file != nil) != test.file || b.taken < int64(test.size)/2 || b.taken > GatherLimit+2*gatherMemory {
				t.Errorf("file: %v, %d bytes taken", b.file, b.taken)
			}
			got, err := io.ReadAll(io.MultiReader(b.reader(), body))
			if !bytes.Equal(got, content) || err != nil && !errors.Is(err, test.then) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			b.free()
		})
	}
	if left := gatheredNow.Load(); left != 0 {
		t.Errorf("%d bytes count as gathered", left)
	}
}

// TestGatherTotal: all bodies together take no more than they may, and give it back.
func TestGatherTotal(t *testing.T) {
	var all []*gathered
	for range gatherTotal/GatherLimit + 1 {
		b := &gathered{}
		all = append(all, b)
		if err := b.fill(io.LimitReader(zeros{}, GatherLimit-1)); err != nil {
			break
		}
	}
	last := all[len(all)-1]
	if size := last.size + int64(len(last.rest)); gatheredNow.Load() > gatherTotal || size >= GatherLimit-1 {
		t.Errorf("%d bytes are gathered, the last has %d", gatheredNow.Load(), size)
	}
	for _, b := range all {
		b.free()
	}
	if left := gatheredNow.Load(); left != 0 {
		t.Errorf("%d bytes count as gathered", left)
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
