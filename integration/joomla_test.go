//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/joomla"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/web"
)

// TestJoomla uses a real Joomla, whose tree $JOOMLA_DIR names: 4.4 and 5.x run
// on Debian 12.
func TestJoomla(t *testing.T) {
	tree := os.Getenv("JOOMLA_DIR")
	if tree == "" {
		t.Skip("JOOMLA_DIR does not name the tree of a Joomla: TestJoomlaFixture alone shows how it behaves")
	}
	for _, store := range []store{onVersitygw, onFile} {
		t.Run(string(store), func(t *testing.T) {
			testJoomla(t, newAppWorld(t, worldOptions{store: store, straight: true}, func(w *world, php *env.PHP) {
				w.app = must1(w.env.Joomla(shared.db, php, tree, databaseName(t), address(t)))(t)
				w.checkJoomla()
			}), joomlaThumbs, (*joomlaSite).dropOnEditor)
		})
	}
}

// TestJoomlaFixture replays what Joomla does on disk and on the wire: see
// testdata/joomla.
func TestJoomlaFixture(t *testing.T) {
	for _, store := range []store{onVersitygw, onFile} {
		t.Run(string(store), func(t *testing.T) {
			testJoomla(t, newAppWorld(t, worldOptions{store: store, straight: true}, func(w *world, php *env.PHP) {
				w.app = must1(w.env.App(shared.db, php, "testdata/joomla", databaseName(t), address(t)))(t)
				w.app.User, w.app.Password, w.app.Preset = "admin", "password", "joomla"
				w.configureFixture()
				w.checkJoomla()
			}), fixtureThumbs)
		})
	}
}

// configureFixture writes the fixture's configuration.
func (w *world) configureFixture() {
	w.t.Helper()
	config := fmt.Sprintf("<?php $socket = '%s'; $name = '%s';\n", w.app.DB.Socket, w.app.Database)
	must(w.t, os.WriteFile(filepath.Join(w.app.Dir, "configuration.php"), []byte(config), 0o644))
}

// checkJoomla has the checker look at those of Joomla's folders that there are.
func (w *world) checkJoomla() {
	w.assets = []string{"/media/"}
	w.check.Roots = map[string]string{}
	for _, name := range []string{"images", "files"} {
		if dir := filepath.Join(w.app.Dir, name); isFolder(dir) {
			w.check.Roots[name] = dir
		}
	}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// joomlaSite is what the steps of a test of Joomla share.
type joomlaSite struct {
	*world
	client *joomla.Client
}

// joomlaThumbs has Joomla make small pictures for the media manager, as an
// option of its plugin for local files does.
func joomlaThumbs(w *world) {
	db := must1(shared.db.Open(w.app.Database))(w.t)
	defer db.Close()
	_, err := db.Exec(`UPDATE joo_extensions SET params = '{"directories":{"directories0":{"directory":"images","thumbs":"1"}}}' WHERE folder = 'filesystem' AND element = 'local'`)
	must(w.t, err)
}

func fixtureThumbs(w *world) {
	must(w.t, os.WriteFile(filepath.Join(w.app.Dir, "thumbs"), nil, 0o644))
}

// testJoomla does all that the fixture can do as well, and then more.
func testJoomla(t *testing.T, w *world, enableThumbs func(*world), more ...func(*joomlaSite, context.Context)) {
	ctx := within(t, 3*time.Minute)
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	t.Cleanup(transport.CloseIdleConnections)
	w.equalWithin(ctx, "what Joomla comes with", 10*time.Second)
	client := joomla.New(w.app.URL, transport)
	must(t, client.Login(ctx, w.app.User, w.app.Password))
	client.AfterWrite = w.equalAfter(ctx)
	s := &joomlaSite{world: w, client: client}

	s.uploads(ctx)
	s.changes(ctx)
	s.folders(ctx)
	s.deletes(ctx)
	s.article(ctx)
	enableThumbs(w)
	s.thumbs(ctx)
	for _, step := range more {
		step(s, ctx)
	}
	w.noLeftovers(ctx)
}

// keyOf is the key of a file that Joomla calls "local-images:/folder/a.jpg".
func keyOf(path string) string {
	return strings.Replace(strings.TrimPrefix(path, "local-"), ":/", "/", 1)
}

// stored fails the test unless the file is there with this content, in the
// bucket too: that both are alike is what AfterWrite has seen.
func (s *joomlaSite) stored(ctx context.Context, path string, file sample.File) {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.app.Dir, filepath.FromSlash(keyOf(path))))
	if err != nil || string(content) != string(file.Content) {
		s.t.Errorf("%s does not hold what was sent (%v)", path, err)
	}
	if _, found := must1(s.bucket.Objects(ctx))(s.t)["media/"+keyOf(path)]; !found {
		s.t.Errorf("%s is not in the bucket", path)
	}
}

