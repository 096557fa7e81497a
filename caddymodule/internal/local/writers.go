package local

import "io/fs"

// Writing is what is known of the processes that have a file open for writing.
type Writing uint8

const (
	// Untold: the kernel does not tell.
	Untold Writing = iota
	// NoWriters: no process had it open for writing when it was asked for, nor
	// mapped into memory.
	NoWriters
	// Writers: some process has.
	Writers
)

// Writing tells whether some process has the regular file at rel open for
// writing, and describes the file. Only Linux tells, on file systems that know
// leases, and only the file's owner or who has CAP_LEASE: to others err is nil
// and the answer Untold.
func (t *Tree) Writing(rel string) (w Writing, info fs.FileInfo, err error) {
	f, err := t.Open(rel)
	if err != nil {
		return Untold, nil, err
	}
	defer f.Close()
	w = writersOf(f)
	info, err = f.Stat()
	return w, info, err
}
