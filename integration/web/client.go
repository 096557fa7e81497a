package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
)

// Client is one visitor, with cookies. It may be used by several goroutines at
// once.
type Client struct {
	// Site is the site's address, without a slash at the end.
	Site string
	// AfterWrite, if set, is called when the last byte of an answer to a
	// request other than GET has been read, before the client goes on.
	AfterWrite func(request string)
	// Path, if it is set, returns the path of a request on this site.
	Path func(path string) string

	http *http.Client
}

// New returns a client for the site. transport may be nil.
func New(site string, transport http.RoundTripper) *Client {
	jar, _ := cookiejar.New(nil) // fails only on bad options
	return &Client{Site: site, http: &http.Client{
		Transport: transport,
		Jar:       jar,
		// A redirect is an answer to look at.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Response is an answer that was read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// StatusError is an answer with another status than the one expected.
type StatusError struct {
	Request string
	*Response
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: status %d: %.500s", e.Request, e.Status, e.Body)
}

// ErrUnanswered: the connection ended, or the time was up, before an answer
// began.
var ErrUnanswered = errors.New("no answer")

// Do sends a request and reads the answer to its end. path is below the site.
// It is an error if the status is not in want (none: any below 400).
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body io.Reader, want ...int) (*Response, error) {
	if c.Path != nil {
		path = c.Path(path)
	}
	name := method + " " + path
	req, err := http.NewRequestWithContext(ctx, method, c.Site+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for key, values := range header {
		req.Header[key] = values
	}
	// net/http knows the length of a few readers only, and takes the rest from
	// the request, not from its header.
	if length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil {
		req.ContentLength = length
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrUnanswered, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the answer: %w", name, err)
	}
	if c.AfterWrite != nil && method != http.MethodGet && method != http.MethodHead {
		c.AfterWrite(name)
	}
	r := &Response{Status: resp.StatusCode, Header: resp.Header, Body: content}
	expected := len(want) == 0 && r.Status < 400
	for _, status := range want {
		expected = expected || r.Status == status
	}
	if !expected {
		return r, &StatusError{Request: name, Response: r}
	}
	return r, nil
}

// Get reads a page.
func (c *Client) Get(ctx context.Context, path string) (*Response, error) {
	return c.Do(ctx, http.MethodGet, path, nil, nil, http.StatusOK)
}

// PostForm sends a form as browsers do by default.
func (c *Client) PostForm(ctx context.Context, path string, form url.Values, want ...int) (*Response, error) {
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	return c.Do(ctx, http.MethodPost, path, header, strings.NewReader(form.Encode()), want...)
}

// maxRedirects is how many redirects Follow goes along.
const maxRedirects = 5

// Follow reads a page as a browser shows it: along redirects within the site.
func (c *Client) Follow(ctx context.Context, path string) (*Response, error) {
	for range maxRedirects {
		resp, err := c.Do(ctx, http.MethodGet, path, nil, nil)
		if err != nil || resp.Status < 300 {
			return resp, err
		}
		if path, err = c.Target(resp); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("GET %s: more than %d redirects", path, maxRedirects)
}

// Target returns where a redirect leads, below the site.
func (c *Client) Target(resp *Response) (string, error) {
	location := resp.Header.Get("Location")
	path := strings.TrimPrefix(location, c.Site)
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("status %d leads to %q, which is not on the site", resp.Status, location)
	}
	return path, nil
}

// JSON sends a body as JSON.
func (c *Client) JSON(ctx context.Context, method, path string, header http.Header, body any, want ...int) (*Response, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	all := http.Header{"Content-Type": {"application/json"}}
	maps.Copy(all, header)
	return c.Do(ctx, method, path, all, bytes.NewReader(content), want...)
}
