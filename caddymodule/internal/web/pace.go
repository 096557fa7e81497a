package web

import (
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// How long the body of a request takes is its client's to say. So what a request
// keeps others from while it arrives depends on how it gets on:
//
//   - The names of a POST are its own when the whole of it is there (PHP does not
//     begin before); until then it has them for a moment at a time. soonBody tells
//     when the end is near, so that they are there with it.
//   - An app may choose a name as soon as it has the header of a PUT and the like.
//     So these reach the app when they are all there, as far as they can be gathered
//     (see gather.go). What cannot be has its names from then on, and loses them if the
//     body comes more slowly than slow_body says. When it is all there, the request has
//     them again, unless another one had them: then it is refused, as the app may have
//     chosen a name that is that one's.
//   - What is to be forwarded as it comes (Incremental) has its names for as long as
//     it takes to see what others wrote, and not while its body comes.

// startsEarly reports whether an app may be at work before it has all of r.
func startsEarly(r *http.Request) bool { return r.Method != http.MethodPost || !hasBody(r) }

// withPace returns r with a body that is watched while the app is at work on it.
func (h *Handler) withPace(r *http.Request, g *gate) *http.Request {
	if !g.early || g.whole || !hasContent(r) {
		return r
	}
	g.paced = newPacedBody(r.Body, h.config.SlowBody, h.config.SlowBodyAfter, g.req.Rest)
	return withBody(r, g.paced, r.ContentLength)
}

// withEnd returns r with a body that tells when its end is near.
func (g *gate) withEnd(r *http.Request) *http.Request {
	if !hasBody(r) || r.ContentLength < 0 {
		return r
	}
	return withBody(r, newSoonBody(r.Body, r.ContentLength, g.req.Soon), r.ContentLength)
}

// soon is how long before its end, as far as can be told, a body is about to end.
const soon = time.Second

// soonBody is a body of known length that tells when its end is near.
type soonBody struct {
	io.ReadCloser
	left, got int64
	began     time.Time
	near      func()
}

func newSoonBody(body io.ReadCloser, length int64, near func()) *soonBody {
	return &soonBody{ReadCloser: body, left: length, began: time.Now(), near: near}
}

func (b *soonBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.got, b.left = b.got+int64(n), b.left-int64(n)
	if b.near != nil && n > 0 {
		if took := time.Since(b.began); took > soon && took.Seconds()*float64(b.left) <= soon.Seconds()*float64(b.got) {
			b.near()
			b.near = nil
		}
	}
	return n, err
}

// pacedBody is a body that tells if it comes too slowly: in a time of every for which
// the client was waited for, fewer than least bytes. Time in which nobody reads is
// not the client's.
type pacedBody struct {
	io.ReadCloser
	least int64
	every time.Duration
	slow  func()

	mu      sync.Mutex
	got     int64         // since the last look
	waited  time.Duration // since then
	reading time.Time     // since when a read waits; zero: none does
	timer   *time.Timer   // nil: it has ended, or told
}

func newPacedBody(body io.ReadCloser, perSecond int64, every time.Duration, slow func()) *pacedBody {
	b := &pacedBody{ReadCloser: body, least: int64(float64(perSecond) * every.Seconds()), every: every, slow: slow}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer = time.AfterFunc(every, b.look)
	return b
}

func (b *pacedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.reading = time.Now()
	b.mu.Unlock()
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waited += time.Since(b.reading)
	b.reading = time.Time{}
	b.got += int64(n)
	if err != nil {
		b.stop()
	}
	return n, err
}

// look judges the time since the last look.
func (b *pacedBody) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer == nil {
		return
	}
	waited := b.waited
	if !b.reading.IsZero() {
		waited += time.Since(b.reading)
	}
	switch {
	case waited < b.every:
		b.timer.Reset(b.every - waited)
	case b.got < b.least:
		b.stop()
		b.slow()
	default:
		b.got, b.waited = 0, 0
		if !b.reading.IsZero() {
			b.reading = time.Now()
		}
		b.timer.Reset(b.every)
	}
}

// stop ends the looking. The caller holds mu.
func (b *pacedBody) stop() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

// end ends the looking.
func (b *pacedBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
}

// networkOf returns what counts as one client where names are claimed: an IPv4
// address, or the 64 bits of an IPv6 address that its network was given. "" if it is
// not known, or if the peer is one of the server's own network that speaks for
// itself: that is most likely a load balancer that trusted_proxies does not name, and
// all visitors would be one client.
func (h *Handler) networkOf(r *http.Request) string {
	address, err := netip.ParseAddr(h.config.Server.ClientIP(r))
	if err != nil {
		return ""
	}
	address = address.Unmap().WithZone("")
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil && peer.Addr().Unmap().WithZone("") == address && nearby(address) {
		return ""
	}
	if address.Is4() {
		return address.String()
	}
	network, err := address.Prefix(64)
	if err != nil {
		return ""
	}
	return network.String()
}

// nearby reports whether an address is of the server itself or of its own network.
func nearby(address netip.Addr) bool {
	return address.IsLoopback() || address.IsPrivate() || address.IsLinkLocalUnicast()
}
