//go:build integration

package integration

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/sample"
)

// sideload is PHP code that adds a picture to the media library from the
// command line, as importers and scheduled tasks do.
const sideload = `
require_once ABSPATH . 'wp-admin/includes/image.php';
$image = imagecreatetruecolor(1600, 1200);
$upload = wp_upload_dir();
$file = $upload['path'] . '/' . wp_unique_filename($upload['path'], 'imported.jpg');
imagejpeg($image, $file);
$id = wp_insert_attachment(['post_mime_type' => 'image/jpeg', 'post_title' => 'imported', 'post_status' => 'inherit'], $file);
wp_update_attachment_metadata($id, wp_generate_attachment_metadata($id, $file));
echo $id;
`

// thumbOnGet is a plugin that makes a thumbnail when a page is viewed.
const thumbOnGet = `<?php
add_action('init', function () {
	if (isset($_GET['thumb'])) {
		$dir = wp_upload_dir()['path'] . '/thumbs';
		wp_mkdir_p($dir);
		file_put_contents($dir . '/made-on-get.webp', str_repeat('thumbnail', 1000));
		exit('made');
	}
});
`

// TestBackground writes media with no request running, or in a GET.
//
// Promise 1: "What is written outside such requests (cron, command line, FTP,
// a GET that makes a thumbnail […]) is committed in the background within a second
// or two."
func TestBackground(t *testing.T) {
	for _, store := range []store{onVersitygw, onFile} {
		t.Run(string(store), func(t *testing.T) { testBackground(t, store) })
	}
}

func testBackground(t *testing.T, store store) {
	ctx := within(t, 2*time.Minute)
	w := newWorld(t, worldOptions{store: store})
	uploads := w.site.Uploads()
	must(t, os.WriteFile(filepath.Join(w.site.Dir, "wp-content/mu-plugins/thumb.php"), []byte(thumbOnGet), 0o644))
	write := func(name string, content []byte) {
		t.Helper()
		path := filepath.Join(uploads, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, content, 0o644))
	}

	for _, step := range []struct {
		name string
		do   func()
	}{
		{"command line", func() { must1(w.site.Run(w.site.Load() + sideload))(t) }},
		{"scheduled task", func() {
			must1(w.site.Run(w.site.Load() + `add_action('my_import', function () {` + sideload + `}); wp_schedule_single_event(time() - 1, 'my_import');
				define('DOING_CRON', true); foreach (wp_get_ready_cron_jobs() as $hooks) { foreach ($hooks as $hook => $events) { do_action($hook); } }`))(t)
		}},
		{"file by FTP", func() { write("2026/11/ftp.jpg", sample.JPEG("ftp.jpg", 1, 1).Content) }},
		{"file by FTP under a temporary name", func() {
			write("2026/11/.in.scan.jpg.", sample.JPEG("scan.jpg", 1, 2).Content)
			must(t, os.Rename(filepath.Join(uploads, "2026/11/.in.scan.jpg."), filepath.Join(uploads, "2026/11/scan.jpg")))
		}},
		{"file that grows", func() {
			f := must1(os.Create(filepath.Join(uploads, "growing.mp4")))(t)
			defer f.Close()
			chunk := sample.MP4("", 256<<10, 1).Content
			for range 20 {
				must1(f.Write(chunk))(t)
			}
		}},
		{"the same file again", func() { write("2026/11/ftp.jpg", sample.JPEG("ftp.jpg", 1, 3).Content) }},
		{"deep folders", func() {
			for i := range 50 {
				write(strings.Repeat("sub/", 1+i%10)+string(rune('a'+i%26))+".css", []byte(strings.Repeat("x", i)))
			}
		}},
		{"folder from elsewhere", func() {
			dir := must1(os.MkdirTemp(w.env.Dir, "import-"))(t)
			for _, name := range []string{"a.jpg", "b/c.jpg"} {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
			}
			must(t, os.Rename(dir, filepath.Join(uploads, "import")))
		}},
		{"GET that makes a thumbnail", func() {
			if got := get(t, ctx, w.site.URL+"/?thumb"); string(got) != "made" {
				t.Errorf("the plugin says %q", got)
			}
		}},
	} {
		before := len(must1(w.bucket.Objects(ctx))(t))
		step.do()
		w.equalWithin(ctx, step.name, 2*time.Second)
		if now := len(must1(w.bucket.Objects(ctx))(t)); now <= before && step.name != "the same file again" {
			t.Errorf("%s: %d objects before, %d after", step.name, before, now)
		}
	}
	w.removeByHand(ctx)
}

// removeByHand removes a file with no request running, and takes it back.
//
// Promise 8: "What a process deletes while the module watches is deleted: by a
// request at once, otherwise by way of the trash, from which it can be taken back".
func (w *world) removeByHand(ctx context.Context) {
	w.t.Helper()
	const name = "2026/11/scan.jpg"
	path := filepath.Join(w.site.Uploads(), name)
	content := must1(os.ReadFile(path))(w.t)
	w.settle(ctx)
	must(w.t, os.Remove(path))
	w.equalWithin(ctx, "removed by hand", 10*time.Second)
	must1(w.caddy.Command(ctx, "media-offload", "trash", "restore", name))(w.t)
	w.equalWithin(ctx, "taken back", 10*time.Second)
	if got := must1(os.ReadFile(path))(w.t); !bytes.Equal(got, content) {
		w.t.Errorf("%s was taken back with %d bytes, had %d", name, len(got), len(content))
	}
}

// TestBackgroundDeletes removes files by hand.
func TestBackgroundDeletes(t *testing.T) {
	ctx := within(t, time.Minute)
	w := newWorld(t, worldOptions{store: onFile})
	uploads := w.site.Uploads()
	for _, name := range []string{"a.jpg", "b.jpg", "dir/c.jpg", "dir/sub/d.jpg"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(uploads, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(uploads, name), []byte(name), 0o644))
	}
	w.equalWithin(ctx, "write", 2*time.Second)
	must(t, os.Remove(filepath.Join(uploads, "a.jpg")))
	w.equalWithin(ctx, "remove", 10*time.Second)
	must(t, os.Rename(filepath.Join(uploads, "b.jpg"), filepath.Join(uploads, "e.jpg")))
	w.equalWithin(ctx, "rename", 10*time.Second)
	must(t, os.Rename(filepath.Join(uploads, "dir"), filepath.Join(uploads, "other")))
	w.equalWithin(ctx, "rename a folder", 10*time.Second)
	must(t, os.RemoveAll(filepath.Join(uploads, "other")))
	w.equalWithin(ctx, "remove a folder", 10*time.Second)
	if files := must1(check.Files(uploads))(t); len(files) != 1 {
		t.Errorf("left: %v", files)
	}
}

// waitObject waits up to ten seconds until the object is there.
func (w *world) waitObject(ctx context.Context, key string) {
	w.t.Helper()
	waitFor(w.t, 10*time.Second, "object "+key, func() bool {
		_, found := must1(w.bucket.Objects(ctx))(w.t)[key]
		return found
	})
}
