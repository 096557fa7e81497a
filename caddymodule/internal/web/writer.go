package web

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/decode"
	"github.com/media-offload/caddy-media-offload/rewrite"
)

const (
	// pageBuffer is how much of a page is kept back to learn whether the whole
	// of it is there and whether it changed: then Content-Length and ETag can
	// stay. More would only add memory.
	pageBuffer = 256 << 10
	// holdTail is how much of an answer that outgrew the hold buffer is kept
	// back until the end, so that the client cannot have the last byte.
	holdTail = 4 << 10
	// lateTail is how much of an answer is kept back that takes the app longer
	// than it is held: the last byte, so that what an app tells of its progress
	// arrives as it comes.
	lateTail = 1
)

// PageDelay is how long the first bytes of a page may wait for the rest, even if
// they are flushed: reverse_proxy flushes each piece of an answer without a
// length, as all of PHP's are. An app that takes longer is streaming. (Tests give
// themselves more time.)
var PageDelay = 2 * time.Millisecond

// responseWriter stands between the app and the client. It passes the answer
// on, or holds it, or rewrites it, or both: the body goes through decoder and
// rewriter, if there are any, to output, which keeps back what must not leave
// yet.
//
// A timer or the decoder may have to send the header while the app's handler still
// runs, and that handler may still hold the header map (for trailers). So the
// handler gets a map of its own (own), which is copied to the real one at the points
// where net/http would read it: WriteHeader, and for trailers the end.
type responseWriter struct {
	wrapper

	page   *page       // nil: the answer is not rewritten
	hold   holding     // how the answer is held
	own    http.Header // the handler's header map
	before http.Header // what the real one held at first; nil: what it holds yet

	// Touched by the handler's goroutine only.
	status   int  // final status; 0: none yet
	decided  bool // limit, rewriter, decoder are set
	bodyless bool // the client has the body already: that of the app is dropped
	hijacked bool
	decoder  *decode.Writer

	// mu serialises the handler, the timer and the decoder.
	mu       sync.Mutex
	rewriter *rewrite.Writer
	replaced bool          // the body differs from the app's
	limit    int           // bytes kept back before the header is sent; 0: none, pass
	tail     int           // bytes kept back after that
	unread   *bytes.Buffer // what is kept from the rewriter, as the page may be a remembered one; nil: nothing is
	buf      *bytes.Buffer // what is kept back; nil: nothing yet
	ready    []byte        // in its place, the whole body of a remembered page
	readySum uint64        // of that, if it is not the app's
	sent     bool          // the header went out
	ended    bool          // the app has ended its answer
	closed   bool
	timer    *time.Timer
}

// holding says how an answer is held.
type holding struct {
	buffer int           // bytes that are held back; 0: the answer is not held
	time   time.Duration // for which they are while the app makes the answer
	head   bool          // the answer has no body: its header is its last byte
}

// newResponseWriter wraps w; page says how to rewrite (nil: not).
func newResponseWriter(w http.ResponseWriter, hold holding, p *page) *responseWriter {
	rw := &responseWriter{wrapper: wrapper{w}, page: p, hold: hold}
	rw.limit, rw.tail = hold.buffer, min(hold.buffer, holdTail)
	rw.own = w.Header().Clone()
	if rw.own == nil {
		rw.own = make(http.Header)
	}
	return rw
}

// Header implements http.ResponseWriter.
func (w *responseWriter) Header() http.Header { return w.own }

// WriteHeader passes informational statuses on at once; the first final one
// decides the way of the answer.
func (w *responseWriter) WriteHeader(status int) {
	if w.hijacked || w.status != 0 {
		return
	}
	if status >= 100 && status <= 199 {
		w.publishHeader()
		w.ResponseWriter.WriteHeader(status)
		if status == http.StatusSwitchingProtocols { // what follows is not HTTP
			w.status, w.decided, w.limit, w.sent = status, true, 0, true
		}
		return
	}
	w.status = status
	if w.page != nil && w.page.bodyTells(status, w.own) {
		return // the first bytes tell, see Write
	}
	w.decide(nil)
}

// decide settles, from the header and perhaps the first bytes of the body,
// whether the answer is held, rewritten or passed on.
func (w *responseWriter) decide(first []byte) {
	w.decided = true
	hdr := w.Header()
	held := w.limit > 0
	if w.page != nil {
		w.page.isolate(hdr)
		w.page.rewriteHeader(hdr)
	}
	switch {
	case isStream(hdr):
		if held {
			// Nothing is buffered, but the client must not know the end
			// before it comes: without a length, ServeHTTP's return is the end.
			hdr.Del("Content-Length")
		}
		w.limit = 0
	case w.page != nil && w.page.rewritable(w.status, hdr, first):
		w.beginRewriting(hdr, held)
	case w.page != nil:
		status := w.page.passedOn(w.status, hdr)
		w.bodyless, w.status = status != w.status, status
	}
	w.sent = w.limit == 0
	w.publishHeader()
	if w.sent {
		w.ResponseWriter.WriteHeader(w.status)
		return
	}
	if held {
		w.limitHold()
	}
}

