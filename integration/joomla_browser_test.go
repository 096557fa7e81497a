//go:build integration

package integration

import (
	"context"
	"os"
	"path/filepath"
	"regexp"

	"github.com/chromedp/chromedp"

	"github.com/media-offload/caddy-media-offload/integration/sample"
)

// dropOnEditor drags a picture from outside the browser onto the editor,
// TinyMCE, in the form of a new article, and saves it.
func (s *joomlaSite) dropOnEditor(ctx context.Context) {
	photo := sample.JPEG("dropped by hand.jpg", 2, 60)
	file := filepath.Join(s.env.Dir, photo.Name)
	must(s.t, os.WriteFile(file, photo.Content, 0o644))

	const (
		admin  = "/administrator/index.php"
		editor = `tinymce.get('jform_articletext')`
	)
	s.withoutTours()
	author := s.browser(ctx)
	must(s.t, chromedp.Do(author,
		chromedp.Navigate(s.app.URL+admin),
		chromedp.SetValue(chromedp.CSS("#mod-login-username"), s.app.User),
		chromedp.SetValue(chromedp.CSS("#mod-login-password"), s.app.Password),
		chromedp.Click(chromedp.CSS("#btn-login-submit")),
		chromedp.WaitVisible(chromedp.CSS("#cpanel-modules")),
	))
	must(s.t, chromedp.Do(author, eventually(`document.readyState == 'complete'`)))
	must(s.t, chromedp.Do(author,
		chromedp.Navigate(s.app.URL+admin+"?option=com_content&task=article.add"),
		eventually(`window.tinymce && `+editor+` && `+editor+`.initialized`),
		chromedp.SetValue(chromedp.CSS("#jform_title"), "Dropped"),
		execute(`document.querySelector('#jform_articletext_ifr').scrollIntoView({block: 'center', behavior: 'instant'})`),
	))
	dropFile(s.t, author, chromedp.CSS("#jform_articletext_ifr"), file)
	// The editor asks for a description when it has the answer to the upload.
	const dialog = `document.querySelector('.tox-dialog')`
	must(s.t, chromedp.Do(author, eventually(dialog)))
	s.equalAfter(ctx)("the drop on the editor")

	must(s.t, chromedp.Do(author,
		execute(`[...document.querySelectorAll('.tox-dialog__footer .tox-button')].find(b => b.textContent.trim() == 'Save').click()`),
		eventually(editor+`.getContent().includes('<img')`),
	))
	content := must1(chromedp.Run(author, chromedp.Evaluate[string](editor+`.getContent()`)))(s.t)
	// Joomla 5.3 and later takes the first of its folders by name, files.
	source := droppedSource.FindStringSubmatch(content)
	if source == nil {
		s.t.Fatalf("the editor holds %s", content)
	}
	s.stored(ctx, "local-"+source[1]+":/"+photo.Name, photo)
	must(s.t, chromedp.Do(author,
		execute(`Joomla.submitbutton('article.apply')`),
		chromedp.WaitVisible(chromedp.CSS("joomla-alert[type=success]")),
	))
	id := must1(chromedp.Run(author, chromedp.Evaluate[string](`document.querySelector('#jform_id').value`)))(s.t)
	s.databaseIsLocal(ctx, source[0])
	s.visit(ctx, s.app.URL+"/index.php?option=com_content&view=article&id="+id)
}

// droppedSource is the relative URL of the picture that was dropped.
var droppedSource = regexp.MustCompile(`\b(images|files)/dropped(?: |%20)by(?: |%20)hand\.jpg`)

// withoutTours turns off the tour that leads new users away from the page that
// they asked for.
func (s *joomlaSite) withoutTours() {
	db := must1(shared.db.Open(s.app.Database))(s.t)
	defer db.Close()
	_, err := db.Exec(`UPDATE joo_extensions SET enabled = 0 WHERE folder = 'system' AND element = 'guidedtours'`)
	must(s.t, err)
}
