package caddymodule

import (
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// TestConfigFields: each field of the JSON config has a snake_case name, may be
// left out, and is documented with its default or as required. (STYLE.md P19.)
func TestConfigFields(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*,omitempty$`)
	fields := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !ast.IsExported(spec.Name.Name) {
				return true
			}
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range structure.Fields.List {
				if len(field.Names) == 0 || !field.Names[0].IsExported() {
					continue
				}
				fields++
				label := spec.Name.Name + "." + field.Names[0].Name
				tag := ""
				if field.Tag != nil {
					tag = reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json")
				}
				if !name.MatchString(tag) {
					t.Errorf("%s: json tag %q", label, tag)
				}
				doc := strings.Join(strings.Fields(field.Doc.Text()), " ")
				if !strings.Contains(doc, "Default:") && !strings.Contains(doc, "Required.") {
					t.Errorf("%s: no default in %q", label, doc)
				}
			}
			return true
		})
	}
	if fields < 30 {
		t.Errorf("only %d fields found", fields)
	}
}

// TestBadConfig: each mistake gives one message that says what to do.
func TestBadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, below := range []string{"www/images", "www/shop"} {
		if err := os.MkdirAll(filepath.Join(dir, below), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := func(dir, url string) map[string]any {
		return map[string]any{"app": nil, "roots": []any{map[string]any{"dir": dir, "url": url}}}
	}
	for _, test := range []struct {
		name   string
		change map[string]any
		want   string
	}{
		{"no bucket", map[string]any{"bucket": nil}, "no bucket: write, for example"},
		{"no media", map[string]any{"app": nil}, "no media root: write, for example"},
		{"unknown app", map[string]any{"app": map[string]any{"preset": "typo3", "docroot": "/srv"}}, "unknown app \"typo3\": the known ones are generic, wordpress"},
		{"no docroot", map[string]any{"app": map[string]any{"preset": "wordpress"}}, "needs the absolute path of the app's directory"},
		{"relative docroot", map[string]any{"app": map[string]any{"preset": "wordpress", "docroot": "www"}}, "\"www\" is not an absolute path"},
		{"missing docroot", map[string]any{"app": map[string]any{"preset": "wordpress", "docroot": "/no/such"}}, "the directory /no/such does not exist: name the one"},
		{"docroot is a file", map[string]any{"app": map[string]any{"preset": "wordpress", "docroot": file}}, "is not a directory"},
		{"root in root", map[string]any{"roots": []any{
			map[string]any{"name": "a", "dir": "/srv/a", "url": "/a/"}, map[string]any{"name": "b", "dir": "/srv/a/b", "url": "/b/"},
		}}, "lie one in the other"},
		{"URL without slash", map[string]any{"app": nil, "roots": []any{map[string]any{"dir": "/srv/a", "url": "a"}}}, "must be a path that begins with a slash"},
		{"URL before directory", root("/images", dir+"/www/images/"), "are the two swapped? write `root " + dir + "/www/images /images/`, or make the directory /images first"},
		{"URL before directory of another name", root("/no-such-media/files/", dir+"/www/images"), "write `root " + dir + "/www/images /no-such-media/files/`"},
		{"URL before directory that is not there yet", root("/files", dir+"/www/files/"), "write `root " + dir + "/www/files /files/`"},
		{"URL before a directory of the system's", root("/tmp", dir+"/www/images/"), "write `root " + dir + "/www/images /tmp/`"},
		{"URL before a directory of the system's, not there yet", root("/tmp/", dir+"/www/new"), "write `root " + dir + "/www/new /tmp/`"},
		{"root is the whole disk", root("/", "/images/"), "is the system's own, and all files below it would be media: name the directory that the app writes uploads to"},
		{"root is the system's", root("/etc/", "/images/"), "/etc is the system's own"},
		{"root at the whole site", map[string]any{"app": nil, "roots": []any{map[string]any{"dir": dir + "/www", "url": "/"}}, "public_url": "https://cdn.example.com"},
			"with a public_url every URL of the site would be one of media: name the path of the uploads, as `root " + dir + "/www/images /images/`"},
		{"URL with a star", root(dir+"/www/images", "/images/*"), "the URL \"/images/*\" must be a plain path"},
		{"URL with a query", root(dir+"/www/images", "/images/?v=1"), "must be a plain path"},
		{"app swapped", map[string]any{"app": map[string]any{"preset": dir, "docroot": "wordpress"}}, "the preset comes first: write `app wordpress " + dir + "`"},
		{"pattern is a URL", map[string]any{"no_rewrite": []any{"https://www.example.com/x"}}, "is a URL: write the path alone, as /x"},
		{"endpoint with the bucket", map[string]any{"bucket": map[string]any{"url": "s3://abc", "endpoint": "http://minio:9000/abc", "access_key": "a", "secret_key": "b"}},
			"the endpoint ends with the bucket's name: write http://minio:9000"},
		{"site_hosts with a URL", map[string]any{"site_hosts": []any{"https://www.example.com/"}}, "site_hosts: \"https://www.example.com/\" is no name of a host: write www.example.com"},
		{"site_hosts with a path", map[string]any{"site_hosts": []any{"www.example.com/blog"}}, "is no name of a host: write www.example.com"},
		{"site_hosts with a comma", map[string]any{"site_hosts": []any{"a.example,b.example"}}, "separate several by spaces"},
		{"site_hosts with a star", map[string]any{"site_hosts": []any{"*.example.com"}}, "write each name"},
		{"root is a file", root(file, "/images/"), "the media root " + file + ": " + file + " is not a directory"},
		{"root below a file", root(file+"/images", "/images/"), "the media root " + file + "/images: " + file + " is not a directory"},
		{"bucket is a file", map[string]any{"bucket": map[string]any{"url": "file://" + file}}, "the bucket file://" + file + ": " + file + " is not a directory"},
		{"bucket below a file", map[string]any{"bucket": map[string]any{"url": "file://" + file + "/b"}}, file + " is not a directory"},
		{"bad pattern", map[string]any{"private": []any{"["}}, "private"},
		{"other scheme", map[string]any{"bucket": map[string]any{"url": "ftp://x"}}, "only s3:// and file:// are known"},
		{"directory without scheme", map[string]any{"bucket": map[string]any{"url": "/srv/bucket"}}, "write file:// before its path"},
		{"secret in URL", map[string]any{"bucket": map[string]any{"url": "s3://key:hunter2@b"}}, "credentials do not belong in the URL"},
		{"S3 option for a directory", map[string]any{"bucket": map[string]any{"url": "file:///srv/b", "region": "x"}}, "bucket: region is for s3:// only"},
		{"unknown placeholder", map[string]any{"bucket": map[string]any{"url": "s3://{nothing}"}}, "unrecognized placeholder {nothing}"},
		{"unset variable", map[string]any{"bucket": map[string]any{"url": "s3://{env.MEDIA_OFFLOAD_UNSET}"}}, "is empty"},
		{"half of the keys", map[string]any{"bucket": map[string]any{"url": "s3://abc", "access_key": "k"}}, "access key and secret key go together"},
		{"presign a directory", map[string]any{"serve": "presign"}, "serve presign needs a bucket on s3://"},
		{"redirect to nowhere", map[string]any{"serve": "redirect"}, "serve redirect needs a public_url"},
		{"serve", map[string]any{"serve": "x"}, "none of proxy, redirect, presign"},
		{"on_failure", map[string]any{"on_failure": "x"}, "none of pass, reject"},
		{"local", map[string]any{"local": "x"}, "none of all, own"},
		{"health", map[string]any{"health": "health"}, "is not a URL path"},
		{"health with query", map[string]any{"health": "/health?x"}, "is not a URL path"},
		{"ready_wait", map[string]any{"ready_wait": -1}, "ready_wait: must be positive"},
		{"uploads_per_client", map[string]any{"uploads_per_client": -1}, "uploads_per_client: must be positive"},
		{"slow_body", map[string]any{"slow_body": -1}, "slow_body: must be positive"},
		{"slow_body_after", map[string]any{"slow_body_after": -1}, "slow_body: must be positive"},
		{"deletes", map[string]any{"deletes": "x"}, "none of requests, always, never"},
		{"hold", map[string]any{"hold": -1}, "hold: must be positive"},
		{"hold_buffer", map[string]any{"hold_buffer": -1}, "hold_buffer: must be positive"},
		{"workers", map[string]any{"workers": -1}, "workers and index_size must be positive"},
		{"public_url without scheme", map[string]any{"public_url": "cdn.example.com"}, "not an absolute http or https URL"},
		{"public_url without scheme, with a port", map[string]any{"public_url": "127.0.0.1:18613"}, "\"127.0.0.1:18613\" is not an absolute http or https URL: write the scheme, as https://127.0.0.1:18613"},
		{"public_url without scheme, with a port and a name", map[string]any{"public_url": "localhost:8080/media"}, "write the scheme, as https://localhost:8080/media"},
		{"public_url without a host", map[string]any{"public_url": "/media"}, "not an absolute http or https URL, as https://cdn.example.com/media"},
		{"public_url with an impossible port", map[string]any{"public_url": "https://cdn.example.com:99999"}, "99999 is no port"},
		{"public_url with a space", map[string]any{"public_url": "https://cdn example.com/"}, "not an absolute http or https URL"},
		{"public_url with query", map[string]any{"public_url": "https://cdn.example.com/?x=1"}, "a key is appended to the URL"},
		{"public_url with secret", map[string]any{"public_url": "https://u:p@cdn.example.com/"}, "a key is appended to the URL"},
		{"prefixes", map[string]any{"bucket": map[string]any{"url": "file:///srv/b", "private_prefix": "media/private"}}, "lies below prefix"},
		{"private reads", map[string]any{"private_reads": "no"}, `private_reads: "no" is none of deny, app`},
		{"presign too long", map[string]any{"serve": "presign", "presign_ttl": "8d"}, "between 1s and 7d"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestSite(t, notFound)
			for field, value := range test.change {
				s.handler[field] = value
			}
			err := s.load()
			if err == nil {
				_ = caddy.Stop()
				t.Fatal("the config was taken")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error: %v\nwant:  %s", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "u:p") {
				t.Errorf("a secret in %v", err)
			}
			if all := liveEngines(); len(all) != 0 {
				t.Errorf("%d engines are left", len(all))
			}
		})
	}
}

// A wait that ends before the names of a killed server are free is worth a line
// in the log, where there may be several servers.
func TestReadyWaitWarning(t *testing.T) {
	for _, test := range []struct {
		local string
		wait  time.Duration
		warns bool
	}{
		{"all", 0, false}, // the default
		{"all", leaseWait, false},
		{"all", leaseWait - time.Second, true},
		{"own", time.Second, false},
	} {
		var log strings.Builder
		h := &Handler{Local: test.local, ReadyWait: caddy.Duration(test.wait)}
		h.setDefaults()
		h.warn(slog.New(slog.NewTextHandler(&log, nil)))
		if warned := strings.Contains(log.String(), "ready_wait"); warned != test.warns {
			t.Errorf("local %s, ready_wait %s: %q", test.local, test.wait, log.String())
		}
	}
}

// A root that does not exist yet is no mistake, though a directory of the server
// may have the path of its URL.
func TestRootsThatAreRight(t *testing.T) {
	dir := t.TempDir()
	for _, below := range []string{"media", "www/images"} {
		if err := os.MkdirAll(filepath.Join(dir, below), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, root := range [][2]string{
		{dir + "/www/images", "/images/"},
		{dir + "/www/tmp", "/tmp/"},
		{dir + "/www/files", dir + "/media/"},     // something of it exists
		{"/no-such-media", "/not/here/either/"},   // a volume that is mounted later
		{"/no-such-media", "/not/no-such-media/"}, // likewise
		{dir + "/www/images", dir + "/media/"},
		{"/no-such-media" + dir, dir}, // it ends with its URL
	} {
		s := newTestSite(t, notFound)
		s.handler["app"], s.handler["roots"] = nil, []any{map[string]any{"dir": root[0], "url": root[1]}}
		if err := caddy.Validate(s.parsed()); err != nil {
			t.Errorf("root %s %s: %v", root[0], root[1], err)
		}
	}
}

// A root that holds more than media is worth a line in the log that says what it
// means.
func TestWideRootWarning(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"app/index.php":    repeat("<?php require 'app.php'; ", 400),
		"images/index.php": "<?php\n// Silence is golden.\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ dir, url, want string }{
		{dir + "/images", "/images/", ""},
		{dir + "/app", "/", "its URL is the whole site's"},
		{dir + "/app", "/blog/", "its directory has an app's index.php"},
		{dir + "/images", "/", "its URL is the whole site's"},
	} {
		var log strings.Builder
		s := engineSettings{Media: media.Config{Roots: []media.Root{{Dir: test.dir, URL: test.url}}}}
		s.warn(slog.New(slog.NewTextHandler(&log, nil)))
		text := log.String()
		if (test.want == "") != (text == "") || !strings.Contains(text, test.want) {
			t.Errorf("root %s %s: %q", test.dir, test.url, text)
		}
		if test.want != "" && !strings.Contains(text, "all files below it are media") {
			t.Errorf("root %s %s: %q does not say what that means", test.dir, test.url, text)
		}
	}
}

// A directory that is not there may be mistyped: the log has a line about it.
func TestMissingDirectoryWarning(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		config media.Config
		want   string
	}{
		{media.Config{Roots: []media.Root{{Dir: dir + "/upp", URL: "/up/"}}}, "the media root does not exist"},
		{media.Config{Roots: []media.Root{{Dir: dir, URL: "/up/"}}}, ""},
		{media.Config{Preset: "wordpress", DocRoot: dir}, "has no index.php"},
	} {
		var log strings.Builder
		s := engineSettings{Media: test.config}
		s.warn(slog.New(slog.NewTextHandler(&log, nil)))
		if text := log.String(); (test.want == "") != (text == "") || !strings.Contains(text, test.want) || !strings.Contains(text, dir) && test.want != "" {
			t.Errorf("%+v: %q", test.config, text)
		}
	}
}
