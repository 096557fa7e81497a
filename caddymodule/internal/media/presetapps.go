package media

// everything is the pattern of all files of a root.
const everything = "*"

// joomla is Joomla 4 and later: images/ and, since 5.3, files/ for documents.
func joomla() preset {
	// Editing in the front end, and the media picker there.
	editing := []string{"option=com_media", "layout=edit", "view=form", "task=article.edit", "a_id"}
	return preset{
		name: "joomla",
		roots: []presetRoot{
			{name: "images", dir: "images", lists: commonLists()},
			{name: "files", dir: "files", lists: commonLists()},
		},
		noRewrite: []requestRule{
			{paths: []string{"/administrator/", "/api/"}},
			{query: editing},
			{header: []string{"X-Joomla-Token"}},
			// Scripts send this for visitors, too.
			{header: []string{"X-Csrf-Token"}, from: []string{"/administrator/"}},
			{header: []string{"X-Csrf-Token"}, fromQuery: editing},
		},
		mayWrite: []requestRule{{paths: []string{"/administrator/"}}},
		// The media manager sends JSON with the file in it; newPath renames.
		uploads: uploadNames{members: []string{"name", "path", "newPath"}, query: []string{"path"}},
	}
}

// mediawiki is MediaWiki. BasePath is $wgScriptPath. Old versions of files
// (archive/) and thumbnails are public; what was deleted and what waits to be
// published (the upload stash in temp/) must be on every server, but only there.
func mediawiki() preset {
	return preset{
		name: "mediawiki",
		roots: []presetRoot{{name: "images", bare: true, dir: "images", lists: commonLists().with(lists{
			private: []string{"/deleted/", "/temp/"},
			ignore:  []string{"/lockdir/", "/tmp/", "*.tmpfsfile"},
		})}},
		noRewrite: []requestRule{
			{paths: []string{"/api.php", "/rest.php", "/load.php"}},
			{query: []string{"action=edit", "action=submit", "action=raw", "veaction"}},
		},
		// The name that counts is a field's, not that of the file.
		uploads: uploadNames{fields: []string{"filename", "wpDestFile"}, query: []string{"filename"}},
	}
}

// drupal is Drupal 8 and later with the files of one site in
// sites/default/files. Sites of their own need roots of their own.
func drupal() preset {
	editing := []string{
		"admin/", "/user/login", "/update.php", "/core/",
		"**/node/add/", "**/node/*/edit", "**/media/add/", "**/media/*/edit", "**/taxonomy/term/*/edit", "**/user/*/edit",
		"**/comment/*/edit", "**/block/*/edit", "media-library", "**/editor/", "**/ckeditor5/", "quickedit/", "entity-embed/", "**/layout_builder/",
	}
	return preset{
		name: "drupal",
		roots: []presetRoot{{name: "files", bare: true, dir: "sites/default/files", lists: commonLists().with(lists{
			private: []string{"/private/", "/webform/", "/translations/", "/feeds/"},
			ignore:  []string{"/config_*/", "/php/", "/tmp/", "/temp/", "/backup_migrate/", "/simpletest/"},
		})}},
		noRewrite: []requestRule{
			{paths: editing},
			{paths: []string{"jsonapi/", "graphql"}, header: []string{"Authorization"}},
			{paths: []string{"jsonapi/", "graphql"}, writes: true},
			{header: []string{"X-Csrf-Token"}, from: editing}, // a visitor's cart sends it, too
		},
		// Cron deletes temporary files and those that nothing refers to.
		mayWrite: []requestRule{{paths: []string{"admin/", "cron/", "batch", "/update.php"}}},
	}
}

// prestashop is PrestaShop: pictures in img/; what customers send (upload/) and
// buy (download/) is handed out by the shop itself. The short addresses of
// pictures (/12-home_default/name.jpg) are rewritten to img/p/ by the server. The admin's directory has a
// name of its own in each shop, that begins with admin.
func prestashop() preset {
	return preset{
		name: "prestashop",
		roots: []presetRoot{
			{name: "img", dir: "img", lists: commonLists()},
			{name: "upload", dir: "upload", lists: commonLists().with(lists{private: []string{everything}})},
			{name: "download", dir: "download", lists: commonLists().with(lists{private: []string{everything}})},
		},
		noRewrite: []requestRule{{paths: []string{"/admin*/", "/webservice/", "/api/"}}},
		mayWrite:  []requestRule{{paths: []string{"/admin*/"}}},
	}
}

// opencart is OpenCart: image/ with the resized pictures in image/cache/, which
// pages refer to.
func opencart() preset {
	return preset{
		name:      "opencart",
		roots:     []presetRoot{{name: "image", bare: true, dir: "image", lists: commonLists()}},
		noRewrite: []requestRule{{paths: []string{"/admin/"}}, {query: []string{"user_token"}}},
		// Shops give the admin's directory another name; all links there have the
		// token.
		mayWrite: []requestRule{{paths: []string{"/admin/"}}, {query: []string{"user_token"}}},
	}
}

// phpbb is phpBB: attachments and avatars, both handed out by the board's own
// download/file.php, which asks who may see them.
func phpbb() preset {
	return preset{
		name: "phpbb",
		roots: []presetRoot{
			{name: "files", dir: "files", lists: commonLists().with(lists{private: []string{everything}})},
			{name: "avatars", dir: "images/avatars/upload", lists: commonLists().with(lists{private: []string{everything}})},
		},
		noRewrite: []requestRule{{paths: []string{"/adm/", "/posting.php", "/ucp.php", "/mcp.php"}}},
		// Pages have the board's cron called as a picture or by a script; it
		// deletes what was uploaded and never posted.
		mayWrite: []requestRule{{paths: []string{"/adm/", "/cron.php", "/app.php/cron/", "/cron/"}}},
	}
}
