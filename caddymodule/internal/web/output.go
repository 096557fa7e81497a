package web

import (
	"bytes"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// rewriteLocked passes decoded bytes through the rewriter, or keeps them unread
// as long as they may turn out to be a page that is remembered.
func (w *responseWriter) rewriteLocked(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return 0, http.ErrAbortHandler
	case w.unread == nil:
		return w.rewriter.Write(p)
	case w.unread.Len()+len(p) <= pageBuffer:
		w.setDeadline()
		return w.unread.Write(p)
	}
	if err := w.readUnread(); err != nil {
		return 0, err
	}
	return w.rewriter.Write(p)
}

// readUnread passes on to the rewriter what was kept from it. w.mu is held.
func (w *responseWriter) readUnread() error {
	if w.unread == nil {
		return nil
	}
	buf := w.unread
	w.unread = nil
	defer giveBack(buf)
	_, err := w.rewriter.Write(buf.Bytes())
	return err
}

// endRewriting makes the whole page what it is to be. w.mu is held.
func (w *responseWriter) endRewriting() error {
	if w.unread == nil {
		return w.finishRewriter()
	}
	in, memory, info := w.unread.Bytes(), w.page.memory, &w.page.info
	changes := memory.changes() // before the rewriter asks: a change may come after
	w.page.changes = changes
	key := memory.key(info, in)
	if p := memory.find(key, info, in, changes); p != nil {
		w.ready, w.replaced = in, w.replaced || p.out != nil
		if p.out != nil {
			w.ready, w.readySum = p.out, p.sum
		}
		return nil
	}
	buf := w.unread
	w.unread = nil
	defer giveBack(buf)
	if _, err := w.rewriter.Write(in); err != nil {
		return err
	}
	if err := w.finishRewriter(); err != nil {
		return err
	}
	switch {
	case w.sent: // it grew over the limit
	case w.rewriter.Replaced() > 0:
		memory.note(key, info, in, w.buf.Bytes(), changes)
	default:
		memory.note(key, info, in, nil, changes)
	}
	return nil
}

func (w *responseWriter) finishRewriter() error {
	err := w.rewriter.Finish()
	w.replaced = w.replaced || w.rewriter.Replaced() > 0
	return err
}

// output keeps p back as far as it must and sends the rest. w.mu is held.
func (w *responseWriter) output(p []byte) (int, error) {
	if w.closed {
		return len(p), nil
	}
	if !w.sent {
		if w.kept()+len(p) <= w.limit {
			w.keep(p)
			w.setDeadline()
			return len(p), nil
		}
		if w.isHeaderOnly() {
			return len(p), nil // it has no body
		}
		w.sendHeader(false)
	}
	over := max(0, w.kept()+len(p)-w.tail)
	old := min(over, w.kept())
	if err := w.sendKept(old); err != nil {
		return 0, err
	}
	if over > old {
		if _, err := w.ResponseWriter.Write(p[:over-old]); err != nil {
			return 0, err
		}
	}
	w.keep(p[over-old:])
	return len(p), nil
}

// setDeadline gives a page that is not held a deadline with its first byte.
func (w *responseWriter) setDeadline() {
	if w.tail == 0 && w.timer == nil && !w.ended {
		w.timer = time.AfterFunc(PageDelay, w.expire)
	}
}

// limitHold gives an answer that is held, of which nothing is out, the time after
// which it is passed on as it comes, all but its end. Where the header is all that
// the client gets it waits in any case.
func (w *responseWriter) limitHold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hold.time > 0 && !w.ended && !w.isHeaderOnly() {
		w.timer = time.AfterFunc(w.hold.time, w.passOn)
	}
}

// isHeaderOnly reports whether the client has the whole of a held answer with its
// header.
func (w *responseWriter) isHeaderOnly() bool {
	return w.hold.buffer > 0 && (w.hold.head || !bodyAllowed(w.status) || w.ResponseWriter.Header().Get("Content-Length") == "0")
}

// passOn sends what a held answer has so far, except for its end. An error shows at
// the next write.
func (w *responseWriter) passOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.ended {
		return
	}
	w.tail = lateTail
	if !w.sent {
		w.sendHeader(false)
	}
	_ = w.flushHeld()
}

// flushHeld sends all of a held answer that is to leave before its end. w.mu is held.
func (w *responseWriter) flushHeld() error {
	if w.rewriter != nil {
		if err := w.rewriter.Flush(); err != nil {
			return err
		}
	}
	if err := w.sendKept(max(0, w.kept()-w.tail)); err != nil {
		return err
	}
	return w.flushClient()
}

