package rewrite

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// References reads a body of this Content-Type and calls found for each URL in it
// that a browser, a feed reader or a player would read, decoded from the escapes
// of its context, with the place that it stands in, until found returns false or
// the body ends. It needs no configuration: every URL counts, whatever its scheme
// and host; those that are only a fragment are none. The href of a base element is
// one too, for the others of its document are relative to it. The URL is valid
// only during the call.
//
// It finds URLs by the code that a Rewriter does, so that what one knows the other
// does. What it holds of the body is bounded by DefaultMaxToken and what a Writer
// keeps besides; a longer URL is none. A body that it cannot read, by its type or
// its encoding, is an error, for nothing is known of it.
func References(contentType string, body io.Reader, found func(url []byte, place Place) bool) error {
	w := referrers.Get().(*Writer)
	defer referrers.Put(w)
	w.Reset(io.Discard, Page{ContentType: contentType, Path: "/"})
	w.found = found
	n, err := io.Copy(w, body)
	if err == nil {
		err = w.Finish()
	}
	read := w.format != formatNone || n == 0 && w.declared != formatNone
	w.found, w.dst = nil, nil
	w.shrink()
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil:
		return fmt.Errorf("looking for URLs: %w", err)
	case !read:
		return fmt.Errorf("looking for URLs: cannot read %q, or not in its encoding", contentType)
	}
	return nil
}

// errEnough ends a body of which no more is to be read.
var errEnough = errors.New("rewrite: enough references")

// referrers are the Writers of References.
var referrers = sync.Pool{New: func() any {
	return newWriter(&Rewriter{
		needles:  &needles{everywhere: true, longest: 1},
		maxToken: DefaultMaxToken,
	})
}}

// refer gives u, one URL with nothing around it, to whom References was called by.
func (w *Writer) refer(u []byte) {
	if w.err != nil || len(u) == 0 || u[0] == '#' {
		return
	}
	path, _ := scanPath(u)
	if !w.found(u, w.use.place(path, u)) {
		w.err = errEnough
	}
}
