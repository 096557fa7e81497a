//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// testJoiningNode has a fourth server join under load: with an empty disk; after
// a month away, during which the others have deleted, overwritten and added
// files and the change log has been trimmed; and with a disk that was wiped.
// Nobody helps.
//
// Promise 6: "Every node sees what a shared disk would show."
// Promise 8: "a reconcile never deletes more than a small share of either side".
func testJoiningNode(t *testing.T, ctx context.Context, c *cluster) {
	collisions := len(c.conflicts(ctx))
	client := c.login(ctx, c.nodes[0].direct)
	must(t, os.WriteFile(filepath.Join(filepath.Dir(c.nodes[0].media), "mu-plugins/replace.php"), []byte(replacePlugin), 0o644))
	var ids []int
	for i := range length(6, 300) {
		ids = append(ids, must1(client.UploadREST(ctx, sample.JPEG(fmt.Sprintf("before %d.jpg", i), 0.3, uint64(i))))(t))
	}

	load := c.keepUploading(ctx, "joining.jpg", c.nodes...)
	load.goesOn(t, 3)
	fourth := c.add()
	c.joins(ctx, t, fourth, "with an empty disk")
	must(t, c.balancer.SetServers(c.balance(c.nodes...)))
	load.goesOn(t, 3)
	load.stop()
	c.equalWithin(ctx, "after it has joined", fillTime(must1(c.bucket.Objects(ctx))(t)))
	c.kept(ctx, t, &load.uploadLog)

	if n := len(c.conflicts(ctx)) - collisions; n > 0 {
		t.Errorf("%d collisions", n)
	}

	// It is away, while things happen.
	must(t, fourth.caddy.Stop())
	must(t, client.DeleteREST(ctx, ids[0]))
	must(t, client.Crop(ctx, ids[1], 10, 10, 200, 150))
	replaced := replaceMedia(ctx, t, client, ids[2])
	must1(client.UploadGrid(ctx, sample.JPEG("new.jpg", 0.3, 1)))(t)
	// A log is trimmed long after the nodes that are up have read it.
	c.equalWithin(ctx, "before the log is trimmed", recoveryTime, c.nodes[:3]...)
	c.forgetLog(ctx)

	load = c.keepUploading(ctx, "back.jpg", c.nodes[:3]...)
	load.goesOn(t, 3)
	must(t, fourth.caddy.Start())
	c.joins(ctx, t, fourth, "after a month")
	load.goesOn(t, 3)
	load.stop()
	c.equalWithin(ctx, "after a month away", recoveryTime)
	c.kept(ctx, t, &load.uploadLog)
	if names := c.attachedFiles(ctx, t); names[ids[0]] != "" || names[replaced] == "" {
		t.Errorf("the database has changed: %q, %q", names[ids[0]], names[replaced])
	}
	// What it had of what the others replaced meanwhile was in the bucket once.
	if n := len(c.conflicts(ctx)) - collisions; n > 0 {
		t.Errorf("%d files were kept aside after a month away", n)
	}

	// Its disk is wiped: nothing else is.
	must(t, fourth.caddy.Stop())
	before := must1(c.bucket.Objects(ctx))(t)
	for _, entry := range must1(os.ReadDir(fourth.media))(t) {
		must(t, os.RemoveAll(filepath.Join(fourth.media, entry.Name())))
	}
	must(t, fourth.caddy.Start())
	c.joins(ctx, t, fourth, "with a wiped disk")
	c.equalWithin(ctx, "after the wipe", fillTime(before))
	after := must1(c.bucket.Objects(ctx))(t)
	for object := range before {
		if _, kept := after[object]; !kept && strings.HasPrefix(object, objectPrefix) {
			t.Errorf("%s is gone from the bucket", object)
		}
	}
	if n := len(c.conflicts(ctx)) - collisions; n > 0 {
		t.Errorf("%d collisions", n)
	}
}

// fillTime is how long a server may take to fetch all objects: in a soak there are
// thousands.
func fillTime[T any](objects map[string]T) time.Duration {
	return recoveryTime + time.Duration(len(objects))*10*time.Millisecond
}

// joins uploads through a server that has just started: its answers are right
// as soon as it takes uploads at all.
func (c *cluster) joins(ctx context.Context, t *testing.T, n *node, what string) {
	t.Helper()
	start := time.Now()
	client := c.login(ctx, n.direct)
	log := &uploadLog{content: map[int]sum{}}
	for i := range 3 {
		file := sample.JPEG("joining.jpg", 0.3, uint64(start.UnixNano())+uint64(i))
		id, err := client.UploadGrid(ctx, file)
		if err != nil {
			t.Errorf("an upload to the server that joins %s: %v", what, err)
			continue
		}
		log.add(id, file.Content)
		if i == 0 {
			t.Logf("%s: the first upload is done %s after the start", what, time.Since(start).Round(time.Millisecond))
		}
	}
	names := c.attachedFiles(ctx, t)
	for id, content := range log.content {
		for _, other := range c.nodes {
			if err := c.serves(ctx, other, names[id], &content); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// replaceMedia puts other content under the names of an attachment.
func replaceMedia(ctx context.Context, t *testing.T, client *wp.Client, id int) int {
	t.Helper()
	must1(client.PostForm(ctx, "/wp-admin/admin-ajax.php", map[string][]string{"action": {"replace_media"}, "id": {fmt.Sprint(id)}}))(t)
	return id
}

// forgetLog removes all but the newest entry of the change log, as the nodes do
// with what is older than a day.
func (c *cluster) forgetLog(ctx context.Context) {
	c.t.Helper()
	var entries []string
	for object := range must1(c.bucket.Objects(ctx))(c.t) {
		if strings.HasPrefix(object, "offload/log/") {
			entries = append(entries, object)
		}
	}
	slices.Sort(entries)
	if len(entries) < 10 {
		c.t.Errorf("the change log has %d entries only", len(entries))
		return
	}
	for _, object := range entries[:len(entries)-1] {
		must(c.t, c.bucket.Delete(ctx, object))
	}
}
