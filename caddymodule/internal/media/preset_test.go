package media

import (
	"slices"
	"strings"
	"testing"
)

// TestPresets makes a site of each preset, so that no pattern in them is wrong.
func TestPresets(t *testing.T) {
	if got := Presets(); !slices.Contains(got, "generic") || !slices.Contains(got, "wordpress") || !slices.Contains(got, "bedrock") {
		t.Errorf("Presets() = %q", got)
	}
	seen := map[string]bool{}
	for _, name := range Presets() {
		if seen[name] {
			t.Errorf("two presets are called %s", name)
		}
		seen[name] = true
		if name == "generic" {
			continue
		}
		s := mustNew(t, Config{Preset: name, DocRoot: "/srv/app"})
		for i, r := range s.Roots() {
			if !strings.HasPrefix(r.Dir, "/srv/app/") || "/srv/app"+r.URL != r.Dir+"/" {
				t.Errorf("%s: root %+v", name, r)
			}
			for _, file := range []string{"x.php", ".htaccess", "a/x.PHTML", "x.tmp", "x.log"} {
				if got := s.Class(s.Key(i, file), nil); got != Ignored {
					t.Errorf("%s: Class(%q) = %v", name, s.Key(i, file), got)
				}
			}
		}
	}
}

func TestPatternsOfPresetsAreNotWrittenTwice(t *testing.T) {
	for _, p := range presets() {
		for _, r := range p.roots {
			seen := map[string]bool{}
			for _, list := range [][]string{r.lists.ignore, r.lists.public, r.lists.private, r.lists.cache} {
				for _, pattern := range list {
					if seen[pattern] {
						t.Errorf("%s, root %s: %q stands twice", p.name, r.name, pattern)
					}
					seen[pattern] = true
				}
			}
		}
	}
}

func TestClassOfOtherApps(t *testing.T) {
	tests := []struct {
		preset string
		want   map[string]Class
	}{
		{"joomla", map[string]Class{
			"images/sub folder/a.jpg":  Public,
			"files/report.pdf":         Public,
			"images/logs/birch.jpg":    Public,
			"images/5f3a1b2c4d5e6.jpg": Public, // a temporary file of Joomla's looks like any other
		}},
		{"mediawiki", map[string]Class{
			"f/fc/Mw_two.jpg":                         Public,
			"thumb/f/fc/Mw_two.jpg/300px-Mw_two.jpg":  Public,
			"archive/f/fc/20261121120000!Mw_two.jpg":  Public,
			"deleted/d/l/z/dlz.jpg":                   Private,
			"temp/a/a1/20261121!phpX.jpg":             Private,
			"lockdir/abc.lock":                        Ignored,
			"lockdir/abc":                             Ignored,
			"f/fc/.0a1b_Mw_two.jpg.tmpfsfile":         Ignored,
			"f/fc/Mw_two.jpg.tmpfsfile":               Ignored,
			"deleted/.htaccess":                       Ignored,
			"f/fc/Été_b.jpg":                          Public,
			"thumb/d/de/Deleted.jpg/9px-Deleted.jpg":  Public,
			"archive/d/de/20261121120000!Deleted.jpg": Public,
		}},
		{"drupal", map[string]Class{
			"2026-11/a.jpg":                             Public,
			"styles/large/public/2026-11/a.jpg.webp":    Public,
			"css/css_0a1b.css":                          Public,
			"private/a.pdf":                             Private,
			"webform/contact/1/cv.pdf":                  Private,
			"config_0a1b/sync/system.site.yml":          Ignored,
			"php/twig/0a1b/c.html.twig":                 Ignored,
			"backup_migrate/site.mysql.gz":              Ignored,
			"styles/large/public/2026-11/.htaccess":     Ignored,
			"oembed_thumbnails/2026-11/private/pic.jpg": Public,
		}},
		{"prestashop", map[string]Class{
			"img/p/1/2/12-home_default.jpg": Public,
			"upload/0a1b2c":                 Private,
			"download/0a1b2c3d":             Private,
			"download/index.php":            Ignored,
		}},
		{"opencart", map[string]Class{
			"catalog/a.jpg":               Public,
			"cache/catalog/a-500x500.jpg": Public,
			"cache/data":                  Ignored,
		}},
		{"phpbb", map[string]Class{
			"files/2_0a1b2c3d4e5f":   Private,
			"files/thumb_2_0a1b2c3d": Private,
			"avatars/0a1b_2.jpg":     Private,
			"files/plupload/0a.part": Ignored,
		}},
	}
	for _, tt := range tests {
		s := mustNew(t, Config{Preset: tt.preset, DocRoot: "/srv/app"})
		for key, want := range tt.want {
			if got := s.Class(key, nil); got != want {
				t.Errorf("%s: Class(%q) = %v, want %v", tt.preset, key, got, want)
			}
		}
	}
}

