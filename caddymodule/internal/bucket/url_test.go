package bucket

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]Location{
		"s3://photos":                  {Bucket: "photos"},
		"s3://photos/":                 {Bucket: "photos"},
		"s3://photos/site1":            {Bucket: "photos", Prefix: "site1/"},
		"s3://photos/a/b/":             {Bucket: "photos", Prefix: "a/b/"},
		"s3://my.old_Bucket/a%20b":     {Bucket: "my.old_Bucket", Prefix: "a b/"},
		"file:///srv/media":            {Dir: "/srv/media"},
		"file:///srv/media/":           {Dir: "/srv/media"},
		"file:///srv//media":           {Dir: "/srv/media"},
		"file:///srv/my%20media%3F":    {Dir: "/srv/my media?"},
		"s3://photos/wp-content/ü/%25": {Bucket: "photos", Prefix: "wp-content/ü/%/"},
	} {
		if got, err := ParseURL(spec); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", spec, got, err, want)
		}
	}
	for spec, advice := range map[string]string{
		"":                            "s3://bucket",
		"photos":                      "s3://bucket",
		"s3:/photos":                  "s3://bucket",
		"s3:photos":                   "s3://bucket",
		"/srv/media":                  "file://",
		"s3://":                       "name is missing",
		"s3:///photos":                "name is missing",
		"s3://ab":                     "3 to 63",
		"s3://photos!":                "3 to 63",
		"s3://key:hush@photos":        "access_key",
		"s3://hush@photos/x":          "access_key",
		"s3://s3.example.com:9000/b":  "endpoint",
		"s3://photos?region=hush":     "%3F",
		"s3://photos#hush":            "%23",
		"s3://photos/a//b":            "empty",
		"s3://photos/../x":            "..",
		"s3://photos/a%00b":           "control",
		"s3://photos/a\nb":            "control",
		"s3://photos/100%":            "%25",
		"file://srv/media":            "three slashes",
		"file://":                     "three slashes",
		"file:///":                    "root directory",
		"file:///srv/../etc":          "..",
		"file:///srv?x=hush":          "%3F",
		"https://s3.example.com/hush": "only s3://",
		"gs://photos":                 "only s3://",
		"S3://photos":                 "only s3://",
	} {
		_, err := ParseURL(spec)
		if err == nil || !strings.Contains(err.Error(), advice) {
			t.Errorf("%q: got %v, want advice with %q", spec, err, advice)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: the error repeats what may be a secret: %v", spec, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, spec := range []string{"s3://photos/a", "file:///srv", "s3:/x", "s3://a:b@c/d?e#f", "file:///%2e%2e/x", "s3://x%2Fy/z"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		got, err := ParseURL(spec)
		if err != nil {
			return
		}
		if (got.Dir == "") == (got.Bucket == "") {
			t.Errorf("%q is %+v", spec, got)
		}
		if got.Prefix != "" && (CheckKey(strings.TrimSuffix(got.Prefix, "/")) != nil || !strings.HasSuffix(got.Prefix, "/")) {
			t.Errorf("%q has the prefix %q", spec, got.Prefix)
		}
		if got.Dir != "" && (!strings.HasPrefix(got.Dir, "/") || got.Dir == "/" || strings.Contains(got.Dir+"/", "/../")) {
			t.Errorf("%q has the directory %q", spec, got.Dir)
		}
		if got.Bucket != "" && !IsBucketName(got.Bucket) {
			t.Errorf("%q has the bucket %q", spec, got.Bucket)
		}
	})
}
