package env

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DelayProxy makes an S3 server a distant one: each request waits for a time
// before it is passed on. It counts the requests by their kind.
type DelayProxy struct {
	// Endpoint is the proxy's address.
	Endpoint string

	delay   atomic.Int64
	forward http.Handler

	mu     sync.Mutex
	counts map[string]int
	spans  []Span
}

// Span is the time that a request took.
type Span struct {
	Begin, End time.Time
	Kind       string // as DelayProxy.TakeCounts has it
}

// DelayProxy starts a proxy for the server at endpoint, without a delay.
func (e *Env) DelayProxy(endpoint string) (*DelayProxy, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("starting the delay proxy: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	e.OnClose(func() error {
		transport.CloseIdleConnections()
		return nil
	})
	p := &DelayProxy{counts: map[string]int{}, forward: &httputil.ReverseProxy{
		// The Host header is signed and stays as the client sent it.
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	p.Endpoint, err = e.ServeHandler(p)
	return p, err
}

// SetDelay sets how long each request that comes from now on waits.
func (p *DelayProxy) SetDelay(d time.Duration) { p.delay.Store(int64(d)) }

// TakeCounts returns how many requests of each kind have come in since the
// last call: "PUT", "GET", "HEAD", "LIST", "DELETE", "MULTIDEL", ….
func (p *DelayProxy) TakeCounts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := maps.Clone(p.counts)
	clear(p.counts)
	return counts
}

// TakeSpans returns the times of the requests that have ended since the last call.
func (p *DelayProxy) TakeSpans() []Span {
	p.mu.Lock()
	defer p.mu.Unlock()
	spans := p.spans
	p.spans = nil
	return spans
}

// InSequence is how many of the requests came one after another at most: each
// when the one before had ended.
func InSequence(spans []Span) int {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b Span) int { return a.End.Compare(b.End) })
	n := 0
	var end time.Time
	for _, s := range spans {
		if !s.Begin.Before(end) {
			n, end = n+1, s.End
		}
	}
	return n
}

// maxSpans bounds those that nobody takes.
const maxSpans = 10_000

func (p *DelayProxy) ended(s Span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.spans) < maxSpans {
		p.spans = append(p.spans, s)
	}
}

// ServeHTTP implements http.Handler.
func (p *DelayProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun, kind := time.Now(), s3Kind(r)
	defer func() { p.ended(Span{begun, time.Now(), kind}) }()
	p.mu.Lock()
	p.counts[kind]++
	p.mu.Unlock()
	if delay := time.Duration(p.delay.Load()); delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	p.forward.ServeHTTP(w, r)
}

// s3Kind tells S3's operations apart as far as their costs differ. The path is
// /bucket or /bucket/key.
func s3Kind(r *http.Request) string {
	query := r.URL.Query()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodPost && query.Has("delete"):
		return "MULTIDEL"
	case query.Has("uploads") || query.Has("uploadId"):
		return "MULTIPART"
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		return "COPY"
	case r.Method == http.MethodGet && key == "":
		return "LIST"
	}
	return r.Method
}
