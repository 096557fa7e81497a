//go:build integration

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// TestPlainSite shows that the ground is right: every operation of the client
// does to a WordPress behind a Caddy without the module what the other tests
// take for granted.
func TestPlainSite(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	e := newEnv(t)
	php := must1(e.PHP(env.PHPOptions{}))(t)
	site := must1(e.WordPress(shared.db, php, env.SiteOptions{URL: address(t), Name: "plain"}))(t)
	binary := must1(env.Tool("caddy"))(t)
	must1(e.Caddy(env.CaddyOptions{Binary: binary, Sites: site.Serve("", site.URL)}))(t)
	client := login(t, ctx, site)

	count := func() int { return len(must1(check.Files(site.Uploads()))(t)) }
	expect := func(what string, want int) {
		t.Helper()
		if got := count(); got != want {
			t.Fatalf("%s: %d files, want %d: %v", what, got, want, must1(check.Files(site.Uploads()))(t))
		}
	}
	files := 0
	ids := map[string]int{}
	for i, way := range wp.Ways {
		id := must1(way.Upload(client, ctx, sample.JPEG("Föhn 😀 am See.jpg", 2, uint64(i))))(t)
		files += 6
		expect(way.Name, files)
		ids[way.Name] = id
		item := must1(client.Attachment(ctx, id))(t)
		if !strings.HasPrefix(item.URL, site.MediaURL()) {
			t.Errorf("%s: URL %s is not below %s", way.Name, item.URL, site.MediaURL())
		}
	}
	for _, file := range []sample.File{sample.PDF("a b.pdf", 1), sample.MP4("clip.mp4", 5<<20, 1)} {
		must1(client.UploadGrid(ctx, file))(t)
		files++
		expect(file.Name, files)
	}
	id := ids["media grid"]
	must(t, client.Crop(ctx, id, 10, 10, 200, 150))
	if now := count(); now <= files {
		t.Fatalf("crop wrote no file")
	}
	must(t, client.Rotate(ctx, id))
	must(t, client.Restore(ctx, id))
	if preview := must1(client.Preview(ctx, id))(t); !strings.HasPrefix(preview.Header.Get("Content-Type"), "image/") {
		t.Errorf("preview: %v %.100s", preview.Header, preview.Body)
	}
	before := count()
	must1(client.EditREST(ctx, id))(t)
	if now := count(); now <= before {
		t.Fatalf("REST edit wrote no file")
	}
	before = count()
	icon := must1(client.UploadREST(ctx, sample.PNG("icon.png", 600, 600, 1)))(t)
	must1(client.SiteIcon(ctx, icon))(t)
	if now := count(); now < before+8 {
		t.Fatalf("site icon: %d files, %d before", now, before)
	}
	must1(client.Query(ctx))(t)

	var images []*wp.Attachment
	for _, item := range must1(client.Attachments(ctx, 3))(t) {
		images = append(images, &item)
	}
	post := must1(client.Publish(ctx, "Gallery", wp.Gallery(images), images[0].ID))(t)
	if page := must1(client.Get(ctx, strings.TrimPrefix(post.Link, site.URL)))(t); !strings.Contains(string(page.Body), "<img") {
		t.Errorf("the article has no image: %.2000s", page.Body)
	}
	db := must1(shared.db.Open(site.Database))(t)
	defer db.Close()
	if found := must1(wp.FindInDatabase(ctx, db, site.MediaURL()))(t); len(found) == 0 {
		t.Error("the local URL is nowhere in the database")
	}

	remove := func(what string, f func() error) {
		t.Helper()
		before := count()
		must(t, f())
		if now := count(); now > before-6 {
			t.Errorf("delete by %s left files: %d of %d", what, now, before)
		}
	}
	remove("ajax", func() error { return client.DeleteAjax(ctx, ids["multi-file"]) })
	remove("REST", func() error { return client.DeleteREST(ctx, ids["browser form"]) })
	remove("link", func() error { return client.DeleteLink(ctx, ids["REST multipart"]) })
	remove("bulk", func() error { return client.DeleteBulk(ctx, ids["REST raw body"], ids["XML-RPC"]) })

	out := must1(site.Run(site.Load() + `echo get_option('siteurl');`))(t)
	if out != site.URL {
		t.Errorf("PHP from the command line: %q", out)
	}
	if resp := must1(http.Get(site.URL + "/wp-content/uploads/none.jpg"))(t); resp.Body.Close() != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("a missing file: %s", resp.Status)
	}
}
