package caddymodule

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// rewriteLocked passes decoded bytes through the rewriter.
func (w *responseWriter) rewriteLocked(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, http.ErrAbortHandler
	}
	return w.rewriter.Write(p)
}

// output keeps p back as far as it must and sends the rest. w.mu is held.
func (w *responseWriter) output(p []byte) (int, error) {
	if w.closed {
		return len(p), nil
	}
	if !w.sent {
		if len(w.buf)+len(p) <= w.limit {
			w.keep(p)
			return len(p), nil
		}
		w.sendHeader(false)
	}
	if len(p) >= w.tail {
		return len(p), w.sendAll(w.buf, p[:len(p)-w.tail], p[len(p)-w.tail:])
	}
	n := max(0, len(w.buf)+len(p)-w.tail)
	if err := w.sendAll(w.buf[:n], nil, w.buf[n:]); err != nil {
		return 0, err
	}
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// keep adds p to the buffer. A page that is not held gets a deadline with its
// first byte.
func (w *responseWriter) keep(p []byte) {
	if w.buf == nil {
		w.buf = (*bufferPool.Get().(*[]byte))[:0]
	}
	w.buf = append(w.buf, p...)
	if w.tail == 0 && w.timer == nil && !w.ended {
		w.timer = time.AfterFunc(pageDelay, w.expire)
	}
}

// sendAll sends a and b and makes rest, which may overlap them, the buffer.
func (w *responseWriter) sendAll(a, b, rest []byte) error {
	for _, p := range [2][]byte{a, b} {
		if len(p) == 0 {
			continue
		}
		if _, err := w.ResponseWriter.Write(p); err != nil {
			return err
		}
	}
	w.buf = append(w.buf[:0], rest...)
	return nil
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
	if err := w.rewriter.Flush(); err != nil {
		return err
	}
	if !w.sent {
		w.sendHeader(false)
	}
	if err := w.sendAll(w.buf, nil, nil); err != nil {
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
		size := -1
		if complete && !w.hasTrailers() {
			size = len(w.buf)
		}
		w.page.finishHeader(w.ResponseWriter.Header(), size, !complete || w.replaced)
	}
	w.ResponseWriter.WriteHeader(w.status)
}

// publishHeader makes the real header map equal to the handler's.
func (w *responseWriter) publishHeader() {
	if w.own == nil {
		return
	}
	hdr := w.ResponseWriter.Header()
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
	if w.own == nil || !w.hasTrailers() {
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
var bufferPool = sync.Pool{New: func() any {
	buf := make([]byte, 0, 8<<10)
	return &buf
}}