// gone fails the test if the file is on disk or in the bucket.
func (s *joomlaSite) gone(ctx context.Context, path string) {
	s.t.Helper()
	if _, err := os.Stat(filepath.Join(s.app.Dir, filepath.FromSlash(keyOf(path)))); !os.IsNotExist(err) {
		s.t.Errorf("%s is still there (%v)", path, err)
	}
	for key := range must1(s.bucket.Objects(ctx))(s.t) {
		if name := "media/" + keyOf(path); key == name || strings.HasPrefix(key, name+"/") {
			s.t.Errorf("%s is still in the bucket", key)
		}
	}
}

// media are the objects but the module's own.
func (s *joomlaSite) media(ctx context.Context) map[string]string {
	s.t.Helper()
	objects := must1(s.bucket.Objects(ctx))(s.t)
	maps.DeleteFunc(objects, func(key, _ string) bool { return strings.HasPrefix(key, "offload/") })
	return objects
}

// refused fails the test unless err is an answer of that status.
func refused(t *testing.T, what string, err error, status int) {
	t.Helper()
	var answer *web.StatusError
	if !errors.As(err, &answer) || answer.Status != status {
		t.Errorf("%s: %v, want status %d", what, err, status)
	}
}

// uploads sends files by each way there is.
func (s *joomlaSite) uploads(ctx context.Context) {
	photo := sample.JPEG("Strand & Meer (1)+x.JPG", 2, 1)
	item := must1(s.client.Upload(ctx, "local-images:/", photo))(s.t)
	s.stored(ctx, item.Path, photo)
	if !strings.HasPrefix(item.Thumb, s.app.URL+"/images/") {
		s.t.Errorf("the media manager's answer is rewritten: %s", item.Thumb)
	}
	// Joomla looks for the name as it is sent, before it makes it safe.
	photo.Name = item.Name
	before := s.media(ctx)
	_, err := s.client.Upload(ctx, "local-images:/", photo)
	refused(s.t, "upload under a name that is taken", err, http.StatusConflict)
	if after := s.media(ctx); fmt.Sprint(after) != fmt.Sprint(before) {
		s.t.Errorf("a refused upload changed the bucket: %v, before %v", after, before)
	}

	must1(s.client.MakeFolder(ctx, "local-images:/", "Summer holiday"))(s.t)
	dropped := sample.PNG("dropped on the editor.png", 800, 600, 2)
	item = must1(s.client.Drop(ctx, "local-images:/Summer holiday", dropped))(s.t)
	s.stored(ctx, item.Path, dropped)
	// The editor writes this URL into the article.
	if want := s.app.URL + "/images/Summer"; !strings.HasPrefix(item.URL, want) {
		s.t.Errorf("the editor is told %s, want %s…", item.URL, want)
	}

	const apiPath = "local-images:/Summer holiday/from the API.jpg"
	fromAPI := sample.JPEG("", 1, 3)
	must(s.t, s.client.UploadAPI(ctx, apiPath, fromAPI))
	s.stored(ctx, apiPath, fromAPI)
	refused(s.t, "web services upload under a name that is taken", s.client.UploadAPI(ctx, apiPath, fromAPI), http.StatusBadRequest)
	if s.check.Roots["files"] != "" {
		document := sample.PDF("price list.pdf", 1)
		item = must1(s.client.Upload(ctx, "local-files:/", document))(s.t)
		s.stored(ctx, item.Path, document)
	}
}

// changes edits, overwrites, renames and copies files.
func (s *joomlaSite) changes(ctx context.Context) {
	const path = "local-images:/changed.jpg"
	must1(s.client.Upload(ctx, "local-images:/", sample.JPEG("changed.jpg", 1, 10)))(s.t)
	for i, change := range []func(context.Context, string, sample.File) error{
		func(ctx context.Context, path string, file sample.File) error {
			_, err := s.client.Edit(ctx, path, file)
			return err
		},
		func(ctx context.Context, _ string, file sample.File) error {
			_, err := s.client.Override(ctx, "local-images:/", file)
			return err
		},
		s.client.EditAPI,
	} {
		file := sample.JPEG("changed.jpg", 1, uint64(20+i))
		must(s.t, change(ctx, path, file))
		s.stored(ctx, path, file)
	}
	last := sample.JPEG("changed.jpg", 1, 22)
	must1(s.client.Copy(ctx, path, "local-images:/Summer holiday/a copy.jpg"))(s.t)
	s.stored(ctx, "local-images:/Summer holiday/a copy.jpg", last)
	s.stored(ctx, path, last)
	must1(s.client.Rename(ctx, path, "local-images:/new name.jpg"))(s.t)
	s.stored(ctx, "local-images:/new name.jpg", last)
	s.gone(ctx, path)
}

// folders renames and copies a folder with a space in its name.
func (s *joomlaSite) folders(ctx context.Context) {
	must1(s.client.Copy(ctx, "local-images:/Summer holiday", "local-images:/Winter holiday"))(s.t)
	must1(s.client.Rename(ctx, "local-images:/Winter holiday", "local-images:/Skiing in the Alps"))(s.t)
	s.gone(ctx, "local-images:/Winter holiday")
	for _, folder := range []string{"Summer holiday", "Skiing in the Alps"} {
		s.stored(ctx, "local-images:/"+folder+"/from the API.jpg", sample.JPEG("", 1, 3))
	}
	listed := must1(s.client.List(ctx, "local-images:/Skiing in the Alps"))(s.t)
	if len(listed) != 3 {
		s.t.Errorf("the folder holds %v, want 3 files", listed)
	}
}

