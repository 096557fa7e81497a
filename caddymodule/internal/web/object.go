package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

// objectReader reads an object for http.ServeContent, which seeks to what it
// wants and then reads it. The object is opened as late as possible, so that
// 304, 412, 416 and HEAD cost no GET.
//
// For several ranges ServeContent reads in a goroutine that may still run when
// the client has gone and ServeContent returned; hence the lock.
type objectReader struct {
	cancel context.CancelFunc
	engine *offload.Engine
	key    string
	info   bucket.Info

	mu     sync.Mutex
	ctx    context.Context
	body   io.ReadCloser // open at offset at; nil: not open
	at     int64
	offset int64
	err    error // the first error of the bucket's
	closed bool
}

// openObject finds out about the object. For the plain GET it opens it at once:
// one request to the bucket, whose answer is the newest.
func openObject(r *http.Request, engine *offload.Engine, key string) (*objectReader, error) {
	ctx, cancel := context.WithCancel(r.Context())
	o := &objectReader{ctx: ctx, cancel: cancel, engine: engine, key: key}
	if r.Method == http.MethodGet && !isConditional(r.Header) {
		object, err := engine.Open(ctx, key, bucket.GetOptions{})
		if err != nil {
			cancel()
			return nil, err
		}
		o.info, o.body = object.Info, object.Body
		return o, nil
	}
	info, err := engine.Stat(ctx, key)
	if err != nil {
		cancel()
		return nil, err
	}
	o.info = info
	return o, nil
}

// isConditional reports whether a GET may be answered with less than the whole
// object.
func isConditional(hdr http.Header) bool {
	for _, name := range [...]string{"Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		if len(hdr[name]) > 0 {
			return true
		}
	}
	return false
}

// open opens the object at the offset, unless it is open there. length 0 means
// up to the end. o.mu is held.
func (o *objectReader) open(length int64) error {
	if o.body != nil && o.at == o.offset {
		return nil
	}
	o.closeBody()
	object, err := o.engine.Open(o.ctx, o.key, bucket.GetOptions{Offset: o.offset, Length: length, IfMatch: o.info.ETag})
	if err != nil {
		o.err = err
		return err
	}
	o.body, o.at = object.Body, o.offset
	return nil
}

// Seek implements io.Seeker.
func (o *objectReader) Seek(offset int64, whence int) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += o.offset
	case io.SeekEnd:
		offset += o.info.Size
	}
	if offset < 0 {
		return 0, errors.New("seeking before the beginning")
	}
	o.offset = offset
	return offset, nil
}

// Read implements io.Reader.
func (o *objectReader) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return 0, io.ErrClosedPipe
	case o.err != nil:
		return 0, o.err
	case o.offset >= o.info.Size:
		return 0, io.EOF
	}
	if err := o.open(0); err != nil {
		return 0, err
	}
	n, err := o.body.Read(p)
	o.at += int64(n)
	o.offset = o.at
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && n > 0:
		return n, nil // the end of a range, which the caller asked for
	case errors.Is(err, io.EOF) && o.offset >= o.info.Size:
		return 0, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	o.err = fmt.Errorf("reading %s: %w", o.key, err)
	return n, o.err
}

// failure returns the first error of the bucket's.
func (o *objectReader) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// close ends all reading.
func (o *objectReader) close() {
	o.cancel() // a read under way returns, and with it the lock
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.closeBody()
}

func (o *objectReader) closeBody() {
	if o.body != nil {
		_ = o.body.Close() // what was read is already judged
		o.body = nil
	}
}

// objectWriter opens the object just before the header of an answer with a
// body is sent, so that a bucket that fails then can still be answered with an
// error.
type objectWriter struct {
	wrapper
	object *objectReader
	get    bool
	failed error
	sent   bool
}

// WriteHeader implements http.ResponseWriter.
func (w *objectWriter) WriteHeader(status int) {
	if w.get && (status == http.StatusOK || status == http.StatusPartialContent) {
		if w.failed = w.open(); w.failed != nil {
			return
		}
	}
	w.sent = true
	w.wrapper.WriteHeader(status)
}

// open opens the range that is about to be sent. For several ranges the length
// in the header is that of all of them with their frames; then the first read
// opens the object.
func (w *objectWriter) open() error {
	hdr := w.Header()
	if w.object.info.Size == 0 || strings.HasPrefix(hdr.Get("Content-Type"), "multipart/byteranges") {
		return nil
	}
	length, err := strconv.ParseInt(hdr.Get("Content-Length"), 10, 64)
	if err != nil {
		length = 0
	}
	w.object.mu.Lock()
	defer w.object.mu.Unlock()
	return w.object.open(length)
}

// Write implements http.ResponseWriter.
func (w *objectWriter) Write(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	return w.wrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (w *objectWriter) ReadFrom(r io.Reader) (int64, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	// Neither side can do better than a copy here, and io.Copy would make a
	// buffer for each request.
	return io.CopyBuffer(struct{ io.Writer }{w.wrapper}, r, *buf)
}

// copyBuffers holds buffers for objects on their way to clients.
var copyBuffers = sync.Pool{New: func() any {
	buf := make([]byte, 64<<10)
	return &buf
}}

// FlushError implements the flushing of http.ResponseController.
func (w *objectWriter) FlushError() error {
	return http.NewResponseController(w.ResponseWriter).Flush()
}

var (
	_ io.ReadSeeker       = (*objectReader)(nil)
	_ http.ResponseWriter = (*objectWriter)(nil)
	_ io.ReaderFrom       = (*objectWriter)(nil)
)
