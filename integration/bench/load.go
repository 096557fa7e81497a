package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// connections is how many requests a load has under way at once: enough to
// keep two cores busy, few enough not to queue.
const connections = 4

// blockTimeout bounds one block of requests.
const blockTimeout = 60 * time.Second

// connection is a kept-alive HTTP/1.1 connection that sends one GET again and
// again. It is much cheaper than an http.Client, which would take the processor
// time that the measured servers need.
type connection struct {
	address string
	request *http.Request
	conn    net.Conn
	in      *bufio.Reader
}

// connect prepares a GET of address, with another Host header unless host is
// empty.
func connect(ctx context.Context, address, host string) (*connection, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if host != "" {
		r.Host = host
	}
	return &connection{address: r.URL.Host, request: r}, nil
}

func (c *connection) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// send sends the request and reads the answer's header; the caller reads the
// body to its end.
func (c *connection) send() (*http.Response, error) {
	if c.conn == nil {
		var dialer net.Dialer
		conn, err := dialer.DialContext(c.request.Context(), "tcp", c.address)
		if err != nil {
			return nil, err
		}
		c.conn, c.in = conn, bufio.NewReaderSize(conn, 64<<10)
		if err := conn.SetDeadline(time.Now().Add(blockTimeout)); err != nil {
			return nil, err
		}
	}
	const format = "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
	if _, err := fmt.Fprintf(c.conn, format, c.request.URL.RequestURI(), c.request.Host); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.in, c.request)
}

// get sends the request and reads the whole answer; it returns the body's
// length.
func (c *connection) get() (int64, error) {
	resp, err := c.send()
	if err != nil {
		c.close()
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.Close {
		c.close()
	}
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return n, err
}

// load sends n requests of one kind by several connections.
type load struct {
	address, host string
	n             int
}

// send returns how long all of it took.
func (l load) send(ctx context.Context) (time.Duration, error) {
	errs := make([]error, connections)
	var all sync.WaitGroup
	start := time.Now()
	for i := range connections {
		all.Go(func() { errs[i] = l.share(ctx, (l.n+i)/connections) })
	}
	all.Wait()
	took := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return 0, fmt.Errorf("GET %s: %w", l.address, err)
	}
	return took, nil
}

// share sends n requests by one connection. Their answers must have one length.
func (l load) share(ctx context.Context, n int) error {
	c, err := connect(ctx, l.address, l.host)
	if err != nil {
		return err
	}
	defer c.close()
	length := int64(-1)
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		got, err := c.get()
		switch {
		case err != nil:
			return err
		case length >= 0 && got != length:
			return fmt.Errorf("an answer of %d bytes after one of %d", got, length)
		}
		length = got
	}
	return nil
}

// fetch reads one answer whole, to see that it is what is to be measured.
func fetch(ctx context.Context, address, host string) ([]byte, error) {
	c, err := connect(ctx, address, host)
	if err != nil {
		return nil, err
	}
	defer c.close()
	resp, err := c.send()
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", address, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.500s", resp.Status, body)
	}
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", address, err)
	}
	return body, nil
}

// hostPort is the address of a URL: "127.0.0.1:1234".
func hostPort(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // ours are well-formed
	}
	return u.Host
}