func TestNoRewriteOfOtherApps(t *testing.T) {
	tests := []struct {
		preset         string
		edits, visitor []RequestInfo
	}{
		{
			"joomla",
			[]RequestInfo{
				request("GET /administrator/index.php?option=com_media"), request("POST /api/index.php/v1/media/files"),
				request("GET /index.php?option=com_content&view=form&layout=edit&a_id=1"), request("GET /", "X-CSRF-Token: 0a1b"),
				request("POST /index.php?option=com_ajax&format=json", "X-CSRF-Token: 0a1b", "Referer: https://x.test/administrator/index.php"),
				request("GET /index.php?option=com_ajax", "X-CSRF-Token: 0a1b", "Referer: https://x.test/news?view=form&layout=edit"),
			},
			[]RequestInfo{request("GET /"), request("GET /index.php/blog/1-article"), request("GET /index.php?format=feed&type=rss"),
				// Joomla's scripts send the token for visitors, too.
				request("GET /index.php?option=com_ajax&module=shop", "X-CSRF-Token: 0a1b", "Referer: https://x.test/shop"),
			},
		},
		{
			"mediawiki",
			[]RequestInfo{
				request("GET /index.php?title=Main_Page&action=edit"), request("POST /api.php"), request("GET /wiki/Main_Page?veaction=edit"),
			},
			[]RequestInfo{request("GET /index.php?title=Main_Page"), request("GET /index.php?title=Main_Page&action=history")},
		},
		{
			"drupal",
			[]RequestInfo{
				request("GET /node/1/edit"), request("GET /de/node/add/article"), request("GET /admin/content/media"),
				request("PATCH /jsonapi/node/article/1"), request("GET /media-library?x=1"),
				request("POST /ckeditor5/upload-image/basic_html?token=0a"), request("GET /de/comment/7/edit"),
				request("POST /x?_format=json", "X-CSRF-Token: 0a1b"), request("POST /x?_format=json", "X-CSRF-Token: 0a1b", "Referer: https://x.test/node/1/edit"),
			},
			[]RequestInfo{
				request("POST /cart/add?_format=json", "X-CSRF-Token: 0a1b", "Referer: https://x.test/product/1"),
				request("GET /node/1"), request("GET /jsonapi/node/article"), request("GET /de/blog")},
		},
		{
			"prestashop",
			[]RequestInfo{request("GET /admin123abc/index.php?controller=AdminProducts"), request("GET /api/products/1")},
			[]RequestInfo{request("GET /2-home"), request("GET /module/x/y")},
		},
		{
			"opencart",
			[]RequestInfo{request("GET /admin/index.php?route=common/filemanager&user_token=0a")},
			[]RequestInfo{request("GET /index.php?route=product/product&product_id=1")},
		},
		{
			"phpbb",
			[]RequestInfo{request("GET /posting.php?mode=edit&f=1&p=1"), request("GET /adm/index.php")},
			[]RequestInfo{request("GET /viewtopic.php?t=1")},
		},
	}
	for _, tt := range tests {
		s := mustNew(t, Config{Preset: tt.preset, DocRoot: "/srv/app"})
		for _, r := range tt.edits {
			if !s.NoRewrite(r) {
				t.Errorf("%s: %s %s?%s is rewritten", tt.preset, r.Method, r.Path, r.Query)
			}
		}
		for _, r := range tt.visitor {
			if s.NoRewrite(r) {
				t.Errorf("%s: %s %s?%s is not rewritten", tt.preset, r.Method, r.Path, r.Query)
			}
		}
	}
}

// TestMayWriteOfOtherApps: GET requests that write or delete files.
func TestMayWriteOfOtherApps(t *testing.T) {
	for preset, requests := range map[string]map[string]bool{
		"drupal": {
			"/cron/0a1b2c": true, "/admin/reports/status/run-cron": true, "/batch?id=1&op=start": true,
			"/de/admin/content": true, "/node/1": false, "/cronology": false,
		},
		"prestashop": {"/admin123abc/index.php?controller=AdminProducts": true, "/2-home": false},
		"opencart": {
			"/admin/index.php?route=x": true, "/office/index.php?route=tool/backup&user_token=0a": true,
			"/index.php?route=product/product&product_id=1": false,
		},
		"phpbb": {"/app.php/cron/cron.task.core.tidy_plupload": true, "/cron.php?cron_type=x": true, "/adm/index.php?i=1": true, "/viewtopic.php?t=1": false},
	} {
		s := mustNew(t, Config{Preset: preset, DocRoot: "/srv/app"})
		for target, want := range requests {
			path, query, _ := strings.Cut(target, "?")
			if got := s.MayWrite("GET", path, query); got != want {
				t.Errorf("%s: MayWrite(GET %s) = %v", preset, target, got)
			}
		}
	}
}

// FuzzSkipDir: in a directory that is not watched there is nothing to miss.
func FuzzSkipDir(f *testing.F) {
	f.Add("updraft", "x.css")
	f.Add("wpforms/cache", "a/b.css")
	f.Add("sites/2/tmp", "a.jpg")
	f.Add("cache", "a.jpg")
	f.Add(".git", "config")
	sites := []*Site{
		wordpressSite(f),
		mustNew(f, Config{Preset: "wordpress", DocRoot: "/w", Public: []string{"*.css", "/updraft/a.jpg"}, Ignore: []string{"/mine/"}}),
		mustNew(f, Config{Preset: "drupal", DocRoot: "/w"}),
	}
	f.Fuzz(func(t *testing.T, dir, file string) {
		for _, s := range sites {
			if !s.SkipDir(0, dir) {
				continue
			}
			if got := s.Class(dir+"/"+file, nil); got != Ignored {
				t.Errorf("SkipDir(%q), but %q in it is %v", dir, file, got)
			}
		}
	})
}
