package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/media-offload/caddy-media-offload/integration/sample"
)

// PostFile sends fields and one file as browsers do: the file name is
// UTF-8 as it is, only quotes and line ends are escaped (HTML standard,
// "multipart/form-data encoding algorithm").
func (c *Client) PostFile(ctx context.Context, path string, header http.Header, fields [][2]string, field string, file sample.File, want int) (*Response, error) {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	for _, f := range fields {
		if err := form.WriteField(f[0], f[1]); err != nil {
			return nil, fmt.Errorf("uploading %s: %w", file.Name, err)
		}
	}
	escaped := strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(file.Name)
	if _, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="` + field + `"; filename="` + escaped + `"`},
		"Content-Type":        {file.Type},
	}); err != nil {
		return nil, fmt.Errorf("uploading %s: %w", file.Name, err)
	}
	before := head.Len()
	if err := form.Close(); err != nil {
		return nil, fmt.Errorf("uploading %s: %w", file.Name, err)
	}
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", form.FormDataContentType())
	start, end := head.Bytes()[:before], head.Bytes()[before:]
	length := len(start) + len(file.Content) + len(end)
	// PHP wants to know the length; a MultiReader alone would be sent chunked.
	header.Set("Content-Length", strconv.Itoa(length))
	body := io.MultiReader(bytes.NewReader(start), bytes.NewReader(file.Content), bytes.NewReader(end))
	resp, err := c.Do(ctx, http.MethodPost, path, header, body, want)
	if err != nil {
		return resp, fmt.Errorf("uploading %s: %w", file.Name, err)
	}
	return resp, nil
}
