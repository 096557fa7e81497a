package media

import "strings"

// wordpress is WordPress as its installer lays it out, alone, in a subdirectory,
// or as a network (multisite) whose sites keep their files below sites/<n>/.
func wordpress() preset {
	return wordpressWith("wordpress", bareRoot(wordpressUploads("wp-content/uploads")), nextGEN("wp-content"))
}

// bedrock is WordPress as Roots' Bedrock lays it out: DocRoot is its web/
// directory, with the core in wp/ and the content in app/. It is a preset of
// its own, not found out, because nothing in a URL tells the two apart.
func bedrock() preset {
	return wordpressWith("bedrock", bareRoot(wordpressUploads("app/uploads")), nextGEN("app"))
}

// wordpressMSFiles is a network begun before WordPress 3.5 (the option
// ms_files_rewriting): its first site has uploads/, the others have
// blogs.dir/<n>/files/, whose URL /files/ or /site/files/ is given as an Alias
// of the root blogs.dir.
func wordpressMSFiles() preset {
	return wordpressWith("wordpress-ms-files",
		wordpressUploads("wp-content/uploads"),
		presetRoot{name: "blogs.dir", dir: "wp-content/blogs.dir", lists: wordpressLists("*/files")})
}

func wordpressWith(name string, roots ...presetRoot) preset {
	return preset{
		name: name, roots: roots, noRewrite: wordpressNoRewrite(), mayWrite: wordpressMayWrite(),
		route: queryRoute{parameter: "rest_route", path: "wp-json"}, // permalinks that are off
		// The media library's uploader sends the name as a field, too, and in
		// nothing else if it sends the file in chunks; XML-RPC has
		// wp.uploadFile.
		uploads: uploadNames{fields: []string{"name"}, structs: []string{"name"}},
	}
}

func wordpressUploads(dir string) presetRoot {
	return presetRoot{name: "uploads", dir: dir, lists: wordpressLists("sites/*"), beforehand: true}
}

func bareRoot(r presetRoot) presetRoot {
	r.bare = true
	return r
}

// nextGEN is where the plugin NextGEN Gallery keeps its galleries, beside the
// uploads. The originals that it puts aside beside the pictures are for itself.
// The root has a name that no directory of the uploads has.
func nextGEN(content string) presetRoot {
	return presetRoot{
		name: content + ".gallery", dir: content + "/gallery", spare: true,
		lists: commonLists().with(lists{private: []string{"*_backup"}}),
	}
}

// wordpressLists knows where the plugins that most sites use put files that no
// visitor is meant to get. A plugin that is missing here and closes its
// directory by an .htaccess needs no entry.
//
// What a plugin keeps from one request to the next, even if only for minutes,
// is private, not ignored: on several servers the next request may come to
// another one.
func wordpressLists(subsite string) lists {
	return commonLists().with(lists{
		subsite: subsite,
		private: []string{
			// The core's exports of personal data.
			"/wp-personal-data-exports/",
			// Shops: goods, invoices, imports.
			"/woocommerce_uploads/", "/woocommerce_transient_files/", "/wc-imports/", "/wpo_wcpdf*/",
			"/edd/", "/download-manager-files/", "/wpsc/downloadables/",
			// What visitors send by forms.
			"/gravity_forms/", "/wpforms/", "/formidable/", "/ninja-forms/", "/fluentform/", "/forminator/",
			"/wpcf7_uploads/", "/wp_dndcf7_uploads/", "/cfdb7_uploads/", "/elementor/forms/", "/everest_forms_uploads/",
			"/user_registration_uploads/", "/ws-form/",
			"/wp-mail-smtp/", "/ultimatemember/temp/",
			// Applications, pupils' work, members' documents, appointments.
			"/job-manager-uploads/resume_file/", "/assignments/", "/essays/",
			"/bb_documents/", "/bb_medias/", "/bb_videos/", "/bp-better-messages/", "/amelia/", "/espresso/",
			"/civicrm/custom/", "/civicrm/upload/",
			// Directories that plugins close, and that people name so.
			"/_pda/", "/_mediavault/", "/private/", "/protected/", "/restricted/", "/secure/",
			// Imports and exports of content.
			"/wpallimport/", "/wpallexport/", "/simply-static/",
			// Originals that image optimisers put aside.
			"/shortpixelbackups/", "/backup/", "/tenweb_image_optimizer/",
		},
		public: []string{
			// Styles that plugins write beside what visitors send.
			"/formidable/css/*.css", "/amelia/**/*.css", "/forminator/**/*.css", "/wpforms/**/*.css", "/fluentform/**/*.css", "/ws-form/**/*.css",
		},
		ignore: []string{
			// Backups of the whole site, with its database.
			"/backups/", "/backup-db/", "/db-backup/", "/backup-guard/", "/backup-migration/", "/backwpup*/", "/backupwordpress*/",
			"/updraft/", "/ai1wm-backups/", "/backups-dup-*/", "/duplicator*/", "/backupbuddy_*/", "/pb_backupbuddy/",
			"/aiowps_backups/", "/bps-backup/", "/wp-clone/", "/wp_all_backup/", "/wpbackitup*/", "/wpvivid*/", "/wp-staging/",
			"/wp-migrate-db/", "/snapshots/", "/mainwp/", "/infinitewp/", "/managewp/", "/jetbackup*/", "/xcloner*/",
			"/envato-backups/", "/wishlist-backup/", "/wp-snapshots/", "*.wpress", "*.daf", "*.jpa",
			// Logs.
			"/wc-logs/", "/ithemes-security/", "/sucuri/", "/wflogs/", "/wp-defender/", "/aios/",
			"/wpallimport/logs/", "/wpallimport/history/", "/civicrm/configandlog/",
			// Made and used within one request.
			"/elementor/tmp/", "/et_temp/", "/wpo-plugins-tmp/", "/wpallimport/temp/", "/civicrm/templates_c/", "/tmp/", "/temp/",
			"/wp-file-manager*/", "/wpforms/cache/",
		},
	})
}

