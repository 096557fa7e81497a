package decode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxDecoded and maxRatio bound what a compressed answer may become: the
	// first many bytes are free, more must be in proportion to what came in.
	maxDecoded = 32 << 20
	maxRatio   = 32
	// maxWindow bounds the memory of a zstd decoder: RFC 9659 lets content
	// encoders use 8 MiB.
	maxWindow = 8 << 20
)

// errBomb: the answer grows out of all proportion.
var errBomb = errors.New("the compressed answer is suspiciously large")

// Possible reports whether an answer with this Content-Encoding can be decoded,
// judging also by the first bytes, if they are known: some apps name an
// encoding that they do not use.
func Possible(encodings []string, first []byte) bool {
	if len(encodings) == 0 {
		return true
	}
	if len(encodings) > 1 {
		return false
	}
	switch Name(encodings[0]) {
	case "", "identity", "br":
		return true
	case "gzip":
		return looksLike(first, "\x1f\x8b")
	case "zstd":
		return looksLike(first, "\x28\xb5\x2f\xfd")
	}
	return false
}

func looksLike(first []byte, magic string) bool {
	n := min(len(first), len(magic))
	return bytes.Equal(first[:n], []byte(magic[:n]))
}

// Name returns the name of an encoding in its usual form.
func Name(value string) string {
	value = strings.ToLower(strings.TrimSpace(value))
	if value == "x-gzip" { // RFC 9110, section 8.4.1.3
		return "gzip"
	}
	return value
}

// Writer decompresses what is written to it and writes it on. Decompressors
// read, handlers write: a goroutine with a pipe stands between them. It ends
// with Close or Abort.
type Writer struct {
	pipe    *io.PipeWriter
	done    chan struct{}
	err     error // valid when done is closed
	read    atomic.Int64
	written int64
	dst     io.Writer
}

// NewWriter returns a writer for what has an encoding that is Possible.
func NewWriter(encoding string, dst io.Writer) *Writer {
	r, w := io.Pipe()
	d := &Writer{pipe: w, done: make(chan struct{}), dst: dst}
	go func() {
		defer close(d.done)
		d.err = d.run(Name(encoding), r)
		_ = r.CloseWithError(d.err) // later writes fail with it; nil reads as io.ErrClosedPipe
	}()
	return d
}

// run decodes until the input ends.
func (d *Writer) run(encoding string, r io.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoding %s: panic: %v\n%s", encoding, p, debug.Stack())
		}
	}()
	in := &peekReader{r: r}
	if empty, err := in.empty(); empty || err != nil {
		return err
	}
	body, closeBody, err := openEncoding(encoding, in)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // it is cut off before there is anything in it
	}
	if err != nil {
		return fmt.Errorf("decoding %s: %w", encoding, err)
	}
	defer closeBody()
	if _, err := io.Copy(writerFunc(d.pass), body); err != nil && !endsBody(err) {
		return fmt.Errorf("decoding %s: %w", encoding, err)
	}
	// What follows the encoded body is no part of it; the app must be able to
	// write it all the same.
	_, err = io.Copy(io.Discard, in)
	return err
}

// endsBody reports whether browsers would take an error of a decoder for the end of
// the body, and show what came before it: it was cut off, its checksum is wrong or
// missing, or something else follows. Apps that compress by themselves send such, as
// with an empty line behind the last ?>. Within the body it is an error for browsers too.
func endsBody(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) ||
		errors.Is(err, zstd.ErrMagicMismatch) || errors.Is(err, zstd.ErrCRCMismatch) || err.Error() == brotliExcess
}

// brotliExcess is what the brotli package's error says, which has no name there, when
// something follows the body.
const brotliExcess = "brotli: excessive input"

func openEncoding(encoding string, r io.Reader) (body io.Reader, closeBody func(), err error) {
	switch encoding {
	case "gzip":
		zr, err := gzip.NewReader(r)
		return zr, func() {}, err
	case "br":
		return brotli.NewReader(r), func() {}, nil
	case "zstd":
		zr, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return zr, zr.Close, nil
	}
	return nil, nil, errors.New("unknown encoding")
}

// pass writes decoded bytes on, within the bounds.
func (d *Writer) pass(p []byte) (int, error) {
	d.written += int64(len(p))
	if d.written > maxDecoded && d.written/maxRatio > d.read.Load() {
		return 0, errBomb
	}
	return d.dst.Write(p)
}

// Write takes encoded bytes.
func (d *Writer) Write(p []byte) (int, error) {
	d.read.Add(int64(len(p)))
	return d.pipe.Write(p)
}

// Close says that the input is complete, and returns when all output is
// written.
func (d *Writer) Close() error {
	_ = d.pipe.Close()
	<-d.done
	return d.err
}

// Abort ends the goroutine. It does nothing after Close.
func (d *Writer) Abort() {
	_ = d.pipe.CloseWithError(io.ErrUnexpectedEOF)
	<-d.done
}

// peekReader can tell whether there is anything to read.
type peekReader struct {
	r     io.Reader
	first [1]byte
	has   bool
}

// empty reports whether the input ends before its first byte. Some apps name
// an encoding for a body that they then do not send.
func (p *peekReader) empty() (bool, error) {
	_, err := io.ReadFull(p.r, p.first[:])
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	p.has = err == nil
	return false, err
}

func (p *peekReader) Read(b []byte) (int, error) {
	if p.has && len(b) > 0 {
		p.has = false
		b[0] = p.first[0]
		return 1, nil
	}
	return p.r.Read(b)
}

// writerFunc is a function as an io.Writer.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
