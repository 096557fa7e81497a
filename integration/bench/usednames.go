package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/web"
)

const (
	usedNamesBudget = 30 * time.Second
	// slowUpload is how long 60 KB take an editor with 2.4 Mbit/s.
	slowUpload = 200 * time.Millisecond
)

// usedNames is what an upload takes whose names other servers had before, as all
// have in the end: there are 16,384 leases, each for many names. That takes more
// requests, but not at the end of a body that comes from afar: the file's name
// stands at its beginning.
func (t *team) usedNames() error {
	var cells []*nodesCell
	for _, slow := range []time.Duration{0, slowUpload} {
		cells = append(cells,
			&nodesCell{servers: len(t.others) + 1, used: true, slow: slow},
			&nodesCell{servers: len(t.others) + 1, used: true, slow: slow, delay: longestDelay})
	}
	if err := t.compare(usedNamesBudget, cells); err != nil {
		return err
	}
	t.report.heading("the same with names that another of %d servers had before; %d rounds", len(t.others)+1, len(cells[0].this))
	rows := [][]string{{"body", "plain disk @25", "with media_offload", "added @0", "added @25", "round trips, each of ms", "requests in sequence"}}
	for i := 0; i < len(cells); i += 2 {
		undelayed, delayed := cells[i], cells[i+1]
		trips, each := roundTrips(undelayed, delayed)
		body := "at once"
		if delayed.slow > 0 {
			body = fmt.Sprintf("in %d ms", delayed.slow.Milliseconds())
			t.report.target("upload whose body takes "+body[3:]+", added @25 more than @0, in round trips",
				fmt.Sprintf("%.2f", trips), fmt.Sprintf("≤ %.1f", nodeRoundTrips), trips <= nodeRoundTrips)
		}
		rows = append(rows, []string{body, delayed.plain.text("%.0f"), delayed.this.text("%.0f"), undelayed.added().text("%.1f"), delayed.added().text("%.1f"),
			fmt.Sprintf("%.2f of %.1f", trips, each), delayed.sequence.text("%.0f")})
	}
	t.report.table(rows)
	return nil
}

// useName has another server lease the names of a file, and give them back.
func (t *team) useName(cell *nodesCell, file sample.File) error {
	if !cell.used {
		return nil
	}
	t.othersStore.TakeSpans()
	client := web.New(t.others[0].url, nil)
	if _, err := client.PostFile(t.ctx, uploadPath, nil, nil, "async-upload", file, http.StatusOK); err != nil {
		return err
	}
	puts := 0
	return t.until("another server has leased a name and given it back", func() (bool, error) {
		for _, s := range t.othersStore.TakeSpans() {
			if s.Kind == "PUT" {
				puts++
			}
		}
		return puts >= 2, nil
	})
}
