//go:build integration

package integration

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// replacePlugin does what plugins for replacing media do: it puts other
// content under the name of an attachment, and makes its sizes again.
const replacePlugin = `<?php
add_action('wp_ajax_replace_media', function () {
	require_once ABSPATH . 'wp-admin/includes/image.php';
	$id = (int) $_POST['id'];
	$file = get_attached_file($id);
	foreach (wp_get_attachment_metadata($id)['sizes'] as $size) {
		unlink(dirname($file) . '/' . $size['file']);
	}
	unlink($file);
	$image = imagecreatetruecolor(1600, 1200);
	imagefill($image, 0, 0, imagecolorallocate($image, 10, 200, 30));
	imagejpeg($image, $file);
	wp_update_attachment_metadata($id, wp_generate_attachment_metadata($id, $file));
	wp_send_json_success();
});
`

// deleteWays are the ways to delete items. background marks those that are GET
// requests, after which the bucket may lag ("committed in the background
// within a second or two").
var deleteWays = []struct {
	name       string
	background bool
	remove     func(c *wp.Client, ctx context.Context, ids []int) error
}{
	{"ajax", false, each((*wp.Client).DeleteAjax)},
	{"REST", false, each((*wp.Client).DeleteREST)},
	{"link", true, each((*wp.Client).DeleteLink)},
	{"bulk", true, func(c *wp.Client, ctx context.Context, ids []int) error { return c.DeleteBulk(ctx, ids...) }},
}

func each(remove func(*wp.Client, context.Context, int) error) func(*wp.Client, context.Context, []int) error {
	return func(c *wp.Client, ctx context.Context, ids []int) error {
		for _, id := range ids {
			if err := remove(c, ctx, id); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestEdit edits and deletes; the client checks promise 1 after each answer.
func TestEdit(t *testing.T) {
	for _, store := range allStores {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			testEdit(t, store)
		})
	}
}

func testEdit(t *testing.T, store store) {
	ctx := within(t, 5*time.Minute)
	w := newWorld(t, worldOptions{store: store})
	must(t, os.WriteFile(filepath.Join(w.site.Dir, "wp-content/mu-plugins/replace.php"), []byte(replacePlugin), 0o644))
	client := w.login(ctx)

	changes := func(what string, operation func() error) {
		t.Helper()
		before := must1(w.bucket.Objects(ctx))(t)
		if err := operation(); err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if fmt.Sprint(must1(w.bucket.Objects(ctx))(t)) == fmt.Sprint(before) {
			t.Errorf("%s changed nothing in the bucket", what)
		}
	}
	photo := must1(client.UploadGrid(ctx, sample.JPEG("photo.jpg", 2, 1)))(t)
	changes("crop", func() error { return client.Crop(ctx, photo, 20, 20, 200, 150) })
	changes("rotate", func() error { return client.Rotate(ctx, photo) })
	must(t, client.Restore(ctx, photo))
	changes("REST edit", func() error { _, err := client.EditREST(ctx, photo); return err })
	icon := must1(client.UploadREST(ctx, sample.PNG("icon.png", 600, 600, 1)))(t)
	changes("site icon", func() error { _, err := client.SiteIcon(ctx, icon); return err })
	changes("replace", func() error {
		_, err := client.PostForm(ctx, "/wp-admin/admin-ajax.php", url.Values{"action": {"replace_media"}, "id": {strconv.Itoa(photo)}})
		return err
	})

	for _, way := range deleteWays {
		var ids []int
		for i := range 2 {
			ids = append(ids, must1(client.UploadGrid(ctx, sample.JPEG(fmt.Sprintf("%s %d.jpg", way.name, i), 2, uint64(i))))(t))
		}
		before := len(must1(check.Files(w.site.Uploads()))(t))
		deleter := client
		if way.background {
			deleter = login(t, ctx, w.site) // one that does not check at once
		}
		if err := way.remove(deleter, ctx, ids); err != nil {
			t.Errorf("delete by %s: %v", way.name, err)
		}
		if now := len(must1(check.Files(w.site.Uploads()))(t)); now != before-12 {
			t.Errorf("delete by %s: %d files before, %d after", way.name, before, now)
		}
		if way.background {
			// Promise 1: "What is written outside such requests (cron, command
			// line, FTP, a GET that makes a thumbnail […]) is committed in the
			// background within a second or two."
			w.equalWithin(ctx, "delete by "+way.name, 2*time.Second)
		}
	}
	must(t, client.DeleteREST(ctx, photo))
	w.noLeftovers(ctx)
}
