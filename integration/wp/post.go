package wp

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
)

// Post is an article as the REST API tells it to editors.
type Post struct {
	ID      int    `json:"id"`
	Link    string `json:"link"`
	Content struct {
		Raw      string `json:"raw"`
		Rendered string `json:"rendered"`
	} `json:"content"`
}

// Publish makes a public article. featured is the id of its image, 0 for none.
func (c *Client) Publish(ctx context.Context, title, content string, featured int) (*Post, error) {
	var p Post
	err := c.REST(ctx, http.MethodPost, "/wp/v2/posts", map[string]any{
		"title": title, "content": content, "status": "publish", "featured_media": featured,
	}, &p)
	return &p, err
}

// Draft makes an article of the given date ("2025-03-04T05:06:07"), not public.
func (c *Client) Draft(ctx context.Context, title, date string) (*Post, error) {
	var p Post
	err := c.REST(ctx, http.MethodPost, "/wp/v2/posts", map[string]any{"title": title, "date": date, "status": "draft"}, &p)
	return &p, err
}

// Post reads an article as the editor does, with its content as stored.
func (c *Client) Post(ctx context.Context, id int) (*Post, error) {
	var p Post
	err := c.REST(ctx, http.MethodGet, fmt.Sprintf("/wp/v2/posts/%d?context=edit", id), nil, &p)
	return &p, err
}

// Gallery is the block editor's markup of a gallery.
func Gallery(images []*Attachment) string {
	var b strings.Builder
	b.WriteString("<!-- wp:gallery {\"linkTo\":\"media\"} -->\n<figure class=\"wp-block-gallery has-nested-images columns-default is-cropped\">")
	for _, image := range images {
		src := image.URL
		if large, ok := image.Details.Sizes["large"]; ok {
			src = large.URL
		}
		fmt.Fprintf(&b, "<!-- wp:image {\"id\":%d,\"sizeSlug\":\"large\",\"linkDestination\":\"media\"} -->\n"+
			"<figure class=\"wp-block-image size-large\"><a href=\"%s\"><img src=\"%s\" alt=\"\" class=\"wp-image-%d\"/></a></figure>\n<!-- /wp:image -->\n",
			image.ID, image.URL, src, image.ID)
	}
	b.WriteString("</figure>\n<!-- /wp:gallery -->")
	return b.String()
}

// FindInDatabase names the columns, as "table.column", in which some row
// contains text.
func FindInDatabase(ctx context.Context, db *sql.DB, text string) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = DATABASE() AND data_type IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext')`)
	if err != nil {
		return nil, fmt.Errorf("listing columns: %w", err)
	}
	defer rows.Close()
	var columns [][2]string
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, fmt.Errorf("listing columns: %w", err)
		}
		columns = append(columns, [2]string{table, column})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing columns: %w", err)
	}
	var found []string
	for _, c := range columns {
		var n int
		query := "SELECT COUNT(*) FROM `" + c[0] + "` WHERE LOCATE(?, `" + c[1] + "`) > 0"
		if err := db.QueryRowContext(ctx, query, text).Scan(&n); err != nil {
			return nil, fmt.Errorf("searching %s.%s: %w", c[0], c[1], err)
		}
		if n > 0 {
			found = append(found, c[0]+"."+c[1])
		}
	}
	return found, nil
}
