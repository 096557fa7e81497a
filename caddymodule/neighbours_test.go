package caddymodule

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// Blocks of one configuration whose sites would take each other's files for
// their own, and a bucket that would be stored in itself, are refused when the
// configuration is loaded.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one."
func TestNeighbours(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one/images", "two/images", "b/media", "bucket/below", "real"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "one/images", "bucketlink": "bucket"} {
		if err := os.Symlink(filepath.Join(dir, to), filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	// A block is a root and a bucket; DIR/ is the directory of this test.
	const s3 = "s3://photos"
	type block struct {
		root, bucket string
		more         map[string]any // of the handler
		inBucket     map[string]any // further options of its bucket
	}
	for _, test := range []struct {
		name   string
		blocks []block
		want   string // "" if it is taken
	}{
		{"two sites, two buckets", []block{{root: "DIR/one/images", bucket: "file://DIR/b1"}, {root: "DIR/two/images", bucket: "file://DIR/b2"}}, ""},
		{"two sites, two prefixes", []block{{root: "DIR/one/images", bucket: s3 + "/one"}, {root: "DIR/two/images", bucket: s3 + "/two"}}, ""},
		{"a prefix and one below it", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/two/images", bucket: s3 + "/two"}}, ""},
		{"one name of a bucket begins another", []block{{root: "DIR/one/images", bucket: s3 + "/one"}, {root: "DIR/two/images", bucket: s3 + "/one2"}}, ""},
		{"one site, two blocks", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/one/images", bucket: s3, more: map[string]any{"public_url": "https://cdn.test/"}}}, ""},
		{"other stores", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/two/images", bucket: s3, inBucket: map[string]any{"endpoint": "http://127.0.0.1:1"}}}, ""},

		{"two sites, one bucket", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/two/images", bucket: s3}},
			`the sites DIR/one/images and DIR/two/images share names that begin with "media/" in the bucket s3://photos`},
		{"two sites, one prefix", []block{{root: "DIR/one/images", bucket: s3 + "/x"}, {root: "DIR/two/images", bucket: s3 + "/x/"}}, `"x/media/"`},
		{"two sites, one directory", []block{{root: "DIR/one/images", bucket: "file://DIR/bucket"}, {root: "DIR/two/images", bucket: "file://DIR/bucket/"}}, "share names"},
		{"one directory by a link", []block{{root: "DIR/one/images", bucket: "file://DIR/bucket"}, {root: "DIR/two/images", bucket: "file://DIR/bucketlink"}}, "share names"},
		{"a prefix in another's", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/two/images", bucket: s3 + "/media/two"}}, `"media/two/media/"`},
		{"one of the prefixes", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/two/images", bucket: s3, inBucket: map[string]any{
			"public_prefix": "m", "private_prefix": "p",
		}}}, `"offload/"`},
		{"a bucket's directory in another's", []block{{root: "DIR/one/images", bucket: "file://DIR/bucket"}, {root: "DIR/two/images", bucket: "file://DIR/bucketlink/below"}}, "lie one in the other"},

		{"one root, two buckets", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/one/images", bucket: s3 + "/two"}}, "two media_offload blocks have the media root DIR/one/images"},
		{"one root by a link", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/link", bucket: s3 + "/two"}}, "two media_offload blocks have the media root"},
		{"one root, other settings", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/one/images", bucket: s3, more: map[string]any{"workers": 3}}}, "or with other settings"},
		{"a root in another's", []block{{root: "DIR/one", bucket: s3}, {root: "DIR/link", bucket: s3 + "/two"}}, "lie one in the other"},

		{"a bucket in its root", []block{{root: "DIR/one/images", bucket: "file://DIR/one/images/bucket"}}, "lies in the media root DIR/one/images"},
		{"a bucket in its root by a link", []block{{root: "DIR/one/images", bucket: "file://DIR/link/new"}}, "lies in the media root"},
		{"a bucket in its linked root", []block{{root: "DIR/link", bucket: "file://DIR/one/images/new"}}, "lies in the media root"},
		{"a bucket that is its root", []block{{root: "DIR/one/images", bucket: "file://DIR/one/images"}}, "lies in the media root"},
		{"a bucket in another's root", []block{{root: "DIR/one/images", bucket: s3}, {root: "DIR/two/images", bucket: "file://DIR/one/images/b"}}, "lies in the media root DIR/one/images"},
		{"a root in its bucket", []block{{root: "DIR/bucket/below", bucket: "file://DIR/bucket"}}, "lies in the bucket file://DIR/bucket"},
		{"a root in another's bucket", []block{{root: "DIR/bucket/not/yet", bucket: s3}, {root: "DIR/two/images", bucket: "file://DIR/bucket"}}, "lies in the bucket file://DIR/bucket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestSite(t, notFound)
			here := func(text string) string { return strings.ReplaceAll(text, "DIR", dir) }
			var handlers []map[string]any
			for _, b := range test.blocks {
				options := map[string]any{"url": here(b.bucket)}
				if strings.HasPrefix(b.bucket, "s3:") {
					maps.Copy(options, map[string]any{"endpoint": "http://127.0.0.1:2", "access_key": "k", "secret_key": "s"})
				}
				maps.Copy(options, b.inBucket)
				h := map[string]any{
					"handler": "media_offload", "cors_check": "off", "bucket": options,
					"roots": []any{map[string]any{"dir": here(b.root), "url": "/images/"}},
				}
				maps.Copy(h, b.more)
				handlers = append(handlers, h)
			}
			s.before, s.handler = handlers[:len(handlers)-1], handlers[len(handlers)-1]
			err := caddy.Validate(s.parsed())
			switch {
			case err == nil && test.want != "":
				t.Error("the configuration was taken")
			case err != nil && (test.want == "" || !strings.Contains(err.Error(), here(test.want))):
				t.Errorf("error: %v\nwant:  %s", err, here(test.want))
			}
			if all := liveEngines(); len(all) != 0 {
				t.Errorf("%d engines are left", len(all))
			}
		})
	}
}

// parsed is the site's configuration as Caddy reads it.
func (s *testSite) parsed() *caddy.Config {
	s.t.Helper()
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(s.config(), cfg); err != nil {
		s.t.Fatal(err)
	}
	return cfg
}
