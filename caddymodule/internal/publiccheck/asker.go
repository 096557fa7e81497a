package publiccheck

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// askTimeout is how long one question to the public URL may take.
const askTimeout = 10 * time.Second

// asker asks the public URL what a browser would, in the background: what is
// wrong there is mostly the bucket's or CDN's to mend, and is logged. It belongs
// to a Check.
type asker struct {
	client *http.Client

	mu     sync.Mutex
	closed bool
	ctx    context.Context
	cancel context.CancelFunc
	asking sync.WaitGroup
}

func newAsker() *asker {
	a := new(asker)
	a.client = &http.Client{Timeout: askTimeout, CheckRedirect: checkRedirect, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
	}}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a
}

// start has f ask in a goroutine of its own, unless a was closed.
func (a *asker) start(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.asking.Go(f)
	}
}

// reply is an answer without its body.
type reply struct {
	code   int
	status string // "200 OK"
	header http.Header
}

// checkRedirect follows no redirect of a question from an origin: what that allows
// would depend on each answer on the way (Fetch standard, 4.4).
func checkRedirect(r *http.Request, via []*http.Request) error {
	if via[0].Header.Get("Origin") != "" || len(via) >= maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

const maxRedirects = 10

// get asks for a URL, as a page of origin would if that is not "". Then it is the
// same request as a browser's, so that a cache answers it with what browsers get.
func (a *asker) get(url, origin string) (reply, error) {
	r, err := a.request(url)
	if err != nil {
		return reply{}, err
	}
	if origin != "" {
		r.Header.Set("Accept", "*/*")
		r.Header.Set("Origin", origin)
		r.Header.Set("Referer", origin+"/")
		r.Header.Set("Sec-Fetch-Mode", "cors")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	} else {
		r.Header.Set("Range", "bytes=0-0") // a GET, as rules may be for that alone; its body is not wanted
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return reply{}, err // names the URL
	}
	_ = answer.Body.Close() // nothing was read
	return reply{answer.StatusCode, answer.Status, answer.Header}, nil
}

// request is a request for a URL.
func (a *asker) request(url string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(a.ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, err)
	}
	r.Header.Set("User-Agent", "Mozilla/5.0 (compatible; media_offload)")
	return r, nil
}

// maxRead is how much is read of what is at a URL, in bytes.
const maxRead = 4 << 20

// read returns what is at a URL, as far as maxRead. The caller closes it.
func (a *asker) read(url string) (io.ReadCloser, error) {
	r, err := a.request(url)
	if err != nil {
		return nil, err
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return nil, err // names the URL
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close() // nothing was read
		return nil, fmt.Errorf("reading %s: the answer is %s", url, answer.Status)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, maxRead), answer.Body}, nil
}

// found reports whether there is something at the URL.
func (r reply) found() bool {
	switch r.code {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		return true
	}
	return false
}

// close ends all questions.
func (a *asker) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.cancel()
	a.asking.Wait()
}
