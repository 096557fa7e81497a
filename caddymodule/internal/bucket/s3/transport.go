package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

const (
	connectTime = 10 * time.Second
	// stallTime ends a transfer in which no byte has moved, and the wait for
	// the first byte of an answer.
	stallTime = 60 * time.Second
	// assemblyTime is how long a store may take to put the parts of an upload
	// together without a word.
	assemblyTime = 10 * time.Minute
	// idleConnections per store are kept: more than any caller's number of
	// parallel transfers. net/http's default of 2 doubles the time of 8
	// parallel uploads over TLS.
	idleConnections = 128

	// maxErrorBytes and maxAnswerBytes bound what is read of an answer that
	// is not an object: an error, and a listing (1,000 keys of 1,024 bytes,
	// each percent-encoded, need less than 4 MiB).
	maxErrorBytes  = 1 << 20
	maxAnswerBytes = 8 << 20
)

// httpClient sends the requests of one store. It is HTTP/1.1 on a pool of
// connections: parallel uploads then neither share a window nor wait for each
// other's lost packets.
type httpClient struct {
	client    *http.Client
	transport *http.Transport
}

func newHTTPClient(roots *x509.CertPool, patience time.Duration) *httpClient {
	dialer := &net.Dialer{Timeout: connectTime, KeepAlive: 30 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &stallConn{Conn: conn, patience: patience}, nil
		},
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            roots,
			ClientSessionCache: tls.NewLRUClientSessionCache(idleConnections),
		},
		Protocols:             protocols,
		TLSHandshakeTimeout:   connectTime,
		ResponseHeaderTimeout: patience,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          2 * idleConnections,
		MaxIdleConnsPerHost:   idleConnections,
		// Before stallConn ends them, which could hit a request just begun.
		IdleConnTimeout:        patience * 3 / 4,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        64 << 10,
		DisableCompression:     true, // an object's bytes are to come as they are
	}
	return &httpClient{
		transport: transport,
		client: &http.Client{
			Transport: transport,
			// A redirect is an answer (of another region), not a place to
			// send credentials to.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Do implements the SDK's HTTPClient.
func (c *httpClient) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode >= 300:
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxErrorBytes}
	case r.Context().Value(objectBody{}) == nil:
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxAnswerBytes}
	}
	return resp, nil
}

// objectBody is the context key that marks a request whose answer is an
// object, of any length.
type objectBody struct{}

// boundedBody ends with an error where a sound answer would have ended long
// before.
type boundedBody struct {
	io.ReadCloser
	left int
}

var errLongAnswer = errors.New("the store's answer is too long")

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLongAnswer
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// stallConn ends a connection on which nothing has moved for a while in
// either direction. Progress in one direction extends the other's deadline
// too: during a long upload nothing is read, and it is not stuck.
type stallConn struct {
	net.Conn
	patience time.Duration
	armed    atomic.Int64 // Unix time in ns of the last deadline's setting
}

func (c *stallConn) Read(p []byte) (int, error) {
	c.arm()
	return c.Conn.Read(p)
}

func (c *stallConn) Write(p []byte) (int, error) {
	c.arm()
	return c.Conn.Write(p)
}

// arm sets the deadline anew, but not for every packet.
func (c *stallConn) arm() {
	now := time.Now()
	last := c.armed.Load()
	if now.UnixNano()-last < int64(c.patience/16) || !c.armed.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	_ = c.SetDeadline(now.Add(c.patience))
}

// rootCAs returns those that the AWS configuration names (AWS_CA_BUNDLE); nil:
// the system's.
func rootCAs(cfg aws.Config) *x509.CertPool {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return nil
	}
	if tlsConfig := client.GetTransport().TLSClientConfig; tlsConfig != nil {
		return tlsConfig.RootCAs
	}
	return nil
}

// skewedSigner signs as a machine whose clock is wrong, for tests.
type skewedSigner struct{ skew time.Duration }

func (s skewedSigner) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, t time.Time, optFns ...func(*v4.SignerOptions)) error {
	return v4.NewSigner().SignHTTP(ctx, c, r, payloadHash, service, region, t.Add(s.skew), optFns...)
}
