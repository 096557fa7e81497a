//go:build integration

package integration

import (
	"context"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/mediawiki"
	"github.com/media-offload/caddy-media-offload/integration/sample"
)

// TestMediaWiki uses Debian's MediaWiki: uploads, new versions, thumbnails,
// deletes and what brings deleted files back.
//
// Promise 7: "Private stays private. Private and ignored files, control objects
// and the app's code are never readable through the public URL or the module."
func TestMediaWiki(t *testing.T) {
	t.Parallel()
	ctx := within(t, 4*time.Minute)
	w := newAppWorld(t, worldOptions{store: onVersitygw, straight: true}, func(w *world, php *env.PHP) {
		w.app = must1(w.env.MediaWiki(shared.db, php, databaseName(t), address(t)))(t)
		w.assets = []string{"/resources/", "/skins/", "/extensions/"}
		w.check.Root = filepath.Join(w.app.Dir, "images")
		w.check.Private = []string{"deleted/", "temp/"}
		w.check.Ignored = []string{"lockdir/"}
	})
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	t.Cleanup(transport.CloseIdleConnections)
	client := mediawiki.New(w.app.URL, transport)
	must(t, client.Login(ctx, w.app.User, w.app.Password))
	s := &wiki{world: w, client: client}
	equal := w.equalAfter(ctx)
	client.AfterWrite = func(request string) {
		equal(request)
		s.hidden(ctx, request)
	}

	s.uploads(ctx)
	s.pages(ctx)
	s.deletes(ctx)
	w.noLeftovers(ctx)
}

// wiki is what the steps of the test share.
type wiki struct {
	*world
	client *mediawiki.Client
}

// hidden fails the test if anything of the wiki's private folders is public.
func (s *wiki) hidden(ctx context.Context, after string) {
	s.t.Helper()
	for key := range must1(s.bucket.Objects(ctx))(s.t) {
		for _, folder := range []string{"deleted/", "temp/", "lockdir/", "tmp/"} {
			if strings.HasPrefix(key, "media/"+folder) {
				s.t.Errorf("after %s the public part of the bucket holds %s", after, key)
			}
		}
	}
}

// objects counts the objects whose key begins with prefix and contains name.
func (s *wiki) objects(ctx context.Context, prefix, name string) (keys []string) {
	s.t.Helper()
	for key := range must1(s.bucket.Objects(ctx))(s.t) {
		if strings.HasPrefix(key, prefix) && strings.Contains(key, name) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (s *wiki) expect(ctx context.Context, what, prefix, name string, want int) {
	s.t.Helper()
	if got := s.objects(ctx, prefix, name); len(got) != want {
		s.t.Errorf("%s: %d objects %s…%s, want %d: %v", what, len(got), prefix, name, want, got)
	}
}

// published returns the key of the present version's object.
func (s *wiki) published(ctx context.Context, name string) string {
	s.t.Helper()
	for key := range must1(s.bucket.Objects(ctx))(s.t) {
		if found, err := path.Match("media/?/??/"+name, key); err == nil && found {
			return key
		}
	}
	s.t.Fatalf("%s is not in the bucket", name)
	return ""
}

func (s *wiki) uploads(ctx context.Context) {
	must(s.t, s.client.Upload(ctx, sample.JPEG("By the API.jpg", 1, 1)))
	must(s.t, s.client.UploadForm(ctx, sample.JPEG("Été b.jpg", 1, 2)))
	s.published(ctx, "By_the_API.jpg")
	s.published(ctx, "Été_b.jpg")
	must(s.t, s.client.Upload(ctx, sample.JPEG("By the API.jpg", 1, 3)))
	s.expect(ctx, "a new version", "media/archive/", "By_the_API.jpg", 1)

	key := must1(s.client.Stash(ctx, sample.JPEG("Stashed.jpg", 1, 4)))(s.t)
	s.expect(ctx, "stash", "private/temp/", ".jpg", 1)
	must(s.t, s.client.PublishStashed(ctx, key, "Stashed.jpg"))
	s.published(ctx, "Stashed.jpg")
}

// pages saves articles, by the API and by the form with what was copied from
// the public page, and looks at one.
func (s *wiki) pages(ctx context.Context) {
	must(s.t, s.client.Edit(ctx, "Pictures", "[[File:By the API.jpg|thumb|200px|a thumbnail]] [[File:Été b.jpg|300px]]"))
	get(s.t, ctx, s.app.URL+"/index.php?title=Pictures")
	s.equalWithin(ctx, "thumbnails made on view", 2*time.Second)
	if thumbs := s.objects(ctx, "media/thumb/", "200px-By_the_API.jpg"); len(thumbs) == 0 {
		s.t.Error("no thumbnail was made")
	}
	s.visit(ctx, s.app.URL+"/index.php?title=Pictures")

	comparison := &pageComparison{world: s.world, roots: map[string]string{"/images/": ""}}
	comparison.compare(ctx, "/index.php?title=Pictures", "/index.php?title=File:By_the_API.jpg")
	copied := s.publicURL + strings.TrimPrefix(s.published(ctx, "Stashed.jpg"), "media")
	must(s.t, s.client.EditForm(ctx, "Pasted", "from the page: "+copied+" and ["+copied+" a link]"))
	s.databaseIsLocal(ctx, s.app.URL+"/images/")
}

// deletes deletes a file of two versions, one of which has thumbnails, brings
// it back, and renames it.
func (s *wiki) deletes(ctx context.Context) {
	must(s.t, s.client.Delete(ctx, "By the API.jpg"))
	s.expect(ctx, "delete", "media/", "By_the_API.jpg", 0)
	s.expect(ctx, "delete", "private/deleted/", ".jpg", 2)
	for _, private := range s.objects(ctx, "private/", "") {
		for _, link := range []string{
			s.publicURL + strings.TrimPrefix(private, "private"), strings.TrimSuffix(s.publicURL, "media") + private,
			s.app.URL + "/images" + strings.TrimPrefix(private, "private"),
		} {
			if resp, _ := request(s.t, ctx, http.DefaultClient, http.MethodGet, link, nil); resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusNotFound {
				s.t.Errorf("a deleted file is to be had at %s: %s", link, resp.Status)
			}
		}
	}
	must(s.t, s.client.Undelete(ctx, "By the API.jpg"))
	s.published(ctx, "By_the_API.jpg")
	s.expect(ctx, "undelete", "media/archive/", "By_the_API.jpg", 1)
	must(s.t, s.client.Move(ctx, "By the API.jpg", "Renamed.jpg"))
	s.expect(ctx, "rename", "media/", "By_the_API.jpg", 0)
	s.expect(ctx, "rename", "media/archive/", "!Renamed.jpg", 1)
}
