//go:build integration

package integration

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// soak asks for campaigns at full length, as `make soak` does.
var soak = os.Getenv("MEDIA_OFFLOAD_SOAK") != ""

// length is a campaign's length: short in an ordinary run, full in a soak.
func length(short, full int) int {
	if soak {
		return full
	}
	return short
}

// shared is what all tests use together: starting a database takes seconds.
var shared struct {
	env   *env.Env
	db    *env.MariaDB
	caddy env.Builder
}

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if err := env.Setup("site", "wiki", "servers", "caddy", "browser", "newest"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared.caddy.Race = true
	// Here, so that it takes none of a test's time.
	if _, err := shared.caddy.Build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	e, err := env.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared.env = e
	http.DefaultTransport.(*http.Transport).DialContext = dialLoopback
	shared.db, err = e.MariaDB()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		e.Close()
		return 1
	}
	code := m.Run()
	if err := e.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the shared programs:", err)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// newEnv is an environment that ends with the test and shows its programs'
// logs if the test failed.
func newEnv(t *testing.T) *env.Env {
	t.Helper()
	e := must1(env.New())(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(e.Logs())
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// dialLoopback finds all hosts on this machine: browsers know of themselves
// where names below localhost lead, others need not.
func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

// within bounds a test's requests.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// must1 makes a call's error end the test: must1(f())(t).
func must1[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// address is a free address for a site, "http://127.0.0.1:1234".
func address(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("http://127.0.0.1:%d", must1(env.FreePort())(t))
}

// addressOf is a free address of a host of this machine, by default 127.0.0.1.
func addressOf(t testing.TB, host string) string {
	t.Helper()
	return strings.Replace(address(t), "127.0.0.1", cmp.Or(host, "127.0.0.1"), 1)
}

// login returns a client of the site that is logged in.
func login(t testing.TB, ctx context.Context, site *env.Site) *wp.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16, DialContext: dialLoopback}
	t.Cleanup(transport.CloseIdleConnections)
	client := wp.New(site.URL, transport)
	client.SetCore(site.Core)
	must(t, client.Login(ctx, site.User, site.Password))
	return client
}
