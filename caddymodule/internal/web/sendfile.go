package web

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

// An app that has checked who asks for a private file may leave the sending to
// the server: its answer then only names the file. If that is a media file, it
// is sent from disk or from the bucket. An answer that names anything else
// passes as it is. (Caddy's intercept and reverse_proxy's handle_response stand
// nearer to the app and deal with what they are set up for before.)

// sendfileFields are the header fields that name a file, and whether their
// value is percent-encoded by its specification. Apps are not strict about it,
// so the other reading is tried as well.
var sendfileFields = [...]struct {
	name    string
	encoded bool
}{
	{"X-Accel-Redirect", true},      // nginx: a URL path
	{"X-Sendfile", false},           // Apache, lighttpd: a path on disk
	{"X-Litespeed-Location", false}, // LiteSpeed: a URL path
}

// withSendfile returns next with its answers that name a media file replaced by
// the file.
//
// (Promise 7: "Private stays private.")
func (h *Handler) withSendfile(next Next, engine *offload.Engine) Next {
	return &sendfileHandler{handler: h, next: next, engine: engine}
}

// sendfileHandler is what withSendfile returns.
type sendfileHandler struct {
	handler *Handler
	next    Next
	engine  *offload.Engine
}

// ServeHTTP implements Next.
func (s *sendfileHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	sw := &sendfileWriter{wrapper: wrapper{w}, sendfile: s, request: r}
	if err := s.runApp(sw, r); err != nil {
		return err
	}
	if !sw.decided && namesFile(sw.Header()) {
		sw.WriteHeader(http.StatusOK)
	}
	if sw.file == nil {
		return nil
	}
	return s.handler.sendFile(withoutCORS(w), r, s.engine, sw.file)
}

// runApp runs the app to the end of its answer. One that names a file is
// complete with its header: apps send the file's Content-Length with it, and no
// body, and for reverse_proxy that is an answer which broke off.
func (s *sendfileHandler) runApp(sw *sendfileWriter, r *http.Request) error {
	defer func() {
		if sw.file == nil || r.Context().Err() != nil {
			return // not ours to end
		}
		//nolint:errorlint // this very value, as net/http looks for it
		if cause := recover(); cause != nil && cause != http.ErrAbortHandler {
			panic(cause)
		}
	}()
	return s.next.ServeHTTP(sw, r)
}

// namedFile is a media file that the app's answer names.
type namedFile struct {
	key   string
	local bool  // it is on disk; else in the bucket
	err   error // the bucket could not be asked
}

func namesFile(hdr http.Header) bool {
	for i := range sendfileFields {
		if len(hdr[sendfileFields[i].name]) > 0 {
			return true
		}
	}
	return false
}

// namedFile returns the media file that an answer's header names, or nil. What
// the client's header says does not matter.
func (h *Handler) namedFile(r *http.Request, hdr http.Header, engine *offload.Engine) *namedFile {
	var failed *namedFile
	for _, field := range sendfileFields {
		value := hdr.Get(field.name)
		if value == "" {
			continue
		}
		for _, key := range h.namedKeys(value, field.encoded) {
			if engine.Class(key) == media.Ignored {
				continue
			}
			if _, err := engine.Local(key); err == nil {
				return &namedFile{key: key, local: true}
			}
			_, err := engine.Stat(r.Context(), key)
			switch {
			case err == nil:
				return &namedFile{key: key}
			case !errors.Is(err, bucket.ErrNotFound) && failed == nil:
				failed = &namedFile{key: key, err: err}
			}
		}
	}
	return failed
}

