package joomla

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/media-offload/caddy-media-offload/integration/web"
)

// Client is an administrator who is logged in.
type Client struct {
	*web.Client

	token    string // of the session, which forms and scripts send back
	apiToken string
}

// New returns a client for the site. transport may be nil.
func New(site string, transport http.RoundTripper) *Client {
	return &Client{Client: web.New(site, transport)}
}

const adminPage = "/administrator/index.php"

var (
	sessionToken = regexp.MustCompile(`"csrf\.token":"([0-9a-f]{32})"`)
	editUser     = regexp.MustCompile(`task=user\.edit&amp;id=(\d+)`)
)

// Login logs in and makes a token for the web services API.
func (c *Client) Login(ctx context.Context, user, password string) error {
	page, err := c.Get(ctx, adminPage)
	if err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	form, err := web.FormWith(page.Body, "passwd")
	if err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	form.Values.Set("username", user)
	form.Values.Set("passwd", password)
	if _, err := c.PostForm(ctx, adminPage, form.Values, http.StatusSeeOther); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	if page, err = c.Follow(ctx, adminPage+"?option=com_users&view=users"); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	token, id := sessionToken.FindSubmatch(page.Body), editUser.FindSubmatch(page.Body)
	if token == nil || id == nil {
		return fmt.Errorf("logging in: no token or no user on the page: %.2000s", page.Body)
	}
	c.token = string(token[1])
	return c.makeToken(ctx, string(id[1]))
}

const tokenField = "jform[joomlatoken][token]"

// makeToken makes the user's token for the web services API: Joomla does so
// when the form of the user is saved the first time, and shows it there then.
func (c *Client) makeToken(ctx context.Context, user string) error {
	fail := func(err error) error { return fmt.Errorf("making a token: %w", err) }
	page, err := c.Follow(ctx, adminPage+"?option=com_users&task=user.edit&id="+user)
	if err != nil {
		return fail(err)
	}
	form, err := web.FormWith(page.Body, "jform[username]")
	if err != nil {
		return fail(err)
	}
	form.Values.Set("jform[joomlatoken][enabled]", "1")
	form.Values.Set("task", "user.apply")
	if page, err = c.submit(ctx, adminPage+"?option=com_users&layout=edit&id="+user, form); err != nil {
		return fail(err)
	}
	if form, err = web.FormWith(page.Body, tokenField); err != nil {
		return fail(err)
	}
	if c.apiToken = form.Values.Get(tokenField); c.apiToken == "" {
		return fail(errors.New("there is none in the form"))
	}
	return nil
}

// submit sends a form and reads the page that it leads to.
func (c *Client) submit(ctx context.Context, path string, form *web.Form) (*web.Response, error) {
	resp, err := c.PostForm(ctx, path, form.Values, http.StatusSeeOther)
	if err != nil {
		return nil, err
	}
	if path, err = c.Target(resp); err != nil {
		return nil, err
	}
	return c.Follow(ctx, path)
}