// kept is how much is kept back of what is to be sent.
func (w *responseWriter) kept() int {
	if w.ready != nil {
		return len(w.ready)
	}
	if w.buf == nil {
		return 0
	}
	return w.buf.Len()
}

// keep adds p to what is kept back.
func (w *responseWriter) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	if w.buf == nil {
		w.buf = bufferPool.Get().(*bytes.Buffer)
	}
	w.buf.Write(p)
}

// sendKept sends the first n bytes of what is kept back.
func (w *responseWriter) sendKept(n int) error {
	if n == 0 {
		return nil
	}
	if w.ready != nil { // all of it
		_, err := w.ResponseWriter.Write(w.ready)
		w.ready = nil
		return err
	}
	_, err := w.ResponseWriter.Write(w.buf.Next(n))
	return err
}

// expire sends what a page has so far. An error shows at the next write.
func (w *responseWriter) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.ended || w.sent {
		return
	}
	_ = w.flushPage()
}

// flushPage sends all of a page that can be decided. w.mu is held.
func (w *responseWriter) flushPage() error {
	if err := w.readUnread(); err != nil {
		return err
	}
	if err := w.rewriter.Flush(); err != nil {
		return err
	}
	if !w.sent {
		w.sendHeader(false)
	}
	if err := w.sendKept(w.kept()); err != nil {
		return err
	}
	return w.flushClient()
}

func (w *responseWriter) flushClient() error {
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// sendHeader sends the header of an answer that was kept back; complete says
// that the buffer holds all of it. w.mu is held.
func (w *responseWriter) sendHeader(complete bool) {
	w.sent = true
	if w.page != nil && w.page.active {
		w.finishHeader(w.ResponseWriter.Header(), complete)
	}
	w.ResponseWriter.WriteHeader(w.status)
}

// finishHeader makes the header of a page fit what is sent. If that is what the
// client has already, nothing is.
func (w *responseWriter) finishHeader(hdr http.Header, complete bool) {
	size := -1
	if complete && !w.hasTrailers() {
		size = w.kept()
	}
	w.page.finishHeader(hdr, size, !complete || w.replaced)
	w.page.validate(hdr, complete, w.replaced, w.sum)
	if size < 0 || !w.page.notModified(w.status, hdr, true) {
		return
	}
	becomeNotModified(hdr)
	w.status, w.ready = http.StatusNotModified, nil
	if w.buf != nil {
		w.buf.Reset()
	}
}

// sum is of the whole body that is kept back.
func (w *responseWriter) sum() uint64 {
	switch {
	case w.readySum != 0:
		return w.readySum
	case w.ready != nil:
		return xxhash.Sum64(w.ready)
	case w.buf != nil:
		return xxhash.Sum64(w.buf.Bytes())
	}
	return xxhash.Sum64(nil)
}

// publishHeader makes the real header map equal to the handler's.
func (w *responseWriter) publishHeader() {
	hdr := w.ResponseWriter.Header()
	if w.before == nil && !w.sent { // another answer may yet be given instead
		w.before = maps.Clone(hdr)
	}
	clear(hdr)
	maps.Copy(hdr, w.own)
}

// hasTrailers reports whether the handler announced or set trailers.
func (w *responseWriter) hasTrailers() bool {
	if len(w.own["Trailer"]) > 0 {
		return true
	}
	for name := range w.own {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// publishTrailers copies what the handler set after the header.
func (w *responseWriter) publishTrailers() {
	if !w.hasTrailers() {
		return
	}
	hdr := w.ResponseWriter.Header()
	for name, values := range w.own {
		if strings.HasPrefix(name, http.TrailerPrefix) || headerHasToken(w.own["Trailer"], name) {
			hdr[name] = values
		}
	}
}

// bufferPool holds buffers for answers that are kept back.
var bufferPool = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 32<<10)) }}

// maxPooled is the size above which a buffer is not kept for another answer.
const maxPooled = 2 * pageBuffer

// giveBack puts a buffer, which may be nil, into the pool.
func giveBack(buf *bytes.Buffer) {
	if buf != nil && buf.Cap() <= maxPooled {
		buf.Reset()
		bufferPool.Put(buf)
	}
}

// rewriterOutput is a responseWriter as what its rewriter writes to.
type rewriterOutput responseWriter

// Write implements io.Writer.
func (w *rewriterOutput) Write(p []byte) (int, error) { return (*responseWriter)(w).output(p) }
