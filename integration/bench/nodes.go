package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
)

const (
	nodesBudget = 60 * time.Second
	// idleTime is how long requests are counted while nothing happens.
	idleTime = 30 * time.Second
	// settleTime is how long the servers have for what is left to do before.
	settleTime = 5 * time.Second
	// arrival is how long the others may take to fetch what one stored.
	arrival = 20 * time.Second

	nodeRoundTrips = 3.0
	mediaPath      = "/wp-content/uploads/"
)

// nodeCounts are the numbers of servers that are compared.
var nodeCounts = []int{1, 3, 10}

// team is a WordPress server and others that follow it: Caddy processes with a
// media folder each, and no PHP.
type team struct {
	*bench
	plain, this *wordpressSite
	bucket      *env.S3Bucket
	publicURL   string
	// store and othersStore stand between the WordPress server, the others, and
	// the bucket.
	store, othersStore *env.DelayProxy
	others             []follower
	sink               string // URL of an app that takes uploads and keeps nothing
	uploads            int    // so far
}

type follower struct {
	url     string
	uploads string
}

// nodesCell is what was measured with a number of servers at a delay.
type nodesCell struct {
	servers int
	delay   time.Duration
	// used: another server had the file's name before.
	used bool
	// slow is how long the body takes to arrive.
	slow time.Duration

	plain, this series // ms until the last byte of the answer
	roundTrip   series // ms that a request to the bucket takes that does nothing
	// sequence is how many requests of the upload came one after another.
	sequence series
	// served is when the last of the others had served every file, stored when
	// the last had them on disk; ms after the answer.
	served, stored series
	requests       map[string]int // of the WordPress server
	fetches        map[string]int // of the others
}

func (c *nodesCell) added() series { return c.this.minus(c.plain) }

// nodes is what several servers cost: each upload, and the time in between.
func (b *bench) nodes() error {
	t, err := b.newTeam()
	if err != nil {
		return err
	}
	var cells []*nodesCell
	for _, servers := range nodeCounts {
		for len(t.others)+1 < servers {
			if err := t.addFollower(); err != nil {
				return err
			}
		}
		if err := b.until("all servers are ready", t.ready); err != nil {
			return err
		}
		pair := []*nodesCell{{servers: servers}, {servers: servers, delay: longestDelay}}
		cells = append(cells, pair...)
		if err := t.compare(nodesBudget/time.Duration(len(nodeCounts)), pair); err != nil {
			return err
		}
	}
	b.reportNodes(cells)
	if err := t.usedNames(); err != nil {
		return err
	}
	t.setDelay(0)
	if err := t.reportIdle(cells[len(cells)-1]); err != nil {
		return err
	}
	return b.bootstrap()
}