// namedKeys returns the keys that the value of a header may mean, the likeliest
// first.
func (h *Handler) namedKeys(value string, encoded bool) (keys []string) {
	forms := []string{value}
	path, _, _ := strings.Cut(value, "?")
	if decoded, err := url.PathUnescape(path); err == nil && decoded != value {
		forms = append(forms, decoded)
	}
	if encoded {
		slices.Reverse(forms)
	}
	for _, form := range forms {
		if !strings.HasPrefix(form, "/") {
			form = "/" + form // relative to the directory of index.php
		}
		for _, key := range [...]string{h.keyOfFile(form), h.keyOfURL(form), h.keyOfURL(h.basePath() + form)} {
			if key != "" && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// keyOfURL returns the key of a decoded URL path, or "".
func (h *Handler) keyOfURL(path string) string {
	key, ok := h.site.KeyOfPath(string(media.EscapeKey(nil, path)))
	if !ok {
		return ""
	}
	return key
}

// keyOfFile returns the key of a path on disk, or "".
func (h *Handler) keyOfFile(name string) string {
	for i, root := range h.site.Roots() {
		rel, ok := strings.CutPrefix(name, root.Dir+"/")
		if !ok {
			// PHP names files by paths without symlinks, which the
			// configuration may have.
			real, err := filepath.EvalSymlinks(root.Dir)
			if err != nil || real == root.Dir {
				continue
			}
			if rel, ok = strings.CutPrefix(name, real+"/"); !ok {
				continue
			}
		}
		if key := h.site.Key(i, rel); media.CheckKey(rel) == nil && media.CheckKey(key) == nil {
			return key
		}
	}
	return ""
}

func (h *Handler) basePath() string { return strings.TrimSuffix(h.config.BasePath, "/") }

// sendFile sends the file with the rest of the app's header.
func (h *Handler) sendFile(w http.ResponseWriter, r *http.Request, engine *offload.Engine, file *namedFile) error {
	if rw, ok := w.(*responseWriter); ok && rw.page != nil {
		rw.page.mediaFile = true
		r = rw.page.withConditions(r)
	}
	hdr := w.Header()
	dropFields(hdr, replacedFields[:])
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		r = r.WithContext(r.Context())
		r.Method = http.MethodGet // what is sent is what a GET of the file gives
	}
	err := file.err
	if err == nil {
		err = h.sendLocalOrObject(w, r, engine, file)
	}
	if err == nil {
		return nil
	}
	dropFields(hdr, aboutFile[:])
	if r.Context().Err() != nil {
		return &Error{statusClientClosed, err}
	}
	setRetryAfter(hdr)
	return &Error{http.StatusServiceUnavailable, fmt.Errorf("sending the file that the app named: %w", err)}
}

func (h *Handler) sendLocalOrObject(w http.ResponseWriter, r *http.Request, engine *offload.Engine, file *namedFile) error {
	if file.local && h.sendLocal(w, r, file.key) {
		return nil
	}
	return proxy(w, r, engine, file.key, h.describeNamed)
}

// sendLocal sends the file from disk; false means that it is not there any more.
func (h *Handler) sendLocal(w http.ResponseWriter, r *http.Request, key string) bool {
	root, rel, ok := h.site.Locate(key)
	if !ok {
		return false
	}
	tree := local.NewTree(h.site.Roots()[root].Dir)
	defer func() { _ = tree.Close() }() // opened for reading: nothing to lose
	f, err := tree.Open(rel)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	h.describeNamed(w.Header(), bucket.Info{Size: info.Size(), ModTime: info.ModTime()}, key)
	modified := info.ModTime()
	if !usefulModTime(modified) {
		modified = time.Time{}
	}
	http.ServeContent(w, r, "", modified, f)
	return true
}

// describeNamed completes the app's header. PHP calls all text/html that the
// app says nothing of.
func (h *Handler) describeNamed(hdr http.Header, info bucket.Info, key string) {
	byName := media.ContentType(key, nil)
	switch mediaType(hdr.Get("Content-Type")) {
	case "", "text/html":
		hdr.Set("Content-Type", byName)
	}
	hdr.Set("X-Content-Type-Options", "nosniff")
	if etag := entityTag(info); etag != "" {
		hdr.Set("Etag", etag)
	}
	if len(hdr["Cache-Control"]) == 0 {
		// The app asks who may have it, even if the file is public.
		hdr.Set("Cache-Control", cmp.Or(h.config.CacheControl(key, media.Private), "private"))
	}
}

// replacedFields are those of the app's answer that do not go with the file:
// what names it, what only nginx understands, and what describes the body, which
// is the app's own, empty one or a guess at the file. The validators are those of
// the file as it is sent, or a Range would be of another one.
var replacedFields = [...]string{
	"X-Accel-Redirect", "X-Sendfile", "X-Litespeed-Location",
	"X-Accel-Buffering", "X-Accel-Charset", "X-Accel-Expires", "X-Accel-Limit-Rate",
	"Content-Length", "Transfer-Encoding", "Content-Encoding", "Content-Range", "Accept-Ranges", "Trailer",
	"Etag", "Last-Modified", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest",
}

// aboutFile are those that do not go with an error.
var aboutFile = [...]string{"Content-Type", "Content-Disposition", "Cache-Control", "Expires", "Etag", "Last-Modified"}

func dropFields(hdr http.Header, names []string) {
	for _, name := range names {
		delete(hdr, name)
	}
}

// sendfileWriter passes an answer on, unless its header names a media file:
// then it swallows it.
type sendfileWriter struct {
	wrapper
	sendfile *sendfileHandler
	request  *http.Request
	decided  bool
	file     *namedFile // nil: the answer is passed on
}

// WriteHeader implements http.ResponseWriter. Only a success can name a file, as a
// whole or as the part that the app took the request to be for.
func (w *sendfileWriter) WriteHeader(status int) {
	if status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.decided && w.file != nil {
		return
	}
	if !w.decided && (status == http.StatusOK || status == http.StatusPartialContent) && namesFile(w.Header()) {
		w.file = w.sendfile.handler.namedFile(w.request, w.Header(), w.sendfile.engine)
	}
	w.decided = true
	if status >= 300 && status <= 399 && len(w.Header()["Location"]) > 0 {
		w.sendfile.handler.noteRedirect(w.request, w.Header(), w.sendfile.engine)
	}
	if w.file == nil {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *sendfileWriter) decide() {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
}

// Write implements http.ResponseWriter.
func (w *sendfileWriter) Write(p []byte) (int, error) {
	w.decide()
	if w.file != nil {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom keeps sendfile for answers that are passed on.
func (w *sendfileWriter) ReadFrom(r io.Reader) (int64, error) {
	w.decide()
	if w.file != nil {
		return io.Copy(io.Discard, r)
	}
	return w.wrapper.ReadFrom(r)
}

// FlushError implements the flushing of http.ResponseController.
func (w *sendfileWriter) FlushError() error {
	w.decide()
	if w.file != nil {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

var (
	_ http.ResponseWriter = (*sendfileWriter)(nil)
	_ io.ReaderFrom       = (*sendfileWriter)(nil)

	_ interface{ FlushError() error } = (*sendfileWriter)(nil)
)
