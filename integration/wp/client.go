package wp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/media-offload/caddy-media-offload/integration/web"
)

// Client is one logged-in user. After Login it may be used by several
// goroutines at once.
type Client struct {
	*web.Client

	user, password string

	mu        sync.Mutex
	restNonce string
	formNonce string // of the upload forms ("media-form")
}

// New returns a client for the site. transport may be nil.
func New(site string, transport http.RoundTripper) *Client {
	return &Client{Client: web.New(site, transport)}
}

// SetCore says that WordPress' own files, and with them login and admin screens,
// are below a URL path, "/wp". By default it is "".
func (c *Client) SetCore(core string) {
	c.Path = func(path string) string {
		if strings.HasPrefix(path, "/wp-admin/") || path == "/wp-login.php" {
			return core + path
		}
		return path
	}
}

// ajax sends a form to admin-ajax.php and decodes the {success, data} answer
// into data, which may be nil.
func (c *Client) ajax(ctx context.Context, form url.Values, data any) error {
	name := "admin-ajax " + form.Get("action")
	resp, err := c.PostForm(ctx, "/wp-admin/admin-ajax.php", form, http.StatusOK)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return decodeAjax(name, resp.Body, data)
}

func decodeAjax(name string, body []byte, data any) error {
	var answer struct {
		Success bool
		Data    json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%s: answer %.200q: %w", name, body, err)
	}
	if !answer.Success {
		return fmt.Errorf("%s: refused: %.500s", name, body)
	}
	if data == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		return fmt.Errorf("%s: answer %.500s: %w", name, body, err)
	}
	return nil
}

// REST sends a request to the REST API; path is below /wp-json. A body that is
// not nil is sent as JSON; the answer is decoded into result if that is not nil.
func (c *Client) REST(ctx context.Context, method, path string, body, result any) error {
	var reader io.Reader
	header := http.Header{}
	if body != nil {
		content, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		reader = bytes.NewReader(content)
		header.Set("Content-Type", "application/json")
	}
	return c.rest(ctx, method, path, header, reader, result)
}

func (c *Client) rest(ctx context.Context, method, path string, header http.Header, body io.Reader, result any) error {
	header.Set("X-Wp-Nonce", c.nonces().rest)
	resp, err := c.Do(ctx, method, "/wp-json"+path, header, body)
	if err != nil {
		return err
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(resp.Body, result); err != nil {
		return fmt.Errorf("%s %s: answer %.500s: %w", method, path, resp.Body, err)
	}
	return nil
}

// Login logs in and fetches the nonces that uploads need.
func (c *Client) Login(ctx context.Context, user, password string) error {
	c.user, c.password = user, password
	// The first visit sets the cookie that WordPress tests for.
	if _, err := c.Get(ctx, "/wp-login.php"); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	if _, err := c.PostForm(ctx, "/wp-login.php", url.Values{
		"log": {user}, "pwd": {password}, "wp-submit": {"Log In"},
		"redirect_to": {c.Site + "/wp-admin/"}, "testcookie": {"1"},
	}, http.StatusFound); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	return c.refreshNonces(ctx)
}

type nonces struct{ rest, form string }

func (c *Client) nonces() nonces {
	c.mu.Lock()
	defer c.mu.Unlock()
	return nonces{rest: c.restNonce, form: c.formNonce}
}

var formNonce = regexp.MustCompile(`"multipart_params":\{[^}]*"_wpnonce":"([0-9a-f]+)"`)

func (c *Client) refreshNonces(ctx context.Context) error {
	rest, err := c.Get(ctx, "/wp-admin/admin-ajax.php?action=rest-nonce")
	if err != nil {
		return fmt.Errorf("fetching the REST nonce: %w", err)
	}
	form, err := c.nonceOn(ctx, "/wp-admin/upload.php?mode=grid", formNonce)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restNonce, c.formNonce = string(rest.Body), form
	return nil
}

// nonceOn finds a nonce on an admin screen.
func (c *Client) nonceOn(ctx context.Context, path string, pattern *regexp.Regexp) (string, error) {
	page, err := c.Get(ctx, path)
	if err != nil {
		return "", fmt.Errorf("fetching a nonce: %w", err)
	}
	match := pattern.FindSubmatch(page.Body)
	if match == nil {
		return "", fmt.Errorf("fetching a nonce: none on %s", path)
	}
	return string(match[1]), nil
}
