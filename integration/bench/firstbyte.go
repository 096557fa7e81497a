package main

import (
	"fmt"
	"io"
	"time"
)

const (
	firstByteBudget = 15 * time.Second
	firstByteTarget = 5.0 // ms
)

// firstByte is how much later a page begins whose app sends it bit by bit.
func (b *bench) firstByte() error {
	site, err := b.typicalSite()
	if err != nil {
		return err
	}
	addresses := []string{site.plainURL, site.thisURL}
	first, last := make([]series, len(addresses)), make([]series, len(addresses))
	err = b.rounds(firstByteBudget, func() error {
		for _, i := range b.random.Perm(len(addresses)) {
			begin, end, err := b.dripTimes(addresses[i] + dripPath)
			if err != nil {
				return err
			}
			first[i], last[i] = append(first[i], milliseconds(begin)), append(last[i], milliseconds(end))
		}
		return nil
	})
	if err != nil {
		return err
	}
	delay := first[1].minus(first[0])
	b.report.heading("first byte of a page that drips, %d KB each %d ms; %d rounds", dripSize>>10, dripPause.Milliseconds(), len(delay))
	b.report.table([][]string{
		{"ms until", "plain Caddy", "Caddy with media_offload", "later"},
		{"the first byte of the body", first[0].text("%.2f"), first[1].text("%.2f"), delay.text("%.2f")},
		{"the last", last[0].text("%.2f"), last[1].text("%.2f"), last[1].minus(last[0]).text("%.2f")},
	})
	b.report.atMost("first byte of a dripping page, ms later than passthrough", delay, "%.2f", firstByteTarget)
	return nil
}

// dripTimes is when the body's first and last bytes came, since the request.
func (b *bench) dripTimes(address string) (first, last time.Duration, err error) {
	c, err := connect(b.ctx, address, pageHost)
	if err != nil {
		return 0, 0, err
	}
	defer c.close()
	start := time.Now()
	resp, err := c.send()
	if err != nil {
		return 0, 0, fmt.Errorf("GET %s: %w", address, err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		return 0, 0, fmt.Errorf("GET %s: %w", address, err)
	}
	first = time.Since(start)
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n < dripCount*dripSize/2 {
		err = fmt.Errorf("only %d bytes", n)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("GET %s: %w", address, err)
	}
	return first, time.Since(start), nil
}
