//go:build integration

package integration

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

// TestNodes has three servers on each kind of store. Each part begins and ends
// with all disks equal.
func TestNodes(t *testing.T) {
	for _, store := range []store{onVersitygw, onMinIO} {
		t.Run(string(store), func(t *testing.T) {
			ctx := within(t, time.Duration(length(5, 90))*time.Minute)
			c := newCluster(t, clusterOptions{store: store})
			t.Run("operations", func(t *testing.T) { testNodesOperations(t, ctx, c) })
			if store == onVersitygw || soak {
				t.Run("edit", func(t *testing.T) { testNodesEdit(t, ctx, c) })
				t.Run("same name", func(t *testing.T) { testNodesSameName(t, ctx, c) })
			}
			c.noConflicts(ctx)
		})
	}
}

// testNodesOperations does all that the tests of one server do, each request
// going to a random one of three. After each answer all serve all that was
// written, and soon every disk equals the bucket.
func testNodesOperations(t *testing.T, ctx context.Context, c *cluster) {
	for _, n := range c.nodes {
		must(t, os.WriteFile(filepath.Join(filepath.Dir(n.media), "mu-plugins/replace.php"), []byte(replacePlugin), 0o644))
	}
	random := c.anyNode(c.nodes...)
	client := c.login(ctx, random)
	audit := c.auditor(ctx)
	client.AfterWrite = func(request string) { audit.look(random.latest(), request) }

	var ids []int
	for i, way := range wp.Ways {
		ids = append(ids, must1(way.Upload(client, ctx, sample.JPEG("Kleines Bild (1) & mehr.jpg", 0.6, uint64(i))))(t))
	}
	must1(client.UploadGrid(ctx, sample.JPEG("large.jpg", 2, 1)))(t)
	must1(client.UploadREST(ctx, sample.PDF("Preisliste 2026 – ä.pdf", 1)))(t)
	must1(client.UploadGrid(ctx, sample.MP4("clip.mp4", 20<<20, 1)))(t)
	draft := must1(client.Draft(ctx, "Old", "2021-02-03T04:05:06"))(t)
	must1(client.UploadToPost(ctx, sample.JPEG("old.jpg", 0.6, 9), draft.ID))(t)

	photo := ids[0]
	must(t, client.Crop(ctx, photo, 20, 20, 200, 150))
	must(t, client.Rotate(ctx, photo))
	must(t, client.Restore(ctx, photo))
	must1(client.EditREST(ctx, photo))(t)
	icon := must1(client.UploadREST(ctx, sample.PNG("icon.png", 600, 600, 1)))(t)
	must1(client.SiteIcon(ctx, icon))(t)
	must1(client.PostForm(ctx, "/wp-admin/admin-ajax.php", url.Values{"action": {"replace_media"}, "id": {strconv.Itoa(photo)}}))(t)

	for i, way := range deleteWays {
		if !way.background {
			must(t, way.remove(client, ctx, ids[i+1:i+2]))
			continue
		}
		// By a GET, after which the bucket may lag a second or two.
		deleter := c.login(ctx, c.nodes[i%len(c.nodes)].direct)
		must(t, way.remove(deleter, ctx, ids[i+1:i+2]))
		c.equalWithin(ctx, "delete by "+way.name, 4*time.Second)
		audit.lookAtBucket(c.nodes[i%len(c.nodes)], "delete by "+way.name)
	}
	t.Logf("%d requests that wrote; others served what was overwritten or deleted after %s at most, all disks were equal after %s",
		audit.requests, audit.overwrites.Round(time.Millisecond), audit.disks.Round(time.Millisecond))
}

// testNodesEdit edits on one server what another has uploaded a moment ago, and
// deletes on a third: without waiting for any disk.
func testNodesEdit(t *testing.T, ctx context.Context, c *cluster) {
	var clients []*wp.Client
	for _, n := range c.nodes {
		clients = append(clients, c.login(ctx, n.direct))
	}
	before := must1(c.bucket.Objects(ctx))(t)
	rounds := length(3, 60)
	for i := range rounds {
		upload, edit, remove := clients[i%3], clients[(i+1)%3], clients[(i+2)%3]
		way := wp.Ways[i%len(wp.Ways)]
		id := must1(way.Upload(upload, ctx, sample.JPEG(fmt.Sprintf("edited %d.jpg", i), 0.6, uint64(i))))(t)
		must(t, edit.Crop(ctx, id, 10, 10, 200, 150))
		if preview := must1(remove.Preview(ctx, id))(t); !strings.HasPrefix(preview.Header.Get("Content-Type"), "image/") {
			t.Errorf("preview on the third server: %v %.100s", preview.Header, preview.Body)
		}
		edited := must1(edit.EditREST(ctx, id))(t)
		must(t, remove.Rotate(ctx, id))
		must(t, upload.Restore(ctx, id))
		must(t, remove.DeleteREST(ctx, id))
		must(t, upload.DeleteAjax(ctx, edited))
	}
	c.equalWithin(ctx, "at the end", 2*time.Second)
	for object := range must1(c.bucket.Objects(ctx))(t) {
		if _, old := before[object]; !old && strings.HasPrefix(object, objectPrefix) {
			t.Errorf("left: %s", object)
		}
	}
}

// conflicts are the objects that hold the losers of collisions.
func (c *cluster) conflicts(ctx context.Context) []string {
	c.t.Helper()
	var losers []string
	for object := range must1(c.bucket.Objects(ctx))(c.t) {
		if strings.HasPrefix(object, "offload/conflict/") {
			losers = append(losers, object)
		}
	}
	return losers
}

// noConflicts fails the test if two nodes have given one name to two files.
func (c *cluster) noConflicts(ctx context.Context) {
	c.t.Helper()
	if losers := c.conflicts(ctx); len(losers) > 0 {
		c.t.Errorf("collisions: %v", losers)
	}
}
