package bucket

import (
	"strings"
	"testing"
)

func TestParseSpec(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]location{
		"s3://photos":                  {bucket: "photos"},
		"s3://photos/":                 {bucket: "photos"},
		"s3://photos/site1":            {bucket: "photos", prefix: "site1/"},
		"s3://photos/a/b/":             {bucket: "photos", prefix: "a/b/"},
		"s3://my.old_Bucket/a%20b":     {bucket: "my.old_Bucket", prefix: "a b/"},
		"file:///srv/media":            {dir: "/srv/media"},
		"file:///srv/media/":           {dir: "/srv/media"},
		"file:///srv//media":           {dir: "/srv/media"},
		"file:///srv/my%20media%3F":    {dir: "/srv/my media?"},
		"s3://photos/wp-content/ü/%25": {bucket: "photos", prefix: "wp-content/ü/%/"},
	} {
		if got, err := parseSpec(spec); err != nil || got != want {
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
		_, err := parseSpec(spec)
		if err == nil || !strings.Contains(err.Error(), advice) {
			t.Errorf("%q: got %v, want advice with %q", spec, err, advice)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: the error repeats what may be a secret: %v", spec, err)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	s, prefix, err := Open("file://"+t.TempDir(), Options{})
	if err != nil || prefix != "" {
		t.Fatal(prefix, err)
	}
	_ = s.Close()
	s, prefix, err = Open("s3://photos/site1", Options{S3: S3Config{Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "b"}})
	if err != nil || prefix != "site1/" || s.String() != "s3://photos at http://127.0.0.1:1" {
		t.Fatal(s, prefix, err)
	}
	_ = s.Close()
	if _, _, err := Open("s3://photos", Options{S3: S3Config{Bucket: "other"}}); err == nil {
		t.Error("two names of one bucket were taken")
	}
	if s, _, err := Open("s3://photos", Options{S3: S3Config{AccessKey: "a"}}); err == nil || s != nil {
		t.Errorf("a wrong configuration gave %v, %v", s, err)
	}
}

func FuzzParseSpec(f *testing.F) {
	for _, spec := range []string{"s3://photos/a", "file:///srv", "s3:/x", "s3://a:b@c/d?e#f", "file:///%2e%2e/x", "s3://x%2Fy/z"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		got, err := parseSpec(spec)
		if err != nil {
			return
		}
		if (got.dir == "") == (got.bucket == "") {
			t.Errorf("%q is %+v", spec, got)
		}
		if got.prefix != "" && (CheckKey(strings.TrimSuffix(got.prefix, "/")) != nil || !strings.HasSuffix(got.prefix, "/")) {
			t.Errorf("%q has the prefix %q", spec, got.prefix)
		}
		if got.dir != "" && (!strings.HasPrefix(got.dir, "/") || got.dir == "/" || strings.Contains(got.dir+"/", "/../")) {
			t.Errorf("%q has the directory %q", spec, got.dir)
		}
		if got.bucket != "" && !isBucketName(got.bucket) {
			t.Errorf("%q has the bucket %q", spec, got.bucket)
		}
	})
}