// beginRewriting puts the rewriter, and a decoder if need be, before output.
func (w *responseWriter) beginRewriting(hdr http.Header, held bool) {
	if !held {
		w.limit = pageBuffer
	}
	w.page.changes = w.page.validators.changes()
	w.rewriter = w.page.newWriter((*rewriterOutput)(w))
	if !held && w.page.memory != nil {
		w.unread = bufferPool.Get().(*bytes.Buffer)
	}
	if encoding := decode.Name(hdr.Get("Content-Encoding")); encoding != "" && encoding != "identity" {
		hdr.Del("Content-Encoding")
		hdr.Del("Content-Length")
		w.replaced = true
		w.decoder = decode.NewWriter(encoding, writerFunc(w.rewriteLocked))
	}
}

// Write implements http.ResponseWriter.
func (w *responseWriter) Write(p []byte) (int, error) {
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.decided {
		w.decide(p)
	}
	switch {
	case w.bodyless:
		return len(p), nil
	case w.limit == 0:
		return w.ResponseWriter.Write(p)
	case w.decoder != nil:
		return w.decoder.Write(p)
	case w.rewriter != nil:
		return w.rewriteLocked(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.output(p)
}

// FlushError does nothing while the answer is held.
func (w *responseWriter) FlushError() error {
	if w.hijacked {
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.decided {
		w.decide(nil)
	}
	if w.limit == 0 {
		return w.flushClient()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.tail == 0 && !w.sent:
		w.setDeadline() // most who flush do so because they do not know the length
	case w.tail == 0:
		return w.flushPage()
	case w.sent:
		return w.flushHeld()
	}
	return nil
}

// ReadFrom keeps sendfile for answers that are passed on.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 && !w.hijacked {
		w.WriteHeader(http.StatusOK)
	}
	if w.decided && w.limit == 0 && !w.hijacked && !w.bodyless {
		return w.wrapper.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{w}, r)
}

// Hijack hands the connection over; the writer does nothing any more.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("taking over the connection: %w", err)
	}
	w.hijacked = true
	return conn, rw, nil
}

// noMore notes that the app has ended its answer, well or not: what is kept back
// stays so until it is released.
func (w *responseWriter) noMore() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
}

// endBody ends the answer as far as the app is concerned. What is held stays
// held until release.
func (w *responseWriter) endBody() error {
	if w.hijacked || w.status == 0 {
		return nil
	}
	if !w.decided {
		w.decide(nil)
	}
	if w.decoder != nil {
		if err := w.decoder.Close(); err != nil {
			return fmt.Errorf("decoding the app's answer: %w", err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.rewriter == nil {
		return nil
	}
	return w.endRewriting()
}

// release sends all that was kept back. Call endBody first.
func (w *responseWriter) release() error {
	if w.hijacked {
		return nil
	}
	if w.status == 0 {
		w.publishHeader()
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.sent {
		w.sendHeader(true)
	}
	err := w.sendKept(w.kept())
	if w.hasTrailers() {
		// Without it net/http might find out the length and drop them, as the app
		// knows: it has flushed, which need not have gone further than here.
		_ = w.flushClient() // an error shows at the end
	}
	w.publishTrailers()
	return err
}

// fail ends an answer whose handler returned err. If nothing of it was sent, it
// makes place for an error page.
func (w *responseWriter) fail(err error) error {
	switch {
	case w.status == 0:
		w.publishHeader() // the handler may have set Retry-After and the like
	case w.untouched():
		w.discard()
	case w.decoder != nil && w.decoder.Close() != nil:
		panic(http.ErrAbortHandler) // the handler cannot know that a part was sent
	}
	return err
}

// breakOff is fail for an error of this package's: if something was sent, the
// connection is aborted, so that nobody takes a part for the whole.
func (w *responseWriter) breakOff(err error) error {
	if !w.untouched() {
		panic(http.ErrAbortHandler)
	}
	return w.fail(err)
}

// discard forgets an answer of which nothing was sent, so that another one can
// be given instead: the header is what it was before the app ran.
func (w *responseWriter) discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.before == nil {
		return
	}
	hdr := w.ResponseWriter.Header()
	clear(hdr)
	maps.Copy(hdr, w.before)
}

// untouched reports whether nothing of the answer has been sent.
func (w *responseWriter) untouched() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.sent && !w.hijacked
}

// close frees what the writer holds. After it nothing is sent any more. It is
// called by defer, also when the app's handler panicked.
func (w *responseWriter) close() {
	if w.decoder != nil {
		w.decoder.Abort()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.rewriter != nil {
		_ = w.rewriter.Close() // gives it back to its pool; output discards
		w.rewriter = nil
	}
	giveBack(w.buf)
	giveBack(w.unread)
	w.buf, w.unread, w.ready = nil, nil, nil
}

// isStream reports whether an answer wants to be passed on as it comes.
func isStream(hdr http.Header) bool {
	return isIncremental(hdr) || mediaType(hdr.Get("Content-Type")) == "text/event-stream"
}

// writerFunc is a function as an io.Writer.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func setContentLength(hdr http.Header, size int) {
	hdr["Content-Length"] = []string{strconv.Itoa(size)}
}

var (
	_ http.ResponseWriter = (*responseWriter)(nil)
	_ io.ReaderFrom       = (*responseWriter)(nil)
	_ http.Hijacker       = (*responseWriter)(nil)

	_ interface{ FlushError() error } = (*responseWriter)(nil)
)
