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
	for _, store := range allStores {
		t.Run(string(store), func(t *testing.T) {
			testUpload(t, worldOptions{store: store}, "")
		})
	}
}

// TestUploadTmpDirElsewhere has PHP's upload_tmp_dir on another file system,
// so that PHP copies an upload where it renames it otherwise.
func TestUploadTmpDirElsewhere(t *testing.T) {
	tmp := must1(os.MkdirTemp("/dev/shm", "media-offload-"))(t)
	t.Cleanup(func() { os.RemoveAll(tmp) })
	must(t, os.Chmod(tmp, 0o777))
	testUpload(t, worldOptions{store: onVersitygw, php: env.PHPOptions{UploadTmpDir: tmp}}, tmp)
}

func testUpload(t *testing.T, opts worldOptions, elsewhere string) {
	ctx := within(t, 5*time.Minute)
	w := newWorld(t, opts)
	if elsewhere != "" && device(t, elsewhere) == device(t, w.site.Uploads()) {
		t.Skip("this machine has no second file system at /dev/shm")
	}
	client := w.login(ctx)

	large := sample.JPEG("Großes Bild (1) & mehr.jpg", 12, 1)
	for i, way := range wp.Ways {
		before := len(must1(check.Files(w.site.Uploads()))(t))
		for _, upload := range []struct {
			file sample.File
			want int // number of new files
		}{
			{large, 8},
			{sample.PNG("Übersicht 😀 neu.png", 800, 600, uint64(i)), 4},
			{sample.PDF("Preisliste 2026 – ä.pdf", uint64(i)), 1},
		} {
			if _, err := way.Upload(client, ctx, upload.file); err != nil {
				t.Errorf("%s: %v", way.Name, err)
				continue
			}
			before += upload.want
			if now := len(must1(check.Files(w.site.Uploads()))(t)); now != before {
				t.Errorf("%s of %s: %d files, want %d", way.Name, upload.file.Name, now, before)
				before = now
			}
		}
	}

	video := sample.MP4("Führung.mp4", 100<<20, 1)
	for _, way := range wp.Ways {
		if way.Name == "XML-RPC" {
			continue // PHP would need the file's size several times over in memory
		}
		id, err := way.Upload(client, ctx, video)
		if err != nil {
			t.Errorf("%s of a video: %v", way.Name, err)
			continue
		}
		must(t, client.DeleteREST(ctx, id))
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
