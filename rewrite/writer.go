package rewrite

import (
	"errors"
	"io"
)

// pieceSize is how much of a large write is taken in at once.
const pieceSize = 32 << 10

// Writer rewrites one body on its way to another writer. It is not safe for
// concurrent use.
//
// What arrives is kept in a window that begins where everything before is
// decided. A window without a needle is passed on at once, but for the last
// bytes that may be the start of a URL, and is kept as well, unread: only when
// a needle turns up, or the window grows too large, is it read from its start,
// so that the place of the needle is known. A page without media is thus never
// read at all.
type Writer struct {
	rw  *Rewriter
	dst io.Writer
	err error

	page     Page
	scheme   []byte // of the page, with its colon
	pageHost string
	hashed   Context // Page.Hashed, and what policies in the page so far add to it
	// head is how the last absolute URL of the site's media began, and
	// headPrefix which prefix that was.
	head       []byte
	headPrefix int
	// safeBase is how the last replacement began that needed no escaping.
	safeBase  []byte
	base      base
	declared  format
	format    format
	asciiOnly bool

	site     site
	siteHash uint64
	changes  uint64                             // Config.Changes before anything was resolved
	hand     pieceInHand                        // that may be remembered
	relative bool                               // the piece in hand holds a document-relative URL
	use      use                                // of what the value in hand names
	found    func(url []byte, place Place) bool // of References

	win  []byte
	sent int // win[:sent] is written
	find finder
	// retryAt is the size of the window below which it is not read again
	// because a token did not end in it.
	retryAt  int
	replaced int

	out      []byte // what is to be written next
	edits    []edit
	repl     []byte
	path     []byte
	html     htmlScanner
	style    cssScanner
	script   scriptScanner
	xml      xmlScanner
	playlist playlistScanner
	levels   [maxDepth]level
	attrs    [maxDepth + 1]attributeList // of the tag in hand at each depth
	placed   [maxDepth + 1]placed
}

var errClosed = errors.New("rewrite: write to a closed Writer")

func newWriter(r *Rewriter) *Writer {
	return &Writer{rw: r}
}

// NewWriter returns a Writer that writes the rewritten body of p to dst. It
// comes from a pool, to which Close gives it back.
func (r *Rewriter) NewWriter(dst io.Writer, p Page) *Writer {
	w := r.writers.Get().(*Writer)
	w.Reset(dst, p)
	return w
}

// Reset drops what w holds and makes it ready for another body.
func (w *Writer) Reset(dst io.Writer, p Page) {
	w.dst, w.err, w.page = dst, nil, p
	w.scheme = w.scheme[:0]
	if p.Scheme != "" {
		w.scheme = append(append(w.scheme, p.Scheme...), ':')
	}
	w.pageHost = lowerHost(p.Host)
	w.hashed = p.Hashed
	w.head = w.head[:0]
	w.base.reset(p)
	var utf8 bool
	w.declared, utf8 = formatOf(p.ContentType)
	w.asciiOnly = !utf8
	w.format = formatPending
	if w.declared == formatNone {
		w.format = formatNone
	}
	w.win, w.out = w.win[:0], w.out[:0]
	w.sent, w.retryAt, w.replaced = 0, 0, 0
	w.find = finder{ns: w.rw.needles}
	w.html.reset(w, 0)
}

// Replaced is the number of URLs that have been replaced so far. Before Close,
// Finish completes it.
func (w *Writer) Replaced() int { return w.replaced }

// Write takes in p and writes what is decided. It keeps no reference to p.
func (w *Writer) Write(p []byte) (int, error) {
	if w.dst == nil {
		return 0, errClosed
	}
	n := 0
	for len(p) > 0 && w.err == nil {
		if w.format == formatNone && len(w.win) == 0 {
			var m int
			m, w.err = w.dst.Write(p)
			return n + m, w.err
		}
		piece := p[:min(len(p), pieceSize)]
		p = p[len(piece):]
		w.win = append(w.win, piece...)
		w.advance(false, false)
		if w.err == nil {
			n += len(piece)
		}
	}
	return n, w.err
}

// Flush writes everything that can be decided without more input. It does not
// flush the writer below.
func (w *Writer) Flush() error {
	if w.dst == nil {
		return errClosed
	}
	w.advance(false, true)
	return w.err
}

// Finish ends the body: it writes all that was held back. Only Replaced, Reset
// and Close may follow.
func (w *Writer) Finish() error {
	if w.dst == nil {
		return errClosed
	}
	w.advance(true, true)
	return w.err
}

// Close ends the body and gives w back to its pool; w must not be used again.
// It does not close the writer below.
func (w *Writer) Close() error {
	err := w.Finish()
	if w.dst == nil {
		return err
	}
	w.dst = nil
	w.shrink()
	w.rw.writers.Put(w)
	return err
}

// shrink lets go of buffers that an unusual body has made large.
func (w *Writer) shrink() {
	limit := 2 * w.windowLimit()
	for _, b := range [...]*[]byte{&w.win, &w.out, &w.repl, &w.path} {
		if cap(*b) > limit {
			*b = nil
		}
	}
	if cap(w.edits) > maxKeptItems {
		w.edits = nil
	}
	for i := range w.levels {
		if d := &w.levels[i].decoded; cap(d.points) > maxKeptItems {
			*d = decoded{}
		}
	}
}

