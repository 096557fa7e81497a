package dir

import (
	"path"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

func FuzzKeyNames(f *testing.F) {
	for _, key := range []string{"", "a", "/a", "a//b", "a/../b", "a\x00", "a\xff", strings.Repeat("a", 256), "é/日.jpg", "a.json/b", ".nfs1"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if bucket.CheckKey(key) != nil {
			return
		}
		if dirKeyFault(key) == "" && isReserved(strings.SplitN(key, "/", 2)[0]) {
			t.Errorf("%q was taken for a directory", key)
		}
		meta := metaName(key)
		if path.Clean(meta) != meta || !strings.HasPrefix(meta, dirMeta+"/") {
			t.Errorf("%q has the record %q", key, meta)
		}
	})
}
