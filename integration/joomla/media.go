package joomla

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/web"
)

// Item is a file or folder as the media manager tells it.
type Item struct {
	Type string `json:"type"` // "file" or "dir"
	Name string `json:"name"`
	// Path is the adapter and the path below its folder,
	// "local-images:/folder/a.jpg".
	Path string `json:"path"`
	// URL is there if it was asked for.
	URL string `json:"url"`
	// Thumb is the address of a picture that stands for the file.
	Thumb string `json:"thumb_path"`
	// Content is the file in base64, if it was asked for.
	Content string `json:"content"`
}

// mediaTypes is what the media manager always asks for: pictures, sound,
// films, documents.
const mediaTypes = "&mediatypes=0,1,2,3"

// files sends a request to the media manager's API, which answers with JSON
// that it calls text/html. body may be nil; the token is added to it.
func (c *Client) files(ctx context.Context, method, path, query string, body map[string]any, result any) error {
	target := adminPage + "?option=com_media&format=json" + query + "&task=api.files&path=" + url.QueryEscape(path)
	header := http.Header{"X-Csrf-Token": {c.token}}
	var resp *web.Response
	var err error
	if method == http.MethodGet {
		resp, err = c.Do(ctx, method, target, header, nil)
	} else {
		all := map[string]any{c.token: "1"}
		for name, value := range body {
			all[name] = value
		}
		resp, err = c.JSON(ctx, method, target, header, all)
	}
	if err != nil {
		return err
	}
	var answer struct {
		Success bool
		Message string
		Data    json.RawMessage
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil {
		return fmt.Errorf("%s %s: answer %.500q: %w", method, path, resp.Body, err)
	}
	if !answer.Success {
		return fmt.Errorf("%s %s: refused: %.500s", method, path, resp.Body)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Data, result); err != nil {
		return fmt.Errorf("%s %s: answer %.500s: %w", method, path, resp.Body, err)
	}
	return nil
}

func encoded(file sample.File) string { return base64.StdEncoding.EncodeToString(file.Content) }

// Upload is the media manager's: folder is as in Item.Path.
func (c *Client) Upload(ctx context.Context, folder string, file sample.File) (item Item, err error) {
	return item, c.files(ctx, http.MethodPost, folder, mediaTypes, map[string]any{"name": file.Name, "content": encoded(file)}, &item)
}

// Override uploads over a file of the same name, as the media manager does
// after it has asked.
func (c *Client) Override(ctx context.Context, folder string, file sample.File) (item Item, err error) {
	return item, c.files(ctx, http.MethodPost, folder, mediaTypes, map[string]any{"name": file.Name, "content": encoded(file), "override": true}, &item)
}

// Drop is what the editor TinyMCE sends when a picture is dropped on it.
func (c *Client) Drop(ctx context.Context, folder string, file sample.File) (item Item, err error) {
	return item, c.files(ctx, http.MethodPost, folder, "&url=1", map[string]any{"name": file.Name, "content": encoded(file), "parent": folder}, &item)
}

// Edit stores what the picture editor made of the file at path.
func (c *Client) Edit(ctx context.Context, path string, file sample.File) (item Item, err error) {
	return item, c.files(ctx, http.MethodPut, path, mediaTypes, map[string]any{"name": file.Name, "content": encoded(file)}, &item)
}

// Rename moves a file or a folder.
func (c *Client) Rename(ctx context.Context, from, to string) (item Item, err error) {
	return item, c.files(ctx, http.MethodPut, from, mediaTypes, map[string]any{"newPath": to, "move": 1}, &item)
}

// Copy copies a file or a folder.
func (c *Client) Copy(ctx context.Context, from, to string) (item Item, err error) {
	return item, c.files(ctx, http.MethodPut, from, mediaTypes, map[string]any{"newPath": to, "move": 0}, &item)
}

// MakeFolder makes a folder.
func (c *Client) MakeFolder(ctx context.Context, parent, name string) (item Item, err error) {
	return item, c.files(ctx, http.MethodPost, parent, mediaTypes, map[string]any{"name": name}, &item)
}

// Delete deletes a file, or a folder with all in it.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.files(ctx, http.MethodDelete, path, mediaTypes, nil, nil)
}

// List lists a folder.
func (c *Client) List(ctx context.Context, path string) (items []Item, err error) {
	return items, c.files(ctx, http.MethodGet, path, mediaTypes, nil, &items)
}

// Read reads a file with its content, as the picture editor does.
func (c *Client) Read(ctx context.Context, path string) (item Item, err error) {
	return item, c.files(ctx, http.MethodGet, path, mediaTypes+"&url=1&content=1", nil, &item)
}

// API sends a request to the web services API; path is below /v1.
func (c *Client) API(ctx context.Context, method, path string, body any, want ...int) (*web.Response, error) {
	header := http.Header{"X-Joomla-Token": {c.apiToken}, "Accept": {"application/vnd.api+json"}}
	path = "/api/index.php/v1" + path
	if body == nil {
		return c.Do(ctx, method, path, header, nil, want...)
	}
	return c.JSON(ctx, method, path, header, body, want...)
}

// UploadAPI is the web services API's: path is as in Item.Path.
func (c *Client) UploadAPI(ctx context.Context, path string, file sample.File) error {
	_, err := c.API(ctx, http.MethodPost, "/media/files?url=true", map[string]any{"path": path, "content": encoded(file)}, http.StatusOK)
	return err
}

// EditAPI replaces a file's content by the web services API.
func (c *Client) EditAPI(ctx context.Context, path string, file sample.File) error {
	_, err := c.API(ctx, http.MethodPatch, "/media/files/"+escapePath(path), map[string]any{"path": path, "content": encoded(file)}, http.StatusOK)
	return err
}

// DeleteAPI deletes a file by the web services API.
func (c *Client) DeleteAPI(ctx context.Context, path string) error {
	_, err := c.API(ctx, http.MethodDelete, "/media/files/"+escapePath(path), nil, http.StatusNoContent)
	return err
}

func escapePath(path string) string {
	segments := strings.Split(path, "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	return strings.Join(segments, "/")
}