// maxKeptItems is the size above which lists are not kept for another body.
const maxKeptItems = 4 << 10

// windowLimit is the size of the window above which it is read even if there
// is no needle in it.
func (w *Writer) windowLimit() int {
	return w.rw.maxToken + w.rw.unread
}

// advance reads what is new in the window and writes what is decided. With
// final the input ends there, with force nothing is put off.
func (w *Writer) advance(final, force bool) {
	if w.err != nil {
		return
	}
	if w.format == formatPending {
		w.begin(final)
	}
	switch w.format {
	case formatPending:
		w.emit(skipSpace(w.win, 0))
		w.flushOut()
		return
	case formatNone:
		w.emit(len(w.win))
		w.flushOut()
		w.win, w.sent = w.win[:0], 0
		return
	}
	n := w.find.next(w.win, 0)
	crowded := len(w.win) > w.windowLimit()
	if crowded || n >= 0 && (force || len(w.win) >= w.retryAt) {
		done := w.scan(final, crowded)
		w.apply()
		w.drop(done)
		w.retryAt = 0
		n = w.find.next(w.win, 0)
		if n >= 0 {
			w.retryAt = len(w.win) + len(w.win)/8 + 1
		}
	}
	switch {
	case final:
		w.emit(len(w.win))
		w.win, w.sent = w.win[:0], 0
	case n >= 0:
		w.emit(headStart(w.win, n))
	default:
		w.emit(headStart(w.win, len(w.win)))
	}
	w.flushOut()
}

// begin decides on the format by the start of the body.
func (w *Writer) begin(final bool) {
	w.format = sniff(w.win, w.declared, final)
	if w.format == formatPending && final {
		w.format = formatNone
	}
	switch w.format {
	case formatHTML:
		w.beginMemory()
	case formatCSS:
		w.style = cssScanner{w: w}
	case formatJSON, formatManifest:
		w.script = scriptScanner{w: w, json: true, manifest: w.format == formatManifest, use: scriptUse}
	case formatXML, formatXHTML, formatDASH:
		w.xml = xmlScanner{w: w, feed: w.format == formatXML, dash: w.format == formatDASH}
	case formatHLS:
		w.playlist = playlistScanner{w: w}
	}
}

// scan reads the window and returns how much of it is decided.
func (w *Writer) scan(final, advance bool) int {
	switch w.format {
	case formatHTML:
		return w.html.scan(w.win, 0, &w.find, final, advance)
	case formatCSS:
		return w.style.scan(w.win, 0, &w.find, final, advance)
	case formatJSON, formatManifest:
		return w.script.scan(w.win, 0, &w.find, final, advance)
	case formatXML, formatXHTML, formatDASH:
		return w.xml.scan(w.win, 0, &w.find, final, advance)
	case formatHLS:
		return w.playlist.scan(w.win, 0, &w.find, final, advance)
	}
	return len(w.win)
}

// headStart is the earliest position at which a URL whose needle is at n, or
// will be after it, can begin.
func headStart(s []byte, n int) int {
	stop := max(0, n-maxHead)
	for n > stop && !is(s[n-1], endsHead) {
		n--
	}
	return n
}

// apply carries out the edits that a scan has added.
func (w *Writer) apply() {
	for i := 0; i < len(w.edits); i++ {
		e := &w.edits[i]
		if e.start < w.sent || !w.mayCarryOut(e) {
			if i+1 < len(w.edits) && w.edits[i+1].joined {
				i++
			}
			continue
		}
		w.emit(e.start)
		w.sent = e.end
		if e.known != nil {
			w.out = append(w.out, e.known.out...)
			w.replaced += e.known.replaced
			continue
		}
		w.out = append(w.out, w.repl[e.from:e.to]...)
		if !e.joined {
			w.replaced++
		}
	}
	w.edits, w.repl = w.edits[:0], w.repl[:0]
}

// mayCarryOut reports whether e may be carried out if nothing of it has left. (One
// that is joined to another is skipped with that.)
func (w *Writer) mayCarryOut(e *edit) bool { return e.literal || e.joined || w.headIsShort(e) }

// headIsShort reports whether the URL of e would have been held back however
// the input was cut: its needle stands literally, and what precedes it there
// is a head as headStart sees it.
func (w *Writer) headIsShort(e *edit) bool {
	n := w.rw.needles.index(w.win[e.start:e.end], 0)
	return n >= 0 && n <= maxHead && indexOf(w.win[e.start:e.start+n], endsHead) == n
}

// drop takes the first n bytes, which are decided, off the window.
func (w *Writer) drop(n int) {
	w.emit(n)
	w.sent -= n
	w.win = w.win[:copy(w.win, w.win[n:])]
	w.find.drop(n)
}

// directWrite is the size from which a piece of the window is written as it is
// rather than gathered with others.
const directWrite = 8 << 10

// emit adds the window up to n to what is written next.
func (w *Writer) emit(n int) {
	if n <= w.sent {
		return
	}
	if piece := w.win[w.sent:n]; len(piece) < directWrite || w.dst == nil {
		w.out = append(w.out, piece...)
	} else {
		w.flushOut()
		if w.err == nil {
			_, w.err = w.dst.Write(piece)
		}
	}
	w.sent = n
}

func (w *Writer) flushOut() {
	if len(w.out) == 0 || w.err != nil {
		return
	}
	_, w.err = w.dst.Write(w.out)
	w.out = w.out[:0]
}
