package bucket_test

import (
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/dir"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/s3"
)

// go test -run - -bench . ./caddymodule/internal/bucket

func forEachStore(b *testing.B, bench func(*testing.B, bucket.Store)) {
	for name, open := range map[string]func(*testing.B) bucket.Store{
		"dir": func(b *testing.B) bucket.Store {
			s, err := dir.Open(filepath.Join(b.TempDir(), "bucket"), nil)
			if err != nil {
				b.Fatal(err)
			}
			return s
		},
		"versitygw": func(b *testing.B) bucket.Store { return openBench(b, buckettest.StartVersityGW(b)) },
		"minio":     func(b *testing.B) bucket.Store { return openBench(b, buckettest.StartMinIO(b)) },
	} {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			defer s.Close()
			bench(b, s)
		})
	}
}

func openBench(b *testing.B, cfg s3.Config) bucket.Store {
	s, err := s3.Open(cfg, nil)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkPut8 stores the files of one uploaded image: 8 of 50 KB at once.
func BenchmarkPut8(b *testing.B) {
	forEachStore(b, func(b *testing.B, s bucket.Store) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			var files sync.WaitGroup
			for i := range 8 {
				files.Go(func() {
					key := fmt.Sprintf("media/2026/11/%d-%d.jpg", n, i)
					body := buckettest.Pattern{Seed: uint64(i), Size: 50_000}
					if _, err := s.Put(b.Context(), key, body, body.Size, bucket.PutOptions{Public: true}); err != nil {
						b.Error(err)
					}
				})
			}
			files.Wait()
		}
	})
}

func BenchmarkGet(b *testing.B) {
	forEachStore(b, func(b *testing.B, s bucket.Store) {
		body := buckettest.Pattern{Size: 50_000}
		if _, err := s.Put(b.Context(), "media/2026/11/a.jpg", body, body.Size, bucket.PutOptions{}); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.SetBytes(body.Size)
		for b.Loop() {
			o, err := s.Get(b.Context(), "media/2026/11/a.jpg", bucket.GetOptions{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, o.Body); err != nil {
				b.Fatal(err)
			}
			_ = o.Body.Close()
		}
	})
}

// BenchmarkListDir lists 10,000 objects in 10 directories.
func BenchmarkListDir(b *testing.B) {
	s, err := dir.Open(filepath.Join(b.TempDir(), "bucket"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var writers sync.WaitGroup
	for dir := range 10 {
		writers.Go(func() {
			for i := range 1000 {
				body := buckettest.Pattern{Size: 10}
				if _, err := s.Put(b.Context(), fmt.Sprintf("media/%d/%d.jpg", dir, i), body, body.Size, bucket.PutOptions{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	writers.Wait()
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range s.List(b.Context(), "", "") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 10_000 {
			b.Fatal(n)
		}
	}
}
