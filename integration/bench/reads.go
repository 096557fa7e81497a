package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
)

const (
	readsBudget = 15 * time.Second // for each of the comparisons
	readsTarget = 0.95
	uploads     = "/wp-content/uploads/"
)

// readFile is a size of file that is read, and how often in a block.
type readFile struct {
	name  string
	size  int
	block int
}

var readFiles = []readFile{{"50 KB", 50_000, 400}, {"2 MB", 2_000_000, 60}}

func (f readFile) key(from string) string { return fmt.Sprintf("2026/11/%s-%d.mp4", from, f.size) }

// reads are media files through the module: those on disk beside file_server,
// those that only the bucket has beside a plain proxy to the store.
func (b *bench) reads() error {
	s, err := b.readSite()
	if err != nil {
		return err
	}
	b.report.heading("reading media files, %d connections", connections)
	rows := [][]string{{"", "requests/s, plain", "with media_offload", "ratio", "CPU ms, plain", "with media_offload", "ratio", "rounds"}}
	for _, from := range []struct {
		key, name   string
		plain, this *env.Caddy
		plainURL    string
	}{
		{"local", "on disk; plain is file_server", s.files, s.this, s.filesURL},
		{"remote", "in the bucket; plain is reverse_proxy", s.proxy, s.this, s.proxyURL},
	} {
		for _, file := range readFiles {
			plain := load{address: from.plainURL + uploads + file.key(from.key), n: file.block}
			this := load{address: s.thisURL + uploads + file.key(from.key), n: file.block}
			all, err := b.compare(readsBudget, contender{plain, from.plain.Process}, contender{this, from.this.Process})
			if err != nil {
				return err
			}
			ratio := all[1].perSecond.over(all[0].perSecond)
			name := file.name + " " + from.name
			rows = append(rows, []string{
				name, all[0].perSecond.text("%.0f"), all[1].perSecond.text("%.0f"), ratio.text("%.3f"),
				all[0].cpu.text("%.3f"), all[1].cpu.text("%.3f"), all[1].cpu.over(all[0].cpu).text("%.2f"), fmt.Sprint(len(ratio)),
			})
			if from.key == "local" {
				b.report.atLeast("read of "+file.name+" on disk, requests/s ÷ file_server's", ratio, "%.3f", readsTarget)
			}
			if err := b.profileLoad(fmt.Sprintf("read-%s-%d", from.key, file.size), s.this, this); err != nil {
				return err
			}
		}
	}
	b.report.table(rows)
	b.report.note("  The store is versitygw on this machine. The plain proxy asks it anonymously, which the bucket's policy allows; the module signs.")
	return nil
}

// readSite serves the same media in three ways.
type readSite struct {
	files, proxy, this          *env.Caddy
	filesURL, proxyURL, thisURL string
}

func (b *bench) readSite() (*readSite, error) {
	content := map[string][]byte{}
	for i, file := range readFiles {
		for _, from := range []string{"local", "remote"} {
			content[uploads[1:]+file.key(from)] = sample.MP4("", file.size, uint64(i)).Content
		}
	}
	dir, err := b.folder("reads", content)
	if err != nil {
		return nil, err
	}
	server, err := b.env.Versitygw()
	if err != nil {
		return nil, err
	}
	bucket, err := server.NewBucket("reads", "site1/")
	if err != nil {
		return nil, err
	}
	public, err := bucket.Publish()
	if err != nil {
		return nil, err
	}
	s := new(readSite)
	files := fmt.Sprintf("\troot * %s\n\tfile_server\n", dir)
	if s.files, s.filesURL, err = b.caddy(b.plainCaddy, files); err != nil {
		return nil, err
	}
	if s.proxy, s.proxyURL, err = b.caddy(b.plainCaddy, fmt.Sprintf(
		"\thandle_path %s* {\n\t\trewrite * /%s/%smedia{path}\n\t\treverse_proxy %s {\n\t\t\theader_up Host {upstream_hostport}\n\t\t}\n\t}\n",
		uploads, bucket.Name, bucket.Prefix, hostPort(public))); err != nil {
		return nil, err
	}
	directive := fmt.Sprintf("\tmedia_offload {\n\t\tapp wordpress %s\n\t\t%s\t\tserve proxy\n\t\tdeletes requests\n\t}\n", dir, bucket.Caddyfile())
	if s.this, s.thisURL, err = b.caddy(b.thisCaddy, directive+files); err != nil {
		return nil, err
	}
	return s, b.dropLocalCopies(s, bucket, dir)
}

// dropLocalCopies waits until all files are in the bucket, and removes from
// disk those that are to be read from there. No request is running, so the
// module does not take that for the app's deletes.
func (b *bench) dropLocalCopies(s *readSite, bucket *env.S3Bucket, dir string) error {
	err := b.until("all files are in the bucket", func() (bool, error) {
		objects, err := bucket.Objects(b.ctx)
		if err != nil {
			return false, err
		}
		for _, file := range readFiles {
			for _, from := range []string{"local", "remote"} {
				if objects["media/"+file.key(from)] == "" {
					return false, nil
				}
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, file := range readFiles {
		if err := os.Remove(filepath.Join(dir, uploads, file.key("remote"))); err != nil {
			return fmt.Errorf("removing a local copy: %w", err)
		}
		for _, address := range []string{s.proxyURL, s.thisURL} {
			body, err := fetch(b.ctx, address+uploads+file.key("remote"), "")
			if err != nil {
				return err
			}
			if len(body) != file.size {
				return fmt.Errorf("%s sends %d bytes of the file of %s", address, len(body), file.name)
			}
		}
	}
	return nil
}
