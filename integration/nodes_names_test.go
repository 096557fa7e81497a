//go:build integration

package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/web"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// uploadsAtOnce is how many uploads of one name are under way together.
const uploadsAtOnce = 12

// testNodesSameName uploads many files of one name and different content, twelve
// at a time, over three servers: as many attachments, as many files, each with
// its own content everywhere.
//
// Promise 6: "Before PHP runs for an upload, the node has caught up with the
// change log, so that the app's own check whether a name is taken (file_exists,
// scandir) is right."
func testNodesSameName(t *testing.T, ctx context.Context, c *cluster) {
	n := length(24, 1000)
	client := c.login(ctx, nil)
	for _, way := range []wp.Way{{Name: "media grid", Upload: (*wp.Client).UploadGrid}, {Name: "REST", Upload: (*wp.Client).UploadREST}} {
		t.Run(way.Name, func(t *testing.T) {
			log := &uploadLog{content: map[int]sum{}}
			start := time.Now()
			inParallel(n, uploadsAtOnce, func(i int) {
				file := sample.JPEG("image.jpg", 0.01, rand.Uint64())
				id, err := way.Upload(client, ctx, file)
				if err != nil {
					t.Errorf("upload %d: %v", i, err)
					return
				}
				log.add(id, file.Content)
			})
			t.Logf("%d uploads of one name in %s", n, time.Since(start).Round(time.Millisecond))
			c.kept(ctx, t, log)
		})
	}
}

// inParallel calls f n times, at most limit at once.
func inParallel(n, limit int, f func(i int)) {
	var workers sync.WaitGroup
	next := make(chan int)
	for range limit {
		workers.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// uploadLog is what clients were told: the attachment that each file became.
type uploadLog struct {
	mu      sync.Mutex
	content map[int]sum
	failed  int
	last    time.Time // of the newest success
}

func (l *uploadLog) add(id int, content []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.content[id] = sha256.Sum256(content)
	l.last = time.Now()
}

func (l *uploadLog) fail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed++
}

func (l *uploadLog) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.content)
}

// kept fails the test unless each upload that a client was told of has a file
// of its own, with its content, on all nodes, at once and on their disks soon.
func (c *cluster) kept(ctx context.Context, t *testing.T, log *uploadLog) {
	t.Helper()
	names := c.attachedFiles(ctx, t)
	owners := map[string]int{}
	files := map[string]sum{}
	for id, content := range log.content {
		name, found := names[id]
		if !found {
			t.Errorf("attachment %d is not in the database", id)
			continue
		}
		if other, taken := owners[name]; taken {
			t.Errorf("attachments %d and %d have one file: %s", other, id, name)
		}
		owners[name], files[name] = id, content
	}
	if len(files) != len(log.content) {
		t.Errorf("%d uploads became %d files", len(log.content), len(files))
	}
	c.allServe(ctx, files)
	c.equalWithin(ctx, "after the uploads", 2*time.Second)
}

// attachedFiles are the files of WordPress' attachments, by id.
func (c *cluster) attachedFiles(ctx context.Context, t *testing.T) map[int]string {
	t.Helper()
	db := must1(shared.db.Open(c.site.Database))(t)
	defer db.Close()
	rows := must1(db.QueryContext(ctx, "SELECT post_id, meta_value FROM wp_postmeta WHERE meta_key = '_wp_attached_file'"))(t)
	defer rows.Close()
	names := map[int]string{}
	for rows.Next() {
		var id int
		var name string
		must(t, rows.Scan(&id, &name))
		names[id] = name
	}
	must(t, rows.Err())
	return names
}