// compare has the cells take turns.
func (t *team) compare(budget time.Duration, cells []*nodesCell) error {
	return t.rounds(budget, func() error {
		for _, i := range t.random.Perm(len(cells)) {
			if err := t.measure(cells[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) newTeam() (*team, error) {
	pair, err := b.wordpressPair()
	if err != nil {
		return nil, err
	}
	server, err := b.env.Versitygw()
	if err != nil {
		return nil, err
	}
	t := &team{bench: b, plain: pair.plain}
	if t.bucket, err = server.NewBucket("nodes", "site1/"); err != nil {
		return nil, err
	}
	if t.publicURL, err = t.bucket.Publish(); err != nil {
		return nil, err
	}
	if t.store, err = b.env.DelayProxy(server.Endpoint); err != nil {
		return nil, err
	}
	if t.othersStore, err = b.env.DelayProxy(server.Endpoint); err != nil {
		return nil, err
	}
	if t.sink, err = b.env.ServeHandler(http.HandlerFunc(discard)); err != nil {
		return nil, err
	}
	t.this, err = b.wordpressSite(t.plain.DB, pair.php, "nodes", b.thisCaddy, func(dir string) string {
		return t.directive(dir, t.store)
	})
	return t, err
}

func (t *team) directive(dir string, store *env.DelayProxy) string {
	bucket := *t.bucket
	bucket.Endpoint = store.Endpoint
	return fmt.Sprintf("media_offload {\n\tapp wordpress %s\n\thealth %s\n\t%s\tpublic_url %s\n}\n", dir, healthPath, bucket.Caddyfile(), t.publicURL)
}

func discard(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

const uploadPath = "/wp-admin/async-upload.php"

const healthPath = "/media-offload/health"

// addFollower starts a further server, with an empty disk.
func (t *team) addFollower() error {
	dir, err := t.env.Folder("follower", t.plain.PHP.User)
	if err != nil {
		return err
	}
	f := follower{uploads: filepath.Join(dir, filepath.FromSlash(mediaPath))}
	if err := os.MkdirAll(f.uploads, 0o755); err != nil {
		return fmt.Errorf("making a follower's folder: %w", err)
	}
	app := "reverse_proxy " + uploadPath + " " + t.sink + "\n"
	_, f.url, err = t.caddy(t.thisCaddy, "root * "+dir+"\n"+t.directive(dir, t.othersStore)+app+"file_server\n")
	t.others = append(t.others, f)
	return err
}

// ready reports whether all servers take uploads.
func (t *team) ready() (bool, error) {
	for _, url := range append([]string{t.this.URL}, followerURLs(t.others)...) {
		if ok, err := t.readyForUploads(url); !ok {
			return false, err
		}
	}
	return true, nil
}

func followerURLs(followers []follower) []string {
	urls := make([]string, len(followers))
	for i, f := range followers {
		urls[i] = f.url
	}
	return urls
}

func (b *bench) readyForUploads(url string) (bool, error) {
	status, _, err := b.fetch(url + healthPath + "?for=uploads")
	return status == http.StatusOK, err
}

func (b *bench) fetch(url string) (status int, size int64, err error) {
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	size, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, size, err
}

func (t *team) setDelay(d time.Duration) {
	t.store.SetDelay(d)
	t.othersStore.SetDelay(d)
}

// measure uploads one picture to each of the two sites, and deletes it.
func (t *team) measure(cell *nodesCell) error {
	t.setDelay(cell.delay)
	start := time.Now()
	if _, _, err := t.fetch(t.store.Endpoint); err != nil { // nobody's: it is refused
		return err
	}
	cell.roundTrip = append(cell.roundTrip, milliseconds(time.Since(start)))
	// A name of its own, that nobody has on disk from an earlier round.
	t.uploads++
	file := sample.JPEG(fmt.Sprintf("Photo %c%d.jpg", 'a'+rune(t.uploads%26), t.uploads), 0.3072, 1)
	for _, i := range t.random.Perm(2) {
		site, took := t.plain, &cell.plain
		if i == 1 {
			site, took = t.this, &cell.this
			if err := t.useName(cell, file); err != nil {
				return err
			}
		}
		t.store.TakeCounts()
		t.othersStore.TakeCounts()
		t.store.TakeSpans()
		start := time.Now()
		site.tag.slow = cell.slow
		id, err := site.client.UploadGrid(t.ctx, file)
		site.tag.slow = 0
		if err != nil {
			return err
		}
		*took = append(*took, milliseconds(time.Since(start)))
		if site == t.this {
			answered := time.Now()
			cell.sequence = append(cell.sequence, float64(env.InSequence(t.store.TakeSpans())))
			add(&cell.requests, t.store.TakeCounts())
			if err := t.follow(cell, answered); err != nil {
				return err
			}
		}
		if err := site.client.DeleteREST(t.ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// follow measures, by turns, when the others serve what the WordPress server
// has stored, and when they have it on disk. Only the latter are counted as
// fetches: serving what is not there yet asks the bucket, too.
func (t *team) follow(cell *nodesCell, answered time.Time) error {
	if len(t.others) == 0 {
		return nil
	}
	files, err := sizes(t.this.Uploads())
	if err != nil {
		return err
	}
	if len(cell.this)%2 == 1 {
		served, err := t.last(answered, files, func(f follower, key string, size int64) (bool, error) {
			status, got, err := t.fetch(f.url + mediaPath + key)
			return status == http.StatusOK && got == size, err
		})
		cell.served = append(cell.served, milliseconds(served))
		return err
	}
	stored, err := t.last(answered, files, func(f follower, key string, size int64) (bool, error) {
		info, err := os.Stat(filepath.Join(f.uploads, filepath.FromSlash(key)))
		return err == nil && info.Size() == size, nil
	})
	cell.stored = append(cell.stored, milliseconds(stored))
	add(&cell.fetches, t.othersStore.TakeCounts())
	return err
}

// sizes are those of the files below a folder.
func sizes(root string) (map[string]int64, error) {
	files := map[string]int64{}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			files[filepath.ToSlash(path[len(root)+1:])] = info.Size()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", root, err)
	}
	return files, nil
}

// last is when all others have all files, by what has says.
func (t *team) last(since time.Time, files map[string]int64, has func(f follower, key string, size int64) (bool, error)) (time.Duration, error) {
	errs := make([]error, len(t.others))
	var waiting sync.WaitGroup
	for i, f := range t.others {
		waiting.Go(func() {
			for key, size := range files {
				for {
					ok, err := has(f, key, size)
					if ok {
						break
					}
					if time.Since(since) > arrival {
						errs[i] = errors.Join(fmt.Errorf("a server does not have %s after %s", key, arrival), err)
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			}
		})
	}
	waiting.Wait()
	return time.Since(since), errors.Join(errs...)
}

// reportNodes tells of the cells. Round trips are counted by what one really
// takes longer: timers, and processors that have slept, are late.
func (b *bench) reportNodes(cells []*nodesCell) {
	b.report.heading("upload of %s to one of several servers, ms; each S3 request takes @ ms longer; %d rounds", small, len(cells[0].this))
	rows := [][]string{{"servers", "plain disk", "with media_offload", "added", "round trips, each of ms", "requests in sequence", "last other serves it", "last other has it on disk", "S3 requests of the server", "of each other"}}
	for i := 0; i < len(cells); i += 2 {
		undelayed, delayed := cells[i], cells[i+1]
		trips, roundTrip := roundTrips(undelayed, delayed)
		for _, c := range []*nodesCell{undelayed, delayed} {
			row := []string{fmt.Sprintf("%d @%d", c.servers, c.delay.Milliseconds()), c.plain.text("%.0f"), c.this.text("%.0f"), c.added().text("%.1f"), "-", c.sequence.text("%.0f"), "-", "-",
				kinds(c.requests, len(c.this)), "-"}
			if c == delayed {
				row[4] = fmt.Sprintf("%.2f of %.1f", trips, roundTrip)
			}
			if c.servers > 1 {
				row[6], row[7] = c.served.text("%.0f"), c.stored.text("%.0f")
				row[9] = kinds(c.fetches, len(c.stored)*(c.servers-1))
			}
			rows = append(rows, row)
		}
		b.report.target(fmt.Sprintf("upload, %d servers, added @%d more than @0, in round trips", delayed.servers, longestDelay.Milliseconds()),
			fmt.Sprintf("%.2f", trips), fmt.Sprintf("≤ %.1f", nodeRoundTrips), trips <= nodeRoundTrips)
		b.report.atMost(fmt.Sprintf("upload, %d servers, requests to the bucket one after another", delayed.servers), delayed.sequence, "%.0f", nodeRoundTrips)
	}
	b.report.table(rows)
	b.report.note("  Requests include those of the poll, one a second for each server.")
}

// roundTrips is how many times longer than a request to the bucket an upload takes
// for the delay, and how much longer that takes for it, in ms.
func roundTrips(undelayed, delayed *nodesCell) (trips, each float64) {
	each = delayed.roundTrip.median() - undelayed.roundTrip.median()
	return (delayed.added().median() - undelayed.added().median()) / each, each
}

// prices are what AWS takes for a million requests, in US dollars (S3 Standard,
// us-east-1).
var prices = map[string]float64{"PUT": 5, "LIST": 5, "COPY": 5, "MULTIPART": 5, "GET": 0.4, "HEAD": 0.4}

func price(counts map[string]int) float64 {
	dollars := 0.0
	for kind, n := range counts {
		dollars += float64(n) * prices[kind] / 1e6
	}
	return dollars
}

// hoursPerMonth is what cloud prices are told for.
const hoursPerMonth = 730

// reportIdle counts the requests while nothing happens, and prices them.
func (t *team) reportIdle(uploads *nodesCell) error {
	d := t.budget(idleTime)
	for _, wait := range []time.Duration{settleTime, d} {
		t.store.TakeCounts()
		t.othersStore.TakeCounts()
		select {
		case <-time.After(wait):
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
	}
	counts := t.store.TakeCounts()
	for kind, n := range t.othersStore.TakeCounts() {
		counts[kind] += n
	}
	servers := len(t.others) + 1
	perHour := map[string]int{}
	for kind, n := range counts {
		perHour[kind] = int(float64(n) * time.Hour.Seconds() / d.Seconds() / float64(servers))
	}
	t.report.heading("what the bucket's requests cost, at the AWS list price; %d servers", servers)
	uploaded, fetched := len(uploads.this), len(uploads.stored)*len(t.others)
	thousand := func(counts map[string]int, n int) string {
		return fmt.Sprintf("%.3f for a thousand", price(counts)/float64(n)*1000)
	}
	t.report.table([][]string{
		{"", "requests", "US$"},
		{"an idle server, each hour", kinds(perHour, 1), fmt.Sprintf("%.2f a month", price(perHour)*hoursPerMonth)},
		{fmt.Sprintf("an upload of %s, the server that takes it", small), kinds(uploads.requests, uploaded), thousand(uploads.requests, uploaded)},
		{"each other server, with the delete before it", kinds(uploads.fetches, fetched), thousand(uploads.fetches, fetched)},
	})
	t.report.note("  Idle requests counted for %s; without what happens once an hour.", d)
	return nil
}
