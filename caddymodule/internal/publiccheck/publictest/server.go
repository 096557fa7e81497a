// Package publictest has the public side of a bucket or CDN for tests of what a public
// URL allows and shows.
package publictest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Server is a bucket's or CDN's public side. It notes who asked for what.
type Server struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

// NewServer returns a server that answers as answer does.
func NewServer(t *testing.T, answer http.HandlerFunc) *Server {
	p := new(Server)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Header.Get("Origin")+" "+r.URL.Path)
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// Requests returns the origin and the path of each request so far, with a space
// between them.
func (p *Server) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Rules is a server for which it is set what it allows.
type Rules struct {
	*Server
	mu     sync.Mutex
	status int
	header http.Header
}

// NewRules returns a server that answers with the header, pairs of name and value.
func NewRules(t *testing.T, header ...string) *Rules {
	p := new(Rules)
	p.Set(http.StatusOK, header...)
	p.Server = NewServer(t, p.answer)
	return p
}

// Set says what is answered from now on; "echo" in a value stands for the origin that
// asks, status 0 for a connection that breaks off.
func (p *Rules) Set(status int, header ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.header = status, make(http.Header)
	for i := 0; i < len(header); i += 2 {
		p.header.Add(header[i], header[i+1])
	}
}

func (p *Rules) answer(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status == 0 {
		panic(http.ErrAbortHandler)
	}
	for name, values := range p.header {
		for _, value := range values {
			w.Header().Add(name, strings.ReplaceAll(value, "echo", r.Header.Get("Origin")))
		}
	}
	w.WriteHeader(p.status)
	_, _ = io.WriteString(w, "content")
}

// Questions returns the requests that pages of an origin might have made.
func (p *Rules) Questions() []string {
	return slices.DeleteFunc(p.Requests(), func(r string) bool { return strings.HasPrefix(r, " ") })
}