// jsonApp takes uploads as Joomla's media manager does: a JSON body with the
// file in base64, a check of the name by file_exists alone, 409 if it is
// taken, and a file of another name that exists for a millisecond.
const jsonApp = `<?php
header('Content-Type: text/html; charset=UTF-8');
$upload = json_decode(file_get_contents('php://input'), true);
$dir = dirname(__DIR__) . '/images/';
$name = basename($upload['name']);
$content = base64_decode($upload['content'], true);
if (file_exists($dir . $name)) {
	http_response_code(409);
	exit(json_encode(['success' => false, 'message' => '']));
}
$check = $dir . uniqid() . '.jpg';
file_put_contents($check, $content);
getimagesize($check);
chmod($check, 0777);
unlink($check);
file_put_contents($dir . $name, $content);
echo json_encode(['success' => true, 'message' => '', 'data' => ['path' => 'local-images:/' . $name]]);
`

// newJSONApp makes a node's copy of it. The module takes it for a Joomla, which
// has two media roots.
func newJSONApp(c *cluster, php *env.PHP) served {
	c.t.Helper()
	dir := must1(c.env.Folder("json-app", php.User))(c.t)
	for _, name := range []string{"administrator", "images", "files"} {
		must(c.t, os.Mkdir(filepath.Join(dir, name), 0o755))
		if php.User != nil {
			must(c.t, os.Chown(filepath.Join(dir, name), php.User.UID, php.User.GID))
		}
	}
	must(c.t, os.WriteFile(filepath.Join(dir, "administrator", "index.php"), []byte(jsonApp), 0o644))
	return &env.App{Dir: dir, URL: c.url, Preset: "joomla", PHP: php}
}

// TestNodesJSON is testNodesSameName with Joomla-style bodies. A client
// that is told that a name is taken takes another.
func TestNodesJSON(t *testing.T) {
	n := length(60, 1000)
	ctx := within(t, time.Duration(length(3, 30))*time.Minute)
	c := newCluster(t, clusterOptions{store: onVersitygw, app: newJSONApp, mediaPath: "/"})
	transport := &http.Transport{MaxIdleConnsPerHost: uploadsAtOnce}
	t.Cleanup(transport.CloseIdleConnections)
	client := web.New(c.url, transport)

	var mu sync.Mutex
	files := map[string]sum{}
	taken := 0
	start := time.Now()
	inParallel(n, uploadsAtOnce, func(i int) {
		content := sample.JPEG("image.jpg", 0.01, rand.Uint64()).Content
		for name := "image.jpg"; ; name = fmt.Sprintf("image-%d.jpg", rand.IntN(2*n)) {
			status, err := uploadJSON(ctx, client, name, content)
			if err != nil {
				t.Errorf("upload %d: %v", i, err)
				return
			}
			mu.Lock()
			if status == http.StatusConflict {
				taken++
				mu.Unlock()
				continue
			}
			key := "images/" + name
			if _, twice := files[key]; twice {
				t.Errorf("%s was given twice", name)
			}
			files[key] = sha256.Sum256(content)
			mu.Unlock()
			return
		}
	})
	t.Logf("%d files in %s, %d times a name was taken", len(files), time.Since(start).Round(time.Millisecond), taken)
	if len(files) != n {
		t.Errorf("%d uploads became %d files", n, len(files))
	}
	c.allServe(ctx, files)
	c.equalWithin(ctx, "after the uploads", 2*time.Second)
	c.noConflicts(ctx)
}

// uploadJSON returns 200, or 409 if the name is taken.
func uploadJSON(ctx context.Context, client *web.Client, name string, content []byte) (status int, err error) {
	body, err := json.Marshal(struct {
		Token   string `json:"0123456789abcdef0123456789abcdef"`
		Name    string `json:"name"`
		Content string `json:"content"`
	}{"1", name, base64.StdEncoding.EncodeToString(content)})
	if err != nil {
		return 0, err
	}
	const path = "/administrator/index.php?option=com_media&format=json&mediatypes=0,1,2,3&task=api.files&path=local-images:/"
	header := http.Header{"Content-Type": {"application/json"}, "X-Csrf-Token": {"0123456789abcdef0123456789abcdef"}}
	resp, err := client.Do(ctx, http.MethodPost, path, header, bytes.NewReader(body), http.StatusOK, http.StatusConflict)
	if err != nil {
		return 0, err
	}
	return resp.Status, nil
}
