package rewrite

import "io"

// ReverseReader reads a body with its public URLs turned into local ones.
type ReverseReader struct {
	src io.Reader
	s   reverser
	in  []byte
	out []byte // what is to be read next
	buf []byte // out's memory
	err error
}

// reverseChunk is how much a ReverseReader takes in at once.
const reverseChunk = 16 << 10

// NewReader returns a reader of body as Body would turn it, of whatever length
// that gives.
func (r *Reverse) NewReader(body io.Reader, contentType, origin string) *ReverseReader {
	return &ReverseReader{src: body, s: reverser{r: r, t: bodyOf(contentType), origin: origin}}
}

// NewSizedReader returns a reader of body that gives exactly as many bytes as
// body has, so that its Content-Length can be passed on before it is read.
//
// Where a local URL is shorter than the public one the body is filled up at
// its end with what means nothing there (spaces in JSON and XML, "&" in a
// form, the epilogue of a multipart). Where it is longer, and what was saved
// before does not make up for it, it is written root-relative, and if even
// that is longer the public one stays.
func (r *Reverse) NewSizedReader(body io.Reader, contentType, origin string) *ReverseReader {
	rr := r.NewReader(body, contentType, origin)
	rr.s.sized = true
	return rr
}

// Replaced is the number of URLs that have been turned so far.
func (rr *ReverseReader) Replaced() int { return rr.s.replaced }

// Read reads the turned body. An error of the body's reader is returned as it
// is, after all that came before it.
func (rr *ReverseReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if rr.s.t.kind == bodyOther {
		return rr.src.Read(p)
	}
	for len(rr.out) == 0 {
		if rr.err != nil {
			return 0, rr.err
		}
		rr.fill()
	}
	n := copy(p, rr.out)
	rr.out = rr.out[n:]
	return n, nil
}

// fill takes in the next piece of the body.
func (rr *ReverseReader) fill() {
	if rr.in == nil {
		rr.in = make([]byte, reverseChunk)
	}
	n, err := rr.src.Read(rr.in)
	rr.err = err
	rr.buf = rr.s.run(rr.buf[:0], rr.in[:n], err != nil)
	if err == io.EOF && rr.s.sized {
		for ; rr.s.saved > 0; rr.s.saved-- {
			rr.buf = append(rr.buf, rr.s.t.padding())
		}
	}
	rr.out = rr.buf
}
