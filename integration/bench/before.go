package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
)

const (
	beforeBudget = 40 * time.Second // for each kind of work
	// beforeTarget is how much more processor time than before anything may take.
	beforeTarget = 1.03
	// uploadsInBlock are sent one after another, each of which makes filesOfUpload.
	uploadsInBlock = 10
	filesOfUpload  = 4
)

// version is this program or the earlier one.
type version struct {
	binary string
	caddy  *env.Caddy
	url    string
}

// before compares this program with an earlier one: pages, media reads, uploads, and
// the comparison of disk and bucket with which a server starts.
func (b *bench) before() error {
	versions := [2]*version{{binary: b.options.before}, {binary: b.thisCaddy}}
	b.report.heading("this program beside the earlier one")
	rows := [][]string{{"", "CPU, ms, before", "now", "ratio", "time, ratio", "rounds"}}
	for _, work := range []struct {
		name string
		run  func([2]*version) ([]samples, error)
	}{
		{"page, seen before", b.pageBefore("/")},
		{"page, another each time", b.pageBefore(changingPath)},
		{"media file on disk, 50 KB", b.readBefore},
		{fmt.Sprintf("upload of %d files", filesOfUpload), b.uploadBefore},
		{fmt.Sprintf("start with %d files", b.options.keys), b.startBefore},
	} {
		all, err := work.run(versions)
		if err != nil {
			return fmt.Errorf("%s: %w", work.name, err)
		}
		before, now := all[0], all[1]
		cpu := now.cpu.over(before.cpu)
		rows = append(rows, []string{
			work.name, before.cpu.text("%.3f"), now.cpu.text("%.3f"), cpu.text("%.3f"),
			before.perSecond.over(now.perSecond).text("%.3f"), fmt.Sprint(len(cpu)),
		})
		b.report.atMost(work.name+", CPU ÷ before", cpu, "%.3f", beforeTarget)
	}
	b.report.table(rows)
	return nil
}

// pageBefore gets a page of the typical site.
func (b *bench) pageBefore(path string) func([2]*version) ([]samples, error) {
	return func(versions [2]*version) ([]samples, error) {
		site, err := b.typicalSite()
		if err != nil {
			return nil, err
		}
		contenders := make([]contender, len(versions))
		for i, v := range versions {
			caddy, address, err := b.typicalCaddy(site, v.binary)
			if err != nil {
				return nil, err
			}
			contenders[i] = contender{load{address: address + path, host: pageHost, n: rewritingBlock}, caddy.Process}
		}
		return b.compare(beforeBudget, contenders...)
	}
}

// readBefore reads a media file that is on disk.
func (b *bench) readBefore(versions [2]*version) ([]samples, error) {
	file := readFiles[0]
	contenders := make([]contender, len(versions))
	for i, v := range versions {
		dir, err := b.folder("before-reads", map[string][]byte{uploads[1:] + file.key("local"): sample.MP4("", file.size, 1).Content})
		if err != nil {
			return nil, err
		}
		bucket, err := b.env.DirBucket("before-reads-bucket")
		if err != nil {
			return nil, err
		}
		directives := fmt.Sprintf("root * %s\nmedia_offload {\n\tapp wordpress %s\n\t%s}\nfile_server\n", dir, dir, bucket.Caddyfile())
		caddy, address, err := b.caddy(v.binary, directives)
		if err != nil {
			return nil, err
		}
		if err := b.until("the server runs", func() (bool, error) { return running(caddy) }); err != nil {
			return nil, err
		}
		contenders[i] = contender{load{address: address + uploads + file.key("local"), n: file.block}, caddy.Process}
	}
	return b.compare(beforeBudget, contenders...)
}

// uploadBefore uploads to an app that writes a few files for each request.
func (b *bench) uploadBefore(versions [2]*version) ([]samples, error) {
	server, err := b.env.Versitygw()
	if err != nil {
		return nil, err
	}
	for i, v := range versions {
		dir, err := b.env.Folder("before-uploads", nil)
		if err != nil {
			return nil, err
		}
		app, err := b.env.ServeHandler(&thumbnailer{root: filepath.Join(dir, filepath.FromSlash(mediaPath))})
		if err != nil {
			return nil, err
		}
		bucket, err := server.NewBucket(fmt.Sprintf("before%d", i), "site1/")
		if err != nil {
			return nil, err
		}
		directives := fmt.Sprintf("media_offload {\n\tapp wordpress %s\n\t%s}\nreverse_proxy %s\n", dir, bucket.Caddyfile(), hostPort(app))
		if v.caddy, v.url, err = b.caddy(v.binary, directives); err != nil {
			return nil, err
		}
		if err := b.until("the server runs", func() (bool, error) { return running(v.caddy) }); err != nil {
			return nil, err
		}
	}
	return b.turns(versions, uploadsInBlock, b.uploadBlock)
}

