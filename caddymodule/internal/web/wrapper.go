package web

import (
	"io"
	"net/http"
)

// wrapper is a writer that passes all on to another one: what stands in this package
// between the app and the client embeds one. Flush and Hijack find their way by Unwrap
// (http.ResponseController).
type wrapper struct{ http.ResponseWriter }

// Unwrap returns the writer below.
func (w *wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ReadFrom keeps sendfile, if the writer below has it.
func (w *wrapper) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(w.ResponseWriter, r)
}

// Push implements http.Pusher, if the writer below does.
func (w *wrapper) Push(target string, opts *http.PushOptions) error {
	if pusher, ok := w.ResponseWriter.(http.Pusher); ok {
		return pusher.Push(target, opts)
	}
	return http.ErrNotSupported
}
