package wp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/media-offload/caddy-media-offload/integration/web"
)

// Attachment is an item of the media library as the REST API tells it to
// editors.
type Attachment struct {
	ID    int    `json:"id"`
	URL   string `json:"source_url"`
	Type  string `json:"mime_type"`
	Title struct {
		Raw string `json:"raw"`
	} `json:"title"`
	Details struct {
		Width  int    `json:"width"`
		Height int    `json:"height"`
		File   string `json:"file"`
		Sizes  map[string]struct {
			URL string `json:"source_url"`
		} `json:"sizes"`
	} `json:"media_details"`
}

// Attachment looks up an item of the media library.
func (c *Client) Attachment(ctx context.Context, id int) (*Attachment, error) {
	var a Attachment
	err := c.REST(ctx, http.MethodGet, fmt.Sprintf("/wp/v2/media/%d?context=edit", id), nil, &a)
	return &a, err
}

// Attachments lists the newest n items, at most 100, the newest first.
func (c *Client) Attachments(ctx context.Context, n int) ([]Attachment, error) {
	var list []Attachment
	err := c.REST(ctx, http.MethodGet, fmt.Sprintf("/wp/v2/media?context=edit&orderby=id&order=desc&per_page=%d", n), nil, &list)
	return list, err
}

// Query lists items as the media grid does.
func (c *Client) Query(ctx context.Context) (*web.Response, error) {
	return c.PostForm(ctx, "/wp-admin/admin-ajax.php", url.Values{
		"action": {"query-attachments"}, "post_id": {"0"},
		"query[orderby]": {"date"}, "query[order]": {"DESC"}, "query[posts_per_page]": {"80"}, "query[paged]": {"1"},
	}, http.StatusOK)
}

// itemNonces fetches the nonces for one item.
func (c *Client) itemNonces(ctx context.Context, id int) (edit, remove string, err error) {
	var item struct {
		Nonces struct{ Update, Delete, Edit string }
	}
	err = c.ajax(ctx, url.Values{"action": {"get-attachment"}, "id": {strconv.Itoa(id)}}, &item)
	return item.Nonces.Edit, item.Nonces.Delete, err
}

// Crop cuts an image down to a part of it, in the image editor of the media
// library. The part is given in pixels of the image as the editor shows it, at
// most 600 wide and high (400 for older versions).
func (c *Client) Crop(ctx context.Context, id, x, y, width, height int) error {
	return c.editImage(ctx, id, "save", fmt.Sprintf(`[{"c":{"x":%d,"y":%d,"w":%d,"h":%d}}]`, x, y, width, height))
}

// Rotate turns an image by 90 degrees.
func (c *Client) Rotate(ctx context.Context, id int) error {
	return c.editImage(ctx, id, "save", `[{"r":90}]`)
}

// Restore brings back the image as it was before Crop and Rotate.
func (c *Client) Restore(ctx context.Context, id int) error {
	return c.editImage(ctx, id, "restore", "")
}

func (c *Client) editImage(ctx context.Context, id int, do, history string) error {
	nonce, _, err := c.itemNonces(ctx, id)
	if err != nil {
		return err
	}
	return c.ajax(ctx, url.Values{
		"action": {"image-editor"}, "_ajax_nonce": {nonce}, "postid": {strconv.Itoa(id)},
		"do": {do}, "history": {history}, "target": {"all"}, "context": {""},
	}, nil)
}

// Preview fetches the picture that the image editor shows.
func (c *Client) Preview(ctx context.Context, id int) (*web.Response, error) {
	nonce, _, err := c.itemNonces(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.Get(ctx, "/wp-admin/admin-ajax.php?"+url.Values{
		"action": {"imgedit-preview"}, "_ajax_nonce": {nonce}, "postid": {strconv.Itoa(id)}, "rand": {"1"},
	}.Encode())
}

// EditREST crops an image like the block editor, in percent of its size, and
// returns the id of the new attachment.
func (c *Client) EditREST(ctx context.Context, id int) (int, error) {
	item, err := c.Attachment(ctx, id)
	if err != nil {
		return 0, err
	}
	var edited struct{ ID int }
	err = c.REST(ctx, http.MethodPost, fmt.Sprintf("/wp/v2/media/%d/edit", id), map[string]any{
		"src": item.URL,
		"modifiers": []any{
			map[string]any{"type": "crop", "args": map[string]any{"left": 10, "top": 10, "width": 60, "height": 60}},
		},
	}, &edited)
	return edited.ID, err
}

// SiteIcon crops an image to a site icon and returns the id of the new
// attachment.
func (c *Client) SiteIcon(ctx context.Context, id int) (int, error) {
	nonce, _, err := c.itemNonces(ctx, id)
	if err != nil {
		return 0, err
	}
	var icon struct{ ID int }
	err = c.ajax(ctx, url.Values{
		"action": {"crop-image"}, "nonce": {nonce}, "id": {strconv.Itoa(id)}, "context": {"site-icon"},
		"cropDetails[x1]": {"0"}, "cropDetails[y1]": {"0"},
		"cropDetails[width]": {"512"}, "cropDetails[height]": {"512"},
		"cropDetails[dst_width]": {"512"}, "cropDetails[dst_height]": {"512"},
	}, &icon)
	return icon.ID, err
}

// DeleteAjax deletes an item like the media grid.
func (c *Client) DeleteAjax(ctx context.Context, id int) error {
	_, nonce, err := c.itemNonces(ctx, id)
	if err != nil {
		return err
	}
	resp, err := c.PostForm(ctx, "/wp-admin/admin-ajax.php", url.Values{
		"action": {"delete-post"}, "id": {strconv.Itoa(id)}, "_wpnonce": {nonce},
	}, http.StatusOK)
	if err != nil {
		return err
	}
	if string(resp.Body) != "1" {
		return fmt.Errorf("deleting item %d: answer %.500s", id, resp.Body)
	}
	return nil
}

// DeleteREST deletes an item through the REST API.
func (c *Client) DeleteREST(ctx context.Context, id int) error {
	return c.REST(ctx, http.MethodDelete, fmt.Sprintf("/wp/v2/media/%d?force=true", id), nil, nil)
}

// DeleteLink deletes an item by following the "Delete permanently" link, which
// is a GET.
func (c *Client) DeleteLink(ctx context.Context, id int) error {
	_, nonce, err := c.itemNonces(ctx, id)
	if err != nil {
		return err
	}
	_, err = c.Do(ctx, http.MethodGet, "/wp-admin/post.php?"+url.Values{
		"action": {"delete"}, "post": {strconv.Itoa(id)}, "_wpnonce": {nonce},
	}.Encode(), nil, nil, http.StatusFound)
	return err
}

var bulkNonce = regexp.MustCompile(`name="_wpnonce" value="([0-9a-f]+)"`)

// DeleteBulk deletes items by the list's bulk action, which is a GET form.
func (c *Client) DeleteBulk(ctx context.Context, ids ...int) error {
	nonce, err := c.nonceOn(ctx, "/wp-admin/upload.php?mode=list", bulkNonce)
	if err != nil {
		return err
	}
	query := url.Values{"action": {"delete"}, "_wpnonce": {nonce}, "mode": {"list"}}
	for _, id := range ids {
		query.Add("media[]", strconv.Itoa(id))
	}
	_, err = c.Do(ctx, http.MethodGet, "/wp-admin/upload.php?"+query.Encode(), nil, nil, http.StatusFound)
	return err
}
