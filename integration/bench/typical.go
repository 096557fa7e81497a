package main

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

// typicalSite serves the typical page through a plain Caddy and through this
// one, whose bucket has all its media.
type typicalSite struct {
	page        *typicalPage
	upstream    string
	publicURL   string // where its media are, without a slash at the end
	plain, this *env.Caddy
	plainURL    string
	thisURL     string
	served      atomic.Uint64 // of the changing page
}

// changingPath is the typical page with another title each time, as an app that
// caches nothing may send it.
const changingPath = "/changing"

const (
	dripPath  = "/drip"
	dripSize  = 2 << 10
	dripCount = 4
	dripPause = 50 * time.Millisecond
)

// typicalSite starts it, once.
func (b *bench) typicalSite() (*typicalSite, error) {
	if b.typical != nil {
		return b.typical, nil
	}
	s := &typicalSite{page: newTypicalPage()}
	b.typical = s
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.servePage)
	mux.HandleFunc(changingPath, s.serveChanging)
	mux.HandleFunc(dripPath, s.serveDrip)
	var err error
	if s.upstream, err = b.env.ServeHandler(mux); err != nil {
		return nil, err
	}
	proxy := "\treverse_proxy " + hostPort(s.upstream) + "\n"
	if s.plain, s.plainURL, err = b.caddy(b.plainCaddy, proxy); err != nil {
		return nil, err
	}
	if s.publicURL, err = b.env.ServeHandler(http.HandlerFunc(anyOrigin)); err != nil {
		return nil, err
	}
	s.publicURL += "/media"
	s.this, s.thisURL, err = b.typicalCaddy(s, b.thisCaddy)
	return s, err
}

// anyOrigin answers for the public host, which allows pages of all origins. Only the
// module asks there.
func anyOrigin(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
}

// typicalCaddy starts a Caddy with the module before the site's upstream, with a disk
// and a bucket of its own, and waits until it makes all media URLs of the page public.
func (b *bench) typicalCaddy(s *typicalSite, binary string) (*env.Caddy, string, error) {
	files := map[string][]byte{}
	for _, key := range s.page.keys {
		files[path.Join("wp-content/uploads", key)] = []byte(key)
	}
	dir, err := b.folder("typical", files)
	if err != nil {
		return nil, "", err
	}
	bucket, err := b.env.DirBucket("typical-bucket")
	if err != nil {
		return nil, "", err
	}
	caddy, address, err := b.caddy(binary, fmt.Sprintf("\tmedia_offload {\n\t\tapp wordpress %s\n\t\t%s\t\tpublic_url %s\n\t}\n\treverse_proxy %s\n",
		dir, bucket.Caddyfile(), s.publicURL, hostPort(s.upstream)))
	if err != nil {
		return nil, "", err
	}
	return caddy, address, b.until("the page's media are in the bucket", func() (bool, error) {
		page, err := fetch(b.ctx, address+"/", pageHost)
		return localURLs(string(page)) == 0, err
	})
}

func (s *typicalSite) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(s.page.html)))
	_, _ = io.WriteString(w, s.page.html) // the client went away
}

func (s *typicalSite) serveChanging(w http.ResponseWriter, _ *http.Request) {
	before, after, _ := strings.Cut(s.page.html, "<title>")
	title := fmt.Sprintf("<title>%016x", s.served.Add(1))
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(before)+len(title)+len(after)))
	for _, part := range []string{before, title, after} {
		_, _ = io.WriteString(w, part) // the client went away
	}
}

// serveDrip sends a page bit by bit, as an app does that flushes.
func (s *typicalSite) serveDrip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	rest := s.page.html
	for range dripCount {
		if _, err := io.WriteString(w, rest[:dripSize]); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		rest = rest[dripSize:]
		select {
		case <-time.After(dripPause):
		case <-r.Context().Done():
			return
		}
	}
}
