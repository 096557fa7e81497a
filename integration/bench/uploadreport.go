package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	addedTarget      = 40.0 // ms, with each S3 request taking 25
	roundTripsTarget = 1.5
)

// readHolds takes from the access log how long answers were held. It reports
// whether all of them are there.
func (u *uploader) readHolds() (bool, error) {
	log, err := os.Open(u.pair.this.accessLog)
	if err != nil {
		return false, fmt.Errorf("reading the access log: %w", err)
	}
	defer log.Close()
	found := map[int]float64{}
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Held    float64 `json:"media_offload_hold"` // seconds
			Request struct {
				Headers map[string][]string `json:"headers"`
			} `json:"request"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return false, nil // half a line: not written yet
		}
		if tags := line.Request.Headers[tagHeader]; len(tags) == 1 {
			number, err := strconv.Atoi(tags[0])
			if err != nil {
				return false, fmt.Errorf("reading the access log: %w", err)
			}
			found[number] = line.Held * 1000
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("reading the access log: %w", err)
	}
	for number := range u.held {
		if _, ok := found[number]; !ok {
			return false, nil
		}
	}
	for _, number := range slices.Sorted(maps.Keys(u.held)) {
		*u.held[number] = append(*u.held[number], found[number])
	}
	return true, nil
}

func (c *uploadCell) name() string { return fmt.Sprintf("%s @%d", c.size, c.delay.Milliseconds()) }

// kinds tells counts of S3 requests for each of n operations: "6 PUT".
func kinds(counts map[string]int, n int) string {
	if len(counts) == 0 || n == 0 {
		return "none"
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, strings.TrimSuffix(fmt.Sprintf("%.1f", float64(counts[kind])/float64(n)), ".0")+" "+kind)
	}
	return strings.Join(parts, " ")
}

func (b *bench) reportUploads(cells []*uploadCell) {
	b.report.heading("upload to WordPress, ms; each S3 request takes @ ms longer; %d rounds", len(cells[0].upload.this.time))
	rows := [][]string{{"", "files", "plain disk", "with media_offload", "added", "answer held", "round trips added", "S3 requests"}}
	for _, cell := range cells {
		o := &cell.upload
		trips := "-"
		if cell.delay > 0 {
			trips = fmt.Sprintf("%.2f", o.added().median()/milliseconds(cell.delay))
		}
		rows = append(rows, []string{
			cell.name(), fmt.Sprintf("%d, %.1f MB", cell.files, float64(cell.bytes)/1e6),
			o.plain.time.text("%.0f"), o.this.time.text("%.0f"), o.added().text("%.1f"), o.held.text("%.1f"), trips, kinds(o.this.requests, len(o.this.time)),
		})
	}
	b.report.table(rows)
	for _, rival := range rivalUploads {
		line := fmt.Sprintf("  elsewhere measured, %s adds ms @0/@10/@25:", rival.name)
		for _, size := range uploadSizes {
			added := rival.added[size.name]
			line += fmt.Sprintf("  %s %.0f/%.0f/%.0f", size.name, added[0], added[1], added[2])
		}
		b.report.note("%s", line)
	}
	for _, cell := range cells {
		if cell.delay != longestDelay {
			continue
		}
		o := &cell.upload
		b.report.atMost("upload "+cell.name()+", ms added", o.added(), "%.1f", addedTarget)
		b.report.atMost("upload "+cell.name()+", ms the answer is held", o.held, "%.1f", addedTarget)
		trips := (o.held.median() - cell.undelayed.upload.held.median()) / milliseconds(cell.delay)
		b.report.target("upload "+cell.name()+", held longer than @0, in round trips", fmt.Sprintf("%.2f", trips), fmt.Sprintf("≤ %.1f", roundTripsTarget), trips <= roundTripsTarget)
	}
}

func (b *bench) reportDeletes(cells []*uploadCell) {
	b.report.heading("delete of such a picture, ms")
	rows := [][]string{{"", "files", "plain disk", "with media_offload", "added", "answer held", "S3 requests"}}
	one := true
	for _, cell := range cells {
		o := &cell.remove
		rows = append(rows, []string{
			cell.name(), fmt.Sprint(cell.files),
			o.plain.time.text("%.0f"), o.this.time.text("%.0f"), o.added().text("%.1f"), o.held.text("%.1f"), kinds(o.this.requests, len(o.this.time)),
		})
		one = one && len(o.this.requests) == 1 && o.this.requests["MULTIDEL"] == len(o.this.time)
	}
	b.report.table(rows)
	b.report.note("  elsewhere measured, WP Offload Media adds ms @0/@10/@25:  %s %.0f/%.0f/%.0f", small, pluginDelete[0], pluginDelete[1], pluginDelete[2])
	measured := "one each"
	if !one {
		measured = "others, see above"
	}
	b.report.target("deletes, S3 requests", measured, "one DeleteObjects", one)
}

// reportPlugin tells what the plugin adds in the same run.
func (b *bench) reportPlugin(cells []*uploadCell) {
	b.report.heading("the same with WP Offload Media instead, ms")
	rows := [][]string{{"", "upload", "added", "S3 requests", "delete", "added", "S3 requests"}}
	for _, cell := range cells {
		row := []string{cell.name()}
		for _, o := range []*operation{&cell.upload, &cell.remove} {
			row = append(row, o.plugin.time.text("%.0f"), o.plugin.time.minus(o.plain.time).text("%.1f"), kinds(o.plugin.requests, len(o.plugin.time)))
		}
		rows = append(rows, row)
	}
	b.report.table(rows)
}

func (b *bench) reportUploadCPU(cells []*uploadCell) {
	b.report.heading("processor time of an upload, ms, mean over all delays")
	head := []string{"", "plain Caddy", "with media_offload", "added", "PHP, plain", "PHP, with media_offload"}
	beside := len(cells[0].upload.plugin.time) > 0
	if beside {
		head = append(head, "the plugin adds", "its hook alone")
	}
	for _, rival := range rivalUploads {
		head = append(head, "elsewhere measured, "+rival.name+" adds")
	}
	rows := [][]string{head}
	for _, size := range uploadSizes {
		var plain, this, plugin cost
		for _, cell := range cells {
			if o := &cell.upload; cell.size == size.name {
				plain.addCPU(o.plain)
				this.addCPU(o.this)
				plugin.addCPU(o.plugin)
			}
		}
		added, least := this.caddy.minus(plain.caddy).mean(), pluginCPU[size.name]
		row := []string{size.name}
		for _, v := range []float64{plain.caddy.mean(), this.caddy.mean(), added, plain.php.mean(), this.php.mean()} {
			row = append(row, fmt.Sprintf("%.1f", v))
		}
		if beside {
			least = plugin.hook.mean()
			row = append(row, fmt.Sprintf("%.1f", plugin.php.minus(plain.php).mean()), fmt.Sprintf("%.1f", least))
		}
		for _, rival := range rivalUploads {
			row = append(row, rival.addedIn[size.name])
		}
		rows = append(rows, row)
		b.report.target("upload "+size.name+", CPU added by Caddy", fmt.Sprintf("%.1f ms", added), fmt.Sprintf("< %.0f ms, the plugin's", least), added < least)
	}
	b.report.table(rows)
}

// addCPU adds the measurements of another delay.
func (c *cost) addCPU(other cost) {
	c.caddy, c.php, c.hook = append(c.caddy, other.caddy...), append(c.php, other.php...), append(c.hook, other.hook...)
}