// uploadBlock sends a block of uploads.
func (b *bench) uploadBlock(v *version) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("async-upload", "photo.jpg")
	if err != nil {
		return fmt.Errorf("making a form: %w", err)
	}
	_, _ = part.Write(sample.JPEG("photo.jpg", 0.05, 1).Content) // to memory
	if err := form.Close(); err != nil {
		return fmt.Errorf("making a form: %w", err)
	}
	for range uploadsInBlock {
		req, err := http.NewRequestWithContext(b.ctx, http.MethodPost, v.url+uploadPath, bytes.NewReader(body.Bytes()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", form.FormDataContentType())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("uploading: %w", err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusCreated {
			err = fmt.Errorf("uploading: %s", resp.Status)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// thumbnailer is an app that stores what is uploaded, and copies of it.
type thumbnailer struct {
	root  string // of the media
	count int
}

// ServeHTTP implements http.Handler. Requests come one after another.
func (t *thumbnailer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, _, err := r.FormFile("async-upload")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	content, err := io.ReadAll(file)
	if err == nil {
		err = os.MkdirAll(filepath.Join(t.root, "2026", "11"), 0o755)
	}
	t.count++
	for i := 0; i < filesOfUpload && err == nil; i++ {
		name := fmt.Sprintf("photo%dx-%d.jpg", t.count, i)
		err = os.WriteFile(filepath.Join(t.root, "2026", "11", name), content, 0o644)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// startBefore starts a server whose disk and bucket have the same files, and waits
// until they have been compared.
func (b *bench) startBefore(versions [2]*version) ([]samples, error) {
	for _, v := range versions {
		files := make(map[string][]byte, b.options.keys)
		for i := range b.options.keys {
			files[fmt.Sprintf("%s%d/%02d/photo%dx.jpg", uploads[1:], 2000+i/10000, i/1000%10, i)] = []byte("x")
		}
		dir, err := b.folder("before-start", files)
		if err != nil {
			return nil, err
		}
		bucket, err := b.env.DirBucket("before-start-bucket")
		if err != nil {
			return nil, err
		}
		directives := fmt.Sprintf("root * %s\nmedia_offload {\n\tapp wordpress %s\n\t%s}\nfile_server\n", dir, dir, bucket.Caddyfile())
		if v.caddy, v.url, err = b.caddy(v.binary, directives); err != nil {
			return nil, err
		}
		if err := b.untilWithin(time.Hour, "all files are stored", func() (bool, error) { return running(v.caddy) }); err != nil {
			return nil, err
		}
		if err := v.caddy.Stop(); err != nil {
			return nil, err
		}
	}
	return b.turns(versions, 1, func(v *version) error {
		if err := v.caddy.Start(); err != nil {
			return err
		}
		return b.until("disk and bucket are compared", func() (bool, error) { return running(v.caddy) })
	})
}

// running reports whether a server's disk and bucket have been compared, and nothing
// is left to do.
func running(caddy *env.Caddy) (bool, error) {
	body, err := caddy.AdminGet("/media_offload/status")
	if err != nil {
		return false, err
	}
	var sites []struct {
		State       string `json:"state"`
		Pending     int    `json:"pending"`
		Reconciling bool   `json:"reconciling"`
	}
	if err := json.Unmarshal(body, &sites); err != nil {
		return false, fmt.Errorf("reading the status: %w", err)
	}
	return len(sites) == 1 && sites[0].State == "running" && sites[0].Pending == 0 && !sites[0].Reconciling, nil
}

// turns has the versions do work by turns, which is n units of it. A server that the
// work started is stopped after it.
func (b *bench) turns(versions [2]*version, n int, work func(*version) error) ([]samples, error) {
	all := make([]samples, len(versions))
	err := b.rounds(beforeBudget, func() error {
		for _, i := range b.random.Perm(len(versions)) {
			if err := all[i].addWork(versions[i], n, work); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

func (s *samples) addWork(v *version, n int, work func(*version) error) error {
	process := v.caddy.Process
	before, err := cpuUntilNow(process)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := work(v); err != nil {
		return err
	}
	took := time.Since(start)
	after, err := v.caddy.CPU()
	if err != nil {
		return err
	}
	s.perSecond = append(s.perSecond, float64(n)/took.Seconds())
	s.cpu = append(s.cpu, milliseconds(after-before)/float64(n))
	if v.caddy.Process != process {
		return v.caddy.Stop()
	}
	return nil
}

// cpuUntilNow is a process's processor time, none if it has ended.
func cpuUntilNow(p *env.Process) (time.Duration, error) {
	select {
	case <-p.Done():
		return 0, nil
	default:
		return p.CPU()
	}
}
