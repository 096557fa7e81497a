package mediawiki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/web"
)

// Client is a user who is logged in.
type Client struct {
	*web.Client

	token string
}

// New returns a client for the wiki. transport may be nil.
func New(site string, transport http.RoundTripper) *Client {
	return &Client{Client: web.New(site, transport)}
}

const apiPath = "/api.php"

// ErrRefused: the wiki answered that it did not do what was asked.
var ErrRefused = errors.New("refused")

// Login logs in.
func (c *Client) Login(ctx context.Context, user, password string) error {
	token, err := c.fetchToken(ctx, "login")
	if err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	if _, err := c.post(ctx, url.Values{
		"action": {"clientlogin"}, "username": {user}, "password": {password}, "loginreturnurl": {c.Site + "/"}, "logintoken": {token},
	}); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	if c.token, err = c.fetchToken(ctx, "csrf"); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	return nil
}

func (c *Client) fetchToken(ctx context.Context, kind string) (string, error) {
	resp, err := c.Get(ctx, apiPath+"?action=query&meta=tokens&format=json&formatversion=2&type="+kind)
	if err != nil {
		return "", err
	}
	var answer struct {
		Query struct{ Tokens map[string]string }
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil {
		return "", fmt.Errorf("reading a token: %.500s: %w", resp.Body, err)
	}
	return answer.Query.Tokens[kind+"token"], nil
}

// post sends a request to the API and returns its answer.
func (c *Client) post(ctx context.Context, form url.Values) ([]byte, error) {
	form.Set("format", "json")
	form.Set("formatversion", "2")
	resp, err := c.PostForm(ctx, apiPath, form, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return resp.Body, problem(form.Get("action"), resp.Body)
}

// problem reads an error, or a login that failed, from an answer.
func problem(action string, body []byte) error {
	var answer struct {
		Error       json.RawMessage
		ClientLogin struct{ Status string }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%s: answer %.500s: %w", action, body, err)
	}
	if answer.Error != nil || action == "clientlogin" && answer.ClientLogin.Status != "PASS" {
		return fmt.Errorf("%s: %w: %.500s", action, ErrRefused, body)
	}
	return nil
}

// Upload uploads a file by the API: the first version, or a new one.
func (c *Client) Upload(ctx context.Context, file sample.File) error {
	_, err := c.upload(ctx, file, [][2]string{{"filename", file.Name}, {"ignorewarnings", "1"}, {"comment", "uploaded"}})
	return err
}

// Stash uploads a file without publishing it. The key returned is for
// PublishStashed.
func (c *Client) Stash(ctx context.Context, file sample.File) (key string, err error) {
	body, err := c.upload(ctx, file, [][2]string{{"filename", file.Name}, {"stash", "1"}, {"ignorewarnings", "1"}})
	if err != nil {
		return "", err
	}
	var answer struct{ Upload struct{ FileKey string } }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Upload.FileKey == "" {
		return "", fmt.Errorf("uploading %s to the stash: answer %.500s (%w)", file.Name, body, err)
	}
	return answer.Upload.FileKey, nil
}

func (c *Client) upload(ctx context.Context, file sample.File, fields [][2]string) ([]byte, error) {
	fields = append(fields, [2]string{"action", "upload"}, [2]string{"format", "json"}, [2]string{"formatversion", "2"}, [2]string{"token", c.token})
	resp, err := c.PostFile(ctx, apiPath, nil, fields, "file", file, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return resp.Body, problem("upload", resp.Body)
}

// PublishStashed publishes a file from the stash.
func (c *Client) PublishStashed(ctx context.Context, key, name string) error {
	_, err := c.post(ctx, url.Values{"action": {"upload"}, "filekey": {key}, "filename": {name}, "ignorewarnings": {"1"}, "token": {c.token}})
	return err
}

// UploadForm uploads a file by the form Special:Upload.
func (c *Client) UploadForm(ctx context.Context, file sample.File) error {
	page, err := c.Get(ctx, "/index.php?title=Special:Upload")
	if err != nil {
		return fmt.Errorf("uploading %s: %w", file.Name, err)
	}
	form, err := web.FormWith(page.Body, "wpEditToken")
	if err != nil {
		return fmt.Errorf("uploading %s: %w", file.Name, err)
	}
	form.Values.Set("wpDestFile", file.Name)
	form.Values.Set("wpIgnoreWarning", "1")
	var fields [][2]string
	for name, values := range form.Values {
		fields = append(fields, [2]string{name, values[0]})
	}
	fields = append(fields, [2]string{"wpUpload", "Upload file"})
	_, err = c.PostFile(ctx, "/index.php?title=Special:Upload", nil, fields, "wpUploadFile", file, http.StatusFound)
	return err
}

// Edit saves a page.
func (c *Client) Edit(ctx context.Context, title, text string) error {
	_, err := c.post(ctx, url.Values{"action": {"edit"}, "title": {title}, "text": {text}, "token": {c.token}})
	return err
}

// EditForm saves a page by the form for editing.
func (c *Client) EditForm(ctx context.Context, title, text string) error {
	path := "/index.php?title=" + url.QueryEscape(title)
	page, err := c.Get(ctx, path+"&action=edit")
	if err != nil {
		return fmt.Errorf("editing %s: %w", title, err)
	}
	form, err := web.FormWith(page.Body, "wpTextbox1")
	if err != nil {
		return fmt.Errorf("editing %s: %w", title, err)
	}
	form.Values.Set("wpTextbox1", text)
	form.Values.Set("wpSave", "Save page")
	_, err = c.PostForm(ctx, path+"&action=submit", form.Values, http.StatusFound)
	return err
}

// Delete deletes a file with all its versions.
func (c *Client) Delete(ctx context.Context, name string) error {
	_, err := c.post(ctx, url.Values{"action": {"delete"}, "title": {"File:" + name}, "reason": {"test"}, "token": {c.token}})
	return err
}

// Undelete brings a deleted file back.
func (c *Client) Undelete(ctx context.Context, name string) error {
	_, err := c.post(ctx, url.Values{"action": {"undelete"}, "title": {"File:" + name}, "reason": {"test"}, "token": {c.token}})
	return err
}

// Move renames a file.
func (c *Client) Move(ctx context.Context, from, to string) error {
	_, err := c.post(ctx, url.Values{"action": {"move"}, "from": {"File:" + from}, "to": {"File:" + to}, "reason": {"test"}, "token": {c.token}})
	return err
}