// frontEndEditors are the query parameters by which page builders and the
// customizer open a page of the site for editing.
var frontEndEditors = []string{
	"customize_changeset_uuid", "customize_theme", "customize_messenger_channel", "wp_theme_preview",
	"elementor-preview", "et_fb", "fl_builder", "ct_builder", "oxygen_iframe", "breakdance", "breakdance_iframe",
	"vc_editable", "vc_action", "bricks=run", "brizy-edit", "brizy-edit-iframe", "tve", "fb-edit", "builder=true",
	"siteorigin_panels_live_editor", "zionbuilder-preview", "motopress-ce", "uxb_iframe", "tb-preview", "op3editor",
}

// wordpressNoRewrite are admin screens, editors, and the APIs that they use, with
// wp-admin and wp-json wherever they stand: below wp/ in Bedrock, below a
// site's path in a network.
//
// A preview is a page as visitors will see it, and is rewritten. admin-ajax.php
// and the REST API serve both sides. That there is a nonce tells nothing:
// WordPress sends one with the requests of every script. The route tells, the
// context, and by the Referer the page that asked. If that is not told, what has
// a nonce or writes is taken for an editor's, but for a shop's visitors' routes.
func wordpressNoRewrite() []requestRule {
	ajax := []string{"admin-ajax.php"}
	rest := []string{"wp-json/"}
	api := append(rest, "/graphql")
	visitors := []string{"**/wp-json/wc/store/"}
	admin := []string{"wp-admin/"}
	return []requestRule{
		{paths: admin, except: ajax},
		{paths: []string{"wp-login.php", "xmlrpc.php"}},
		{paths: ajax, from: admin},
		{paths: ajax, fromQuery: frontEndEditors},
		{paths: ajax, query: []string{
			"action=query-attachments", "action=get-attachment", "action=send-attachment-to-editor", "action=send-link-to-editor",
			"action=image-editor", "action=imgedit-preview", "action=crop-image", "action=upload-attachment",
			"action=media-create-image-subsizes", "action=parse-media-shortcode", "action=parse-embed", "action=heartbeat",
		}},
		{paths: rest, routes: wordpressEditorRoutes()},
		{paths: api, from: admin, told: true},
		{paths: api, except: visitors, from: admin, header: []string{"X-Wp-Nonce"}},
		{paths: api, except: visitors, from: admin, query: []string{"_wpnonce"}},
		{paths: api, except: visitors, from: admin, writes: true},
		{paths: rest, writes: true, routes: []string{"**/wp-json/wp/", "**/wp-json/wc/"}, except: visitors},
		{paths: api, header: []string{"Authorization"}},
		{paths: api, query: []string{"_method"}},
		{paths: api, fromQuery: frontEndEditors},
		{query: []string{"context=edit"}},
		{query: frontEndEditors},
	}
}

// wordpressEditorRoutes are routes of the REST API that only editors use, and what
// they read there they write back.
func wordpressEditorRoutes() []string {
	routes := []string{
		"wp-block-editor/", "batch/", "oembed/1.0/proxy", "wp-site-health/",
		"wp/v2/block-renderer/", "wp/v2/block-directory/", "wp/v2/pattern-directory/", "wp/v2/block-patterns/",
		"wp/v2/blocks/", "wp/v2/templates/", "wp/v2/template-parts/", "wp/v2/navigation/", "wp/v2/menu-items/",
		"wp/v2/global-styles/", "wp/v2/font-families/", "wp/v2/widgets/", "wp/v2/sidebars/", "wp/v2/widget-types/", "wp/v2/settings",
		"wp/v2/*/*/autosaves/", "wp/v2/*/*/revisions/",
	}
	paths := make([]string, len(routes))
	for i, route := range routes {
		paths[i] = "**/wp-json/" + strings.TrimSuffix(route, "/")
	}
	return paths
}

// wordpressMayWrite are the admin screens, where a link such as
// post.php?action=delete deletes and many a plugin's page writes, and the REST
// API's way to name another method in the query.
func wordpressMayWrite() []requestRule {
	return []requestRule{
		{paths: []string{"wp-admin/"}, except: []string{
			"load-styles.php", "load-scripts.php", "**/wp-admin/css/", "**/wp-admin/js/", "**/wp-admin/images/",
		}},
		{query: []string{"_method"}},
	}
}
