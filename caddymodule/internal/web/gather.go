package web

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
)

// A request that has to wait for names, or is to have them before its body is there, is
// gathered first: its body is read to the end before the app sees any of the request.
// So its place among those that want the names is that of its body: who is all there
// goes before all that are not, and nobody waits for those that hardly get on, however
// many they are. And once the app is at work, it waits for no client.
//
// A body that is too long for that, or finds no room, goes on without: see gate.enter.

const (
	// GatherLimit is how much of one body is gathered.
	GatherLimit = 32 << 20
	// gatherMemory is how much of a body is in memory before there is a file for it.
	gatherMemory = 16 << 10
)

// gathering is the room for all bodies that are gathered.
var gathering = budget{limit: 256 << 20, each: 2 * GatherLimit}

// errNoRoom: a body is gathered no further.
var errNoRoom = errors.New("no room for more of the body")

// gathered is the beginning of a body, perhaps all of it.
type gathered struct {
	room   share
	file   *os.File // without a name; nil: there is none
	size   int64    // of what is in the file
	rest   []byte   // what follows
	noFile error    // why no more of it can be in a file
}

// fill reads a body to its end. The error is errNoRoom, or that of reading.
func (b *gathered) fill(body io.Reader) error {
	for {
		if len(b.rest) == cap(b.rest) && !b.makeRoom() {
			return errNoRoom
		}
		n, err := body.Read(b.rest[len(b.rest):cap(b.rest)])
		b.rest = b.rest[:len(b.rest)+n]
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case b.size+int64(len(b.rest)) >= GatherLimit:
			return errNoRoom
		}
	}
}

// makeRoom makes room for more of the body, in memory first, then in a file, and
// reports whether it could.
func (b *gathered) makeRoom() bool {
	more := max(firstHead, len(b.rest))
	switch {
	case !b.room.take(more):
		return false
	case len(b.rest) < gatherMemory:
		b.rest = slices.Grow(b.rest, more)
		return true
	case b.file == nil && !b.makeFile():
		return false
	}
	n, err := b.file.Write(b.rest)
	if err != nil {
		b.noFile = err
		b.size, b.rest = b.size+int64(n), b.rest[n:]
		return false
	}
	b.size, b.rest = b.size+int64(n), b.rest[:0]
	return true
}

// makeFile makes a file that ends with this process, however that ends.
func (b *gathered) makeFile() bool {
	file, err := os.CreateTemp("", "media-offload-")
	if err == nil {
		if err = os.Remove(file.Name()); err != nil {
			_ = file.Close()
		}
	}
	if err != nil {
		b.noFile = err
		return false
	}
	b.file = file
	return true
}

// reader reads what was gathered.
func (b *gathered) reader() io.Reader {
	if b.file == nil {
		return bytes.NewReader(b.rest)
	}
	return io.MultiReader(io.NewSectionReader(b.file, 0, b.size), bytes.NewReader(b.rest))
}

// free gives the room back. What is read of the file after it is an error.
func (b *gathered) free() {
	b.room.free()
	if b.file != nil {
		_ = b.file.Close()
	}
}
