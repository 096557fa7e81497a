package joomla

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/media-offload/caddy-media-offload/integration/web"
)

// Article is an article as its form holds it.
type Article struct {
	ID    int // 0: a new one
	Title string
	Text  string
	// Intro is the field of the picture on lists:
	// "images/a.jpg#joomlaImage://local-images/a.jpg?width=1&height=1".
	Intro string
	// Full is the field of the picture above the text.
	Full string
}

// ImageField is what the picker of pictures puts into the form for a file,
// whose path is below images/ and decoded.
func ImageField(path string, width, height int) string {
	escaped := (&url.URL{Path: path}).EscapedPath()
	return fmt.Sprintf("images/%s#joomlaImage://local-images/%s?width=%d&height=%d", escaped, path, width, height)
}

// EditPage reads the form of an article.
func (c *Client) EditPage(ctx context.Context, id int) (*web.Response, error) {
	task := "&task=article.add"
	if id != 0 {
		task = "&task=article.edit&id=" + strconv.Itoa(id)
	}
	return c.Follow(ctx, adminPage+"?option=com_content"+task)
}

// Save fills the form of an article in and sends it. It returns the article's
// id.
func (c *Client) Save(ctx context.Context, article Article) (int, error) {
	fail := func(err error) (int, error) { return 0, fmt.Errorf("saving article %q: %w", article.Title, err) }
	page, err := c.EditPage(ctx, article.ID)
	if err != nil {
		return fail(err)
	}
	form, err := web.FormWith(page.Body, "jform[articletext]")
	if err != nil {
		return fail(err)
	}
	for field, value := range map[string]string{
		"jform[title]":                  article.Title,
		"jform[articletext]":            article.Text,
		"jform[images][image_intro]":    article.Intro,
		"jform[images][image_fulltext]": article.Full,
		"jform[state]":                  "1",
		"jform[featured]":               "1",
		"task":                          "article.apply",
	} {
		form.Values.Set(field, value)
	}
	page, err = c.submit(ctx, adminPage+"?option=com_content&layout=edit&id="+strconv.Itoa(article.ID), form)
	if err != nil {
		return fail(err)
	}
	if form, err = web.FormWith(page.Body, "jform[articletext]"); err != nil {
		return fail(err)
	}
	id, err := strconv.Atoi(form.Values.Get("jform[id]"))
	if err != nil || id == 0 {
		return fail(fmt.Errorf("refused: %.5000s", page.Body))
	}
	return id, nil
}
