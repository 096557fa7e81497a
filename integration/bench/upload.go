package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/check"
	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
)

const uploadBudget = 200 * time.Second

// The sizes of the pictures.
const (
	small  = "640×480"
	medium = "2 MP"
	large  = "12 MP"
)

var uploadSizes = []struct {
	name       string
	megapixels float64
}{{small, 0.3072}, {medium, 2}, {large, 12}}

// longestDelay is the one that the targets are for.
const longestDelay = 25 * time.Millisecond

// uploadDelays are what each S3 request waits.
func (b *bench) uploadDelays() []time.Duration {
	if b.options.quick {
		return []time.Duration{0, longestDelay}
	}
	return []time.Duration{0, 10 * time.Millisecond, longestDelay}
}

// operation is what was measured of one kind of request at one delay. Each
// round adds one measurement to each series.
type operation struct {
	plain, this, plugin cost
	held                series // ms of this one's time by the module's own account
}

// cost is what the operation took on one of the sites.
type cost struct {
	time       series         // ms until the last byte of the answer
	caddy, php series         // CPU, ms
	hook       series         // of that the plugin's where it stores files
	requests   map[string]int // to S3, until the answer
}

func (o *operation) added() series { return o.this.time.minus(o.plain.time) }

// uploadCell is a size of picture at a delay.
type uploadCell struct {
	size  string
	file  sample.File
	delay time.Duration
	// undelayed is the cell of the same size without a delay.
	undelayed *uploadCell
	// files and bytes are what an upload leaves on disk.
	files          int
	bytes          int64
	upload, remove operation
}

// upload is what this module is for: a picture is uploaded to WordPress, which
// makes its thumbnails, and deleted again.
func (b *bench) upload() error {
	pair, err := b.wordpressPair()
	if err != nil {
		return err
	}
	u := &uploader{bench: b, pair: pair, held: map[int]*series{}}
	var cells []*uploadCell
	for _, size := range uploadSizes {
		file := sample.JPEG("Photo.jpg", size.megapixels, 1)
		files, bytes, err := u.warmUp(file)
		if err != nil {
			return err
		}
		var undelayed *uploadCell
		for _, delay := range b.uploadDelays() {
			cell := &uploadCell{size: size.name, file: file, delay: delay, files: files, bytes: bytes}
			if undelayed == nil {
				undelayed = cell
			}
			cell.undelayed = undelayed
			cells = append(cells, cell)
		}
	}
	pair.store.TakeCounts()
	err = b.rounds(uploadBudget, func() error {
		for _, i := range b.random.Perm(len(cells)) {
			if err := u.measure(cells[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := b.until("the access log tells of the last request", u.readHolds); err != nil {
		return err
	}
	b.reportUploads(cells)
	b.report.note("  S3 requests while no request was running: %s", kinds(u.between, 1))
	b.reportDeletes(cells)
	if pair.plugin != nil {
		b.reportPlugin(cells)
	}
	b.reportUploadCPU(cells)
	pair.store.SetDelay(0)
	return b.profile("upload", pair.this.caddy, 20*time.Second, func() error { return u.once(pair.this, cells[len(cells)-1].file) })
}

// uploader sends the requests.
type uploader struct {
	bench *bench
	pair  *wordpressPair
	// held are the series that the access log's lines belong to, by the tag of
	// the request.
	held   map[int]*series
	number int
	// between are the S3 requests while none of ours was running.
	between map[string]int
}

// warmUp has PHP compile its scripts. It returns what an upload leaves on disk.
func (u *uploader) warmUp(file sample.File) (files int, bytes int64, err error) {
	for _, site := range u.pair.sites() {
		filesBefore, bytesBefore, err := usage(site.Uploads())
		if err != nil {
			return 0, 0, err
		}
		id, err := site.client.UploadGrid(u.bench.ctx, file)
		if err != nil {
			return 0, 0, err
		}
		filesAfter, bytesAfter, err := usage(site.Uploads())
		if err != nil {
			return 0, 0, err
		}
		if err := site.client.DeleteREST(u.bench.ctx, id); err != nil {
			return 0, 0, err
		}
		files, bytes = filesAfter-filesBefore, bytesAfter-bytesBefore
	}
	return files, bytes, nil
}

// once uploads and deletes one picture.
func (u *uploader) once(site *wordpressSite, file sample.File) error {
	id, err := site.client.UploadGrid(u.bench.ctx, file)
	if err != nil {
		return err
	}
	return site.client.DeleteREST(u.bench.ctx, id)
}

// usage is how many media files there are, and their size.
func usage(root string) (files int, bytes int64, err error) {
	keys, err := check.Files(root)
	if err != nil {
		return 0, 0, err
	}
	for _, key := range keys {
		info, err := os.Stat(filepath.Join(root, key))
		if err != nil {
			return 0, 0, fmt.Errorf("looking at %s: %w", key, err)
		}
		bytes += info.Size()
	}
	return len(keys), bytes, nil
}

// measure uploads and deletes one picture on each of the sites.
func (u *uploader) measure(cell *uploadCell) error {
	u.pair.store.SetDelay(cell.delay)
	sites := u.pair.sites()
	for _, i := range u.bench.random.Perm(len(sites)) {
		client := sites[i].client
		var id int
		err := u.operate(sites[i], &cell.upload, func() (err error) {
			id, err = client.UploadGrid(u.bench.ctx, cell.file)
			return err
		})
		if err != nil {
			return err
		}
		err = u.operate(sites[i], &cell.remove, func() error { return client.DeleteREST(u.bench.ctx, id) })
		if err != nil {
			return err
		}
	}
	return nil
}

// operate measures one request.
func (u *uploader) operate(site *wordpressSite, o *operation, request func() error) error {
	before, err := u.cpu(site)
	if err != nil {
		return err
	}
	u.number++
	site.tag.number = u.number
	add(&u.between, u.pair.store.TakeCounts())
	start := time.Now()
	if err := request(); err != nil {
		return err
	}
	took := milliseconds(time.Since(start))
	after, err := u.cpu(site)
	if err != nil {
		return err
	}
	c := &o.this
	switch site {
	case u.pair.plain:
		c = &o.plain
	case u.pair.plugin:
		c = &o.plugin
	default:
		u.held[u.number] = &o.held
	}
	c.time, c.hook = append(c.time, took), append(c.hook, site.tag.hook)
	site.tag.hook = 0
	c.caddy, c.php = append(c.caddy, milliseconds(after.caddy-before.caddy)), append(c.php, milliseconds(after.php-before.php))
	add(&c.requests, u.pair.store.TakeCounts())
	return nil
}

type processorTime struct{ caddy, php time.Duration }

func (u *uploader) cpu(site *wordpressSite) (t processorTime, err error) {
	for _, of := range []struct {
		process *env.Process
		time    *time.Duration
	}{{site.caddy.Process, &t.caddy}, {u.pair.php.Process, &t.php}} {
		if *of.time, err = of.process.CPU(); err != nil {
			return t, err
		}
	}
	return t, nil
}

// add adds counts to sum.
func add(sum *map[string]int, counts map[string]int) {
	if *sum == nil {
		*sum = maps.Clone(counts)
		return
	}
	for kind, n := range counts {
		(*sum)[kind] += n
	}
}
