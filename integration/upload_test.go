//go:build integration

package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// TestUpload uploads each kind of file by each way there is; the client checks
// promise 1 after each answer.
func TestUpload(t *testing.T) {
	for i, store := range allStores {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			testUpload(t, worldOptions{store: store}, i)
		})
	}
}

// TestUploadTmpDirElsewhere has PHP's upload_tmp_dir on another file system,
// so that PHP copies an upload where it renames it otherwise.
func TestUploadTmpDirElsewhere(t *testing.T) {
	t.Parallel()
	tmp := must1(os.MkdirTemp("/dev/shm", "media-offload-"))(t)
	t.Cleanup(func() { os.RemoveAll(tmp) })
	must(t, os.Chmod(tmp, 0o777))
	if device(t, tmp) == device(t, shared.env.Dir) {
		t.Skip("this machine has no second file system: /dev/shm is none")
	}
	testUpload(t, worldOptions{store: onVersitygw, php: env.PHPOptions{UploadTmpDir: tmp}}, 0)
}

// testUpload uploads by all ways. Large files take seconds each, so in a short
// run each way sees them on one of the three stores only: turn says which.
func testUpload(t *testing.T, opts worldOptions, turn int) {
	ctx := within(t, 10*time.Minute)
	w := newWorld(t, opts)
	client := w.login(ctx)

	photo := sample.JPEG("Kleines Bild (1) & mehr.jpg", 2, 1)
	large := sample.JPEG("Großes Bild (1) & mehr.jpg", 12, 1)
	video := sample.MP4("Führung.mp4", 100<<20, 1)
	for i, way := range wp.Ways {
		files := len(must1(check.Files(w.site.Uploads()))(t))
		upload := func(file sample.File, want int) (id int) {
			t.Helper()
			id, err := way.Upload(client, ctx, file)
			if err != nil {
				t.Fatalf("%s: %v", way.Name, err)
			}
			files += want
			if now := len(must1(check.Files(w.site.Uploads()))(t)); now != files {
				t.Fatalf("%s of %s: %d files, want %d", way.Name, file.Name, now, files)
			}
			return id
		}
		upload(sample.PNG("Übersicht 😀 neu.png", 800, 600, uint64(i)), 4)
		upload(sample.PDF("Preisliste 2026 – ä.pdf", uint64(i)), 1)
		if !soak && i%3 != turn {
			upload(photo, 6)
			continue
		}
		upload(large, 8)
		// PHP's XML-RPC would need the file's size several times over in memory.
		if way.Name != "XML-RPC" {
			must(t, client.DeleteREST(ctx, upload(video, 1)))
		}
	}

	// The first upload of a month makes folders.
	draft := must1(client.Draft(ctx, "Old", "2021-02-03T04:05:06"))(t)
	old := must1(client.UploadToPost(ctx, sample.JPEG("old.jpg", 2, 9), draft.ID))(t)
	if item := must1(client.Attachment(ctx, old))(t); !strings.Contains(item.URL, "/2021/02/") {
		t.Errorf("the upload to an old article is at %s", item.URL)
	}
	w.noLeftovers(ctx)
}

func device(t *testing.T, path string) uint64 {
	t.Helper()
	var stat syscall.Stat_t
	must(t, syscall.Stat(path, &stat))
	return stat.Dev
}
