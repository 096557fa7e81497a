package wp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/web"
)

// Way is one of the ways to upload a file.
type Way struct {
	Name string
	// Upload returns the id of the new attachment.
	Upload func(c *Client, ctx context.Context, file sample.File) (id int, err error)
}

// Ways are all ways to upload a file to WordPress.
var Ways = []Way{
	{"media grid", (*Client).UploadGrid},
	{"multi-file", (*Client).UploadMultiFile},
	{"browser form", (*Client).UploadForm},
	{"REST multipart", (*Client).UploadREST},
	{"REST raw body", (*Client).UploadRESTRaw},
	{"XML-RPC", (*Client).UploadXMLRPC},
}

// UploadGrid uploads like the media library's grid.
func (c *Client) UploadGrid(ctx context.Context, file sample.File) (int, error) {
	return c.UploadToPost(ctx, file, 0)
}

// UploadToPost uploads like the media modal of an article's editor. WordPress
// puts the file into the folder of the article's month. Without an article,
// post is 0.
func (c *Client) UploadToPost(ctx context.Context, file sample.File, post int) (int, error) {
	fields := [][2]string{{"name", file.Name}, {"action", "upload-attachment"}, {"_wpnonce", c.nonces().form}}
	if post != 0 {
		fields = append(fields, [2]string{"post_id", strconv.Itoa(post)})
	}
	resp, err := c.PostFile(ctx, "/wp-admin/async-upload.php", nil, fields, "async-upload", file, http.StatusOK)
	if err != nil {
		return 0, err
	}
	var attachment struct{ ID int }
	err = decodeAjax("uploading "+file.Name, resp.Body, &attachment)
	return attachment.ID, err
}

// UploadMultiFile uploads like the multi-file uploader of media-new.php, which
// then asks for the new item's row.
func (c *Client) UploadMultiFile(ctx context.Context, file sample.File) (int, error) {
	resp, err := c.PostFile(ctx, "/wp-admin/async-upload.php", nil, [][2]string{
		{"name", file.Name}, {"post_id", "0"}, {"_wpnonce", c.nonces().form}, {"type", ""}, {"tab", ""}, {"short", "1"},
	}, "async-upload", file, http.StatusOK)
	if err != nil {
		return 0, err
	}
	id, err := strconv.Atoi(strings.TrimSpace(string(resp.Body)))
	if err != nil {
		return 0, fmt.Errorf("uploading %s: answer %.500s: %w", file.Name, resp.Body, err)
	}
	_, err = c.PostForm(ctx, "/wp-admin/async-upload.php", url.Values{"attachment_id": {strconv.Itoa(id)}, "fetch": {"3"}}, http.StatusOK)
	return id, err
}

// UploadForm uploads like the form for browsers without JavaScript.
func (c *Client) UploadForm(ctx context.Context, file sample.File) (int, error) {
	if _, err := c.PostFile(ctx, "/wp-admin/media-new.php?browser-uploader", nil, [][2]string{
		{"post_id", "0"}, {"_wpnonce", c.nonces().form}, {"_wp_http_referer", "/wp-admin/media-new.php?browser-uploader"}, {"html-upload", "Upload"},
	}, "async-upload", file, http.StatusFound); err != nil {
		return 0, err
	}
	// The answer does not say which attachment it made.
	newest, err := c.Attachments(ctx, 1)
	if err != nil {
		return 0, err
	}
	if len(newest) == 0 {
		return 0, fmt.Errorf("uploading %s: no attachment was made", file.Name)
	}
	return newest[0].ID, nil
}

// UploadREST uploads like the block editor.
func (c *Client) UploadREST(ctx context.Context, file sample.File) (int, error) {
	header := http.Header{"X-Wp-Nonce": {c.nonces().rest}}
	resp, err := c.PostFile(ctx, "/wp-json/wp/v2/media?_locale=user", header, nil, "file", file, http.StatusCreated)
	if err != nil {
		return 0, err
	}
	return idOf(resp)
}

// UploadRESTRaw uploads like API clients: the body is the file.
func (c *Client) UploadRESTRaw(ctx context.Context, file sample.File) (int, error) {
	resp, err := c.Do(ctx, http.MethodPost, "/wp-json/wp/v2/media", http.Header{
		"X-Wp-Nonce":          {c.nonces().rest},
		"Content-Type":        {file.Type},
		"Content-Disposition": {`attachment; filename="` + file.Name + `"`},
	}, bytes.NewReader(file.Content), http.StatusCreated)
	if err != nil {
		return 0, fmt.Errorf("uploading %s: %w", file.Name, err)
	}
	return idOf(resp)
}

// idOf takes the id of a created attachment from its Location.
func idOf(resp *web.Response) (int, error) {
	id, err := strconv.Atoi(path.Base(resp.Header.Get("Location")))
	if err != nil {
		return 0, fmt.Errorf("reading the new attachment's id from Location %q: %w", resp.Header.Get("Location"), err)
	}
	return id, nil
}

var xmlrpcID = regexp.MustCompile(`<name>attachment_id</name>\s*<value><string>(\d+)</string>`)

// UploadXMLRPC uploads like desktop and mobile clients.
func (c *Client) UploadXMLRPC(ctx context.Context, file sample.File) (int, error) {
	var name bytes.Buffer
	if err := xml.EscapeText(&name, []byte(file.Name)); err != nil {
		return 0, fmt.Errorf("uploading %s: %w", file.Name, err)
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, `<?xml version="1.0"?><methodCall><methodName>wp.uploadFile</methodName><params>`+
		`<param><value><int>1</int></value></param><param><value><string>%s</string></value></param><param><value><string>%s</string></value></param>`+
		`<param><value><struct><member><name>name</name><value><string>%s</string></value></member>`+
		`<member><name>type</name><value><string>%s</string></value></member><member><name>bits</name><value><base64>`,
		c.user, c.password, name.String(), file.Type)
	encoder := base64.NewEncoder(base64.StdEncoding, &body)
	_, _ = encoder.Write(file.Content) // a Buffer takes everything
	encoder.Close()
	body.WriteString(`</base64></value></member></struct></value></param></params></methodCall>`)
	resp, err := c.Do(ctx, http.MethodPost, "/xmlrpc.php", http.Header{"Content-Type": {"text/xml"}}, &body, http.StatusOK)
	if err != nil {
		return 0, fmt.Errorf("uploading %s: %w", file.Name, err)
	}
	match := xmlrpcID.FindSubmatch(resp.Body)
	if match == nil {
		return 0, fmt.Errorf("uploading %s by XML-RPC: answer %.500s", file.Name, resp.Body)
	}
	return strconv.Atoi(string(match[1]))
}

// UploadFontFace adds a file to a family of the font library, as the site editor
// does, and returns its URL. settings names the file "file-0".
func (c *Client) UploadFontFace(ctx context.Context, family int, settings string, file sample.File) (string, error) {
	header := http.Header{"X-Wp-Nonce": {c.nonces().rest}}
	resp, err := c.PostFile(ctx, fmt.Sprintf("/wp-json/wp/v2/font-families/%d/font-faces", family), header,
		[][2]string{{"font_face_settings", settings}}, "file-0", file, http.StatusCreated)
	if err != nil {
		return "", err
	}
	var face struct {
		Settings struct {
			Src string `json:"src"`
		} `json:"font_face_settings"`
	}
	if err := json.Unmarshal(resp.Body, &face); err != nil {
		return "", fmt.Errorf("uploading %s: answer %.500s: %w", file.Name, resp.Body, err)
	}
	return face.Settings.Src, nil
}