// deletes deletes files and a folder.
func (s *joomlaSite) deletes(ctx context.Context) {
	must(s.t, s.client.Delete(ctx, "local-images:/new name.jpg"))
	s.gone(ctx, "local-images:/new name.jpg")
	must(s.t, s.client.DeleteAPI(ctx, "local-images:/Skiing in the Alps/a copy.jpg"))
	s.gone(ctx, "local-images:/Skiing in the Alps/a copy.jpg")
	must(s.t, s.client.Delete(ctx, "local-images:/Skiing in the Alps"))
	s.gone(ctx, "local-images:/Skiing in the Alps")
}

// thumbs uploads, changes and lists pictures while Joomla makes small ones of
// them, which lie outside the media folders: they stay on this disk, and the
// media manager finds them there.
func (s *joomlaSite) thumbs(ctx context.Context) {
	photo := sample.JPEG("with thumb.jpg", 1, 40)
	item := must1(s.client.Upload(ctx, "local-images:/", photo))(s.t)
	s.stored(ctx, item.Path, photo)
	item = must1(s.client.Edit(ctx, item.Path, sample.JPEG("with thumb.jpg", 1, 41)))(s.t)
	item = must1(s.client.Rename(ctx, item.Path, "local-images:/renamed with thumb.jpg"))(s.t)
	must1(s.client.List(ctx, "local-images:/"))(s.t)
	if !strings.HasPrefix(item.Thumb, s.app.URL+"/media/cache/com_media/thumbs/images/") {
		s.t.Errorf("the small picture is %s", item.Thumb)
	}
	get(s.t, ctx, strings.ReplaceAll(item.Thumb, " ", "%20"))
	must(s.t, s.client.Delete(ctx, item.Path))
	s.gone(ctx, item.Path)
}

// article writes an article in which the author has pasted what was copied
// from the public page, and reads it as a visitor, a feed reader and the
// author.
func (s *joomlaSite) article(ctx context.Context) {
	item := must1(s.client.Upload(ctx, "local-images:/", sample.JPEG("hero image.jpg", 1, 30)))(s.t)
	field := joomla.ImageField(strings.TrimPrefix(keyOf(item.Path), "images/"), 1154, 865)
	const body = "images/Summer%20holiday/from%20the%20API.jpg"
	pasted := fmt.Sprintf(`<img src="%[1]s/images/Summer%%20holiday/a%%20copy.jpg" alt="pasted">`+
		`<a href="%[1]s/images/hero%%20image.jpg">in full</a>`, s.publicURL)
	article := joomla.Article{
		Title: "By the sea", Intro: field, Full: field,
		Text: `<p>Sand.</p><p><img src="` + body + `" alt="body" width="600"></p>` + pasted +
			`<div style="background-image: url('` + body + `'); height: 50px">&nbsp;</div>`,
	}
	article.ID = must1(s.client.Save(ctx, article))(s.t)
	s.databaseIsLocal(ctx, body)
	if page := must1(s.client.EditPage(ctx, article.ID))(s.t); strings.Contains(string(page.Body), s.publicURL) {
		s.t.Error("the article's form holds the public URL")
	} else if form, err := web.FormWith(page.Body, "jform[articletext]"); err != nil || !strings.Contains(form.Values.Get("jform[images][image_intro]"), "images/hero%20image.jpg#joomlaImage://local-images/") {
		s.t.Errorf("the article's form holds %v (%v)", form, err)
	}

	link := fmt.Sprintf("/index.php?option=com_content&view=article&id=%d", article.ID)
	s.visit(ctx, s.app.URL+link)
	s.visit(ctx, s.app.URL+"/index.php")
	for _, format := range []string{"rss", "atom"} {
		feed := string(get(s.t, ctx, s.app.URL+"/index.php?format=feed&type="+format))
		for _, picture := range []string{"/images/hero%20image.jpg", "/" + body} {
			if !strings.Contains(feed, s.publicURL+picture) {
				s.t.Errorf("the %s feed does not have %s%s: %s", format, s.publicURL, picture, feed)
			}
		}
	}
	comparison := &pageComparison{world: s.world, roots: map[string]string{"/images/": "images/", "/files/": "files/"}}
	comparison.compare(ctx, "/index.php", link, "/index.php?format=feed&type=rss", "/index.php?format=feed&type=atom")
	// Saving the form as it is, as an author does who mends a typing error.
	article.Text = ""
	page := must1(s.client.EditPage(ctx, article.ID))(s.t)
	form := must1(web.FormWith(page.Body, "jform[articletext]"))(s.t)
	article.Text = form.Values.Get("jform[articletext]")
	must1(s.client.Save(ctx, article))(s.t)
	s.databaseIsLocal(ctx, body)
}
