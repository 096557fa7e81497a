package web

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

const (
	// heldBack is how many of a body's last bytes are kept back. PHP does not
	// wait for the end of a body, but for as many bytes as Content-Length says, so
	// that one would do; others stop at a multipart body's closing delimiter,
	// which this holds.
	heldBack = 128
	// namesHead is how much of a body is read before it is forwarded, if no
	// name comes before; firstHead how much of that at first, where a name mostly is.
	namesHead = 16 << 10
	firstHead = 2 << 10
)

// hasBody reports whether r has, or may have, a body whose end can be kept back.
// Who asks for incremental forwarding wants each byte at once.
func hasBody(r *http.Request) bool {
	return hasContent(r) && r.Method != http.MethodGet && !isIncremental(r.Header)
}

// hasContent reports whether r has, or may have, a body.
func hasContent(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// isIncremental reports whether the sender of a message asks for it to be passed on as
// it comes (RFC 10036): by a field that is a boolean Item (RFC 9651).
func isIncremental(hdr http.Header) bool {
	values := hdr["Incremental"]
	if len(values) != 1 {
		return false
	}
	value, _, _ := strings.Cut(values[0], ";") // of parameters none is known
	return strings.Trim(value, " ") == "?1"
}

// withNames returns r with a body whose names the gate learns while it is read,
// some of it already.
func (g *gate) withNames(r *http.Request, site *media.Site) *http.Request {
	if !hasBody(r) || len(r.Header["Content-Encoding"]) > 0 {
		return r
	}
	g.scanner = site.NewNameScanner(r.Header.Get("Content-Type"), g.name)
	if g.scanner == nil {
		return r
	}
	body := &scannedBody{src: r.Body, scanner: g.scanner}
	size := int64(namesHead)
	if r.ContentLength > 0 {
		size = min(size, r.ContentLength)
	}
	head, err := g.readHead(body, int(size))
	if err != nil {
		return withBody(r, io.MultiReader(bytes.NewReader(head), failingReader{err}), r.ContentLength)
	}
	return withBody(r, io.MultiReader(bytes.NewReader(head), body), r.ContentLength)
}

// readHead reads until a name came or size bytes did.
func (g *gate) readHead(body io.Reader, size int) (head []byte, err error) {
	head = make([]byte, 0, min(size, firstHead))
	for len(head) < size {
		head = slices.Grow(head, 1)
		n, err := body.Read(head[len(head):min(cap(head), size)])
		head = head[:len(head)+n]
		if err != nil || g.named() {
			return head, err
		}
	}
	return head, nil
}

// scannedBody shows all that is read of a body to a scanner.
type scannedBody struct {
	src     io.Reader
	scanner *media.NameScanner
}

func (b *scannedBody) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	b.scanner.Scan(p[:n])
	return n, err
}

// withHeldEnd returns r with a body whose end is kept back until the gate lets
// it pass. From its end on, however that comes, the app may be at work.
func (g *gate) withHeldEnd(r *http.Request) *http.Request {
	if !hasBody(r) {
		return r
	}
	return withBody(r, newHeldBody(r.Body, r.ContentLength, g.pass, g.req.AppRuns), r.ContentLength)
}

// heldBody is a body whose last bytes, and its end, are kept back until pass
// returns. They have been read from the client by then, so that all names are
// known. If pass fails, so does reading, without them.
type heldBody struct {
	src   io.Reader
	free  int64 // of a body of known length, how much is surely not its end
	tail  *bufio.Reader
	pass  func() error
	ended func()
	end   error // what comes after the bytes in tail; nil: not known yet
}

func newHeldBody(src io.Reader, length int64, pass func() error, ended func()) *heldBody {
	b := &heldBody{src: src, pass: pass, ended: ended}
	if length < 0 {
		b.tail = bufio.NewReaderSize(src, 32<<10)
		return b
	}
	b.free = max(0, length-heldBack)
	b.tail = bufio.NewReaderSize(src, 2*heldBack)
	return b
}

func (b *heldBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.free > 0 {
		n, err := b.src.Read(p[:min(int64(len(p)), b.free)])
		if b.free -= int64(n); err != nil {
			b.ended()
		}
		return n, err
	}
	if b.end == nil {
		_, err := b.tail.Peek(heldBack + 1)
		if err == nil {
			return b.tail.Read(p[:min(len(p), b.tail.Buffered()-heldBack)])
		}
		b.end = err
		// A body that broke off reaches the app as it is: no more comes of it.
		if errors.Is(err, io.EOF) {
			if err := b.pass(); err != nil {
				b.end, b.tail = err, bufio.NewReader(failingReader{err})
			}
		}
		b.ended()
	}
	if held := b.tail.Buffered(); held > 0 {
		return b.tail.Read(p[:min(len(p), held)])
	}
	return 0, b.end
}
