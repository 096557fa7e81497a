package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/caddypki"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	"github.com/quic-go/quic-go/http3"
)

// TestConformance sends every kind of answer through every mode of the response
// writer, over every version of HTTP, with encode outside as in production.
func TestConformance(t *testing.T) {
	for _, rewrites := range []bool{false, true} {
		var s *testSite
		s = newTestSite(t, uploadApp(&s, func(w http.ResponseWriter, r *http.Request) error {
			for i := range conformanceCases {
				if r.URL.Path == casePath(i) {
					return conformanceCases[i].app(w, r)
				}
			}
			return notFound(w, r)
		}))
		s.before = []map[string]any{{"handler": "encode", "encodings": map[string]any{"gzip": map[string]any{}}}}
		if rewrites {
			s.handler["public_url"] = publicTestURL
		}
		t.Run(fmt.Sprintf("rewriting %v", rewrites), func(t *testing.T) {
			s.t = t
			clients := s.useTLS(t)
			s.start()
			s.client = clients["h1"]
			s.upload(map[string]string{"a.jpg": "picture"})
			for version, client := range clients {
				s.client = client
				for _, m := range conformanceModes {
					if m.rewrites != rewrites {
						continue
					}
					for i, c := range conformanceCases {
						t.Run(version+"/"+m.name+"/"+c.name, func(t *testing.T) {
							s.t = t
							a, early := s.ask(t, m, i)
							c.check(t, m, a, early)
						})
					}
				}
			}
		})
	}
}

func casePath(i int) string { return fmt.Sprintf("/case/%d", i) }

// ask sends the request of a case. An error before the header is an answer with
// only err set.
func (s *testSite) ask(t *testing.T, m conformanceMode, i int) (answer, []http.Header) {
	t.Helper()
	method := m.method
	if conformanceCases[i].head && method == http.MethodGet {
		method = http.MethodHead
	}
	var early []http.Header
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			early = append(early, http.Header(h))
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, method, "https://"+s.address()+casePath(i), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(r)
	if err != nil {
		return answer{Response: &http.Response{Header: http.Header{}}, err: err}, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{Response: response, body: string(body), err: err}, early
}

func (s *testSite) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// useTLS makes the site speak HTTPS and returns a client for each version of
// HTTP.
func (s *testSite) useTLS(t *testing.T) map[string]*http.Client {
	t.Helper()
	cert, key := selfSigned(t)
	s.scheme = "https"
	s.server["protocols"] = []string{"h1", "h2", "h3"}
	s.server["tls_connection_policies"] = []any{map[string]any{}}
	s.apps["tls"] = map[string]any{"certificates": map[string]any{
		"load_pem": []any{map[string]any{"certificate": cert, "key": key}},
	}}
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"} //nolint:gosec // a test's own certificate
	h1, h2 := new(http.Protocols), new(http.Protocols)
	h1.SetHTTP1(true)
	h2.SetHTTP2(true)
	h3 := &http3.Transport{TLSClientConfig: config.Clone(), DisableCompression: true}
	transports := map[string]http.RoundTripper{
		"h1": &http.Transport{TLSClientConfig: config.Clone(), Protocols: h1, DisableCompression: true},
		"h2": &http.Transport{TLSClientConfig: config.Clone(), Protocols: h2, DisableCompression: true},
		"h3": h3,
	}
	clients := make(map[string]*http.Client)
	for version, transport := range transports {
		clients[version] = &http.Client{
			Transport:     transport,
			Timeout:       longest,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		s.clients = append(s.clients, clients[version])
	}
	return clients
}

func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}))
}
