package offload

import (
	"io"
	"log/slog"
	"path"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
)

// onEveryStore runs a test of several nodes with a directory as the bucket, and
// with real servers.
func onEveryStore(t *testing.T, test func(t *testing.T, newNodes func(n int) nodes)) {
	for name, start := range map[string]func(testing.TB) s3.Config{
		"dir": nil, "versitygw": buckettest.StartVersityGW, "minio": buckettest.StartMinIO,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if start == nil {
				test(t, func(n int) nodes { return newNodes(t, n) })
				return
			}
			server := start(t)
			test(t, func(n int) nodes {
				ns := newNodes(t, n)
				for _, s := range ns {
					s.s3 = &server
				}
				return ns
			})
		})
	}
}

// open opens the site's bucket.
func (s *site) open() bucket.Store {
	s.t.Helper()
	if s.store != nil {
		return s.store
	}
	logger := slog.New(slog.DiscardHandler)
	var store bucket.Store
	var err error
	if s.s3 != nil {
		store, err = s3.Open(*s.s3, logger)
	} else {
		store, err = dir.Open(s.bucket, logger)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return store
}

// openAsAdmin opens the site's bucket for a look at it.
func (s *site) openAsAdmin() bucket.Store {
	s.t.Helper()
	if s.admin == nil {
		return s.open()
	}
	store, err := s3.Open(*s.admin, slog.New(slog.DiscardHandler))
	mustDo(s.t, err)
	return store
}

// below returns the contents of all objects with a prefix, by the rest of their
// names.
func (s *site) below(prefix string) map[string]string {
	s.t.Helper()
	if s.s3 == nil {
		return readTree(s.t, s.bucket+"/"+prefix, func(string) bool { return true })
	}
	store := s.openAsAdmin()
	defer store.Close()
	all := map[string]string{}
	for info, err := range store.List(s.t.Context(), prefix, "") {
		if err != nil {
			s.t.Fatal(err)
		}
		if health.IsTrial(path.Base(info.Key)) {
			continue
		}
		o, err := store.Get(s.t.Context(), info.Key, bucket.GetOptions{})
		if err != nil {
			continue // deleted meanwhile
		}
		content, err := io.ReadAll(o.Body)
		_ = o.Body.Close()
		if err != nil {
			s.t.Fatal(err)
		}
		all[strings.TrimPrefix(info.Key, prefix)] = string(content)
	}
	return all
}
