package env

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is what a FaultProxy does to requests.
type Fault int

// The faults. Changing from one to another ends the requests that hang.
const (
	// Healthy passes everything on.
	Healthy Fault = iota
	// Refusing closes the port: connections are refused.
	Refusing
	// Hanging takes requests and never answers.
	Hanging
	// SlowDown answers 503 with the S3 error SlowDown.
	SlowDown
	// Resetting breaks the connection in the middle of the request.
	Resetting
	// LosingAnswers passes requests on and breaks the connection instead of
	// answering.
	LosingAnswers
)

func (f Fault) String() string {
	return [...]string{"healthy", "refusing", "hanging", "slow down", "resetting", "losing answers"}[f]
}

// FaultProxy stands between the module and an S3 server.
type FaultProxy struct {
	// Endpoint is the proxy's address.
	Endpoint string
	// Delay is added to each request, to stand for a distant store. It may be
	// changed while nothing is under way.
	Delay time.Duration

	address string
	forward http.Handler
	count   atomic.Int64

	mu       sync.Mutex
	fault    Fault
	which    func(*http.Request) bool // nil: all requests
	changed  chan struct{}            // closed when fault changes
	server   *http.Server
	finished chan struct{} // closed when server has ended
}

// FaultProxy starts a proxy for the server at endpoint.
func (e *Env) FaultProxy(endpoint string) (*FaultProxy, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("starting the fault proxy: %w", err)
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	p := &FaultProxy{Endpoint: "http://" + address, address: address, changed: make(chan struct{})}
	p.forward = &httputil.ReverseProxy{
		// The Host header is signed and stays as the client sent it.
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	if err := p.listen(); err != nil {
		return nil, err
	}
	e.OnClose(func() error {
		err := p.Set(Healthy)
		p.close()
		transport.CloseIdleConnections()
		return err
	})
	return p, nil
}

// Requests is the number of requests that have come in.
func (p *FaultProxy) Requests() int64 { return p.count.Load() }

// Set changes the fault, for requests under way too.
func (p *FaultProxy) Set(fault Fault) error { return p.SetFor(fault, nil) }

// SetFor is Set for the requests that which reports true for; the others are
// passed on. which is called once for each request, by several goroutines at
// once. With Refusing it is not asked: nothing comes in.
func (p *FaultProxy) SetFor(fault Fault, which func(*http.Request) bool) error {
	p.mu.Lock()
	before := p.fault
	p.fault, p.which = fault, which
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()

	if fault == Refusing && before != Refusing {
		p.close()
	}
	if fault != Refusing && before == Refusing {
		return p.listen()
	}
	return nil
}

func (p *FaultProxy) listen() error {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", p.address)
	if err != nil {
		return fmt.Errorf("starting the fault proxy: %w", err)
	}
	server := &http.Server{Handler: p}
	finished := make(chan struct{})
	p.mu.Lock()
	p.server, p.finished = server, finished
	p.mu.Unlock()
	go func() {
		defer close(finished)
		_ = server.Serve(listener) // always ErrServerClosed
	}()
	return nil
}

func (p *FaultProxy) close() {
	p.mu.Lock()
	server, finished := p.server, p.finished
	p.mu.Unlock()
	server.Close()
	<-finished
}

// ServeHTTP implements http.Handler.
func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.count.Add(1)
	p.mu.Lock()
	fault, which, changed := p.fault, p.which, p.changed
	p.mu.Unlock()
	if which != nil && !which(r) {
		fault = Healthy
	}

	if p.Delay > 0 {
		select {
		case <-time.After(p.Delay):
		case <-r.Context().Done():
			return
		}
	}
	switch fault {
	case Hanging:
		select {
		case <-changed:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case SlowDown:
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
	case Resetting:
		_, _ = io.CopyN(io.Discard, r.Body, 1<<10)
		panic(http.ErrAbortHandler)
	case LosingAnswers:
		p.forward.ServeHTTP(&lostAnswer{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	default:
		p.forward.ServeHTTP(w, r)
	}
}

// lostAnswer takes an answer that nobody will see.
type lostAnswer struct{ header http.Header }

func (a *lostAnswer) Header() http.Header         { return a.header }
func (a *lostAnswer) Write(b []byte) (int, error) { return len(b), nil }
func (a *lostAnswer) WriteHeader(int)             {}
