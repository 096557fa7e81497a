package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/sample"
)

const (
	frontBudget   = 35 * time.Second
	frontBlock    = 16
	frontPictures = 10
	typicalBudget = 15 * time.Second
	typicalBlock  = 400
)

// pages are what visitors see: WordPress' front page, and the typical page from
// an upstream that costs next to nothing.
func (b *bench) pages() error {
	b.report.heading("pages with public_url, %d connections", connections)
	rows := [][]string{{"", "requests/s, plain Caddy", "with media_offload", "ratio", "CPU of Caddy, ms, plain", "with media_offload", "CPU of PHP, ms", "rounds"}}
	front, err := b.frontPage()
	if err != nil {
		return err
	}
	typical, err := b.typicalSite()
	if err != nil {
		return err
	}
	of := func(address string) load { return load{address: address + "/", host: pageHost, n: typicalBlock} }
	all, err := b.compare(typicalBudget, contender{of(typical.plainURL), typical.plain.Process}, contender{of(typical.thisURL), typical.this.Process})
	if err != nil {
		return err
	}
	b.report.table(append(rows, front, []string{
		fmt.Sprintf("typical page, %d KB, %d media URLs", len(typical.page.html)/1000, localURLs(typical.page.html)),
		all[0].perSecond.text("%.0f"), all[1].perSecond.text("%.0f"), all[1].perSecond.over(all[0].perSecond).text("%.3f"),
		all[0].cpu.text("%.3f"), all[1].cpu.text("%.3f"), "", fmt.Sprint(len(all[0].cpu)),
	}))
	return nil
}

// frontPage compares the front pages of the WordPress sites and returns the
// table's row.
func (b *bench) frontPage() ([]string, error) {
	pair, err := b.wordpressPair()
	if err != nil {
		return nil, err
	}
	pair.store.SetDelay(0)
	for _, site := range []*wordpressSite{pair.plain, pair.this} {
		if err := b.publishPictures(site); err != nil {
			return nil, err
		}
	}
	page, err := fetch(b.ctx, pair.this.URL+"/", "")
	if err != nil {
		return nil, err
	}
	urls, left := strings.Count(string(page), pair.publicURL), strings.Count(string(page), pair.this.MediaURL())
	if urls == 0 || left > 0 {
		return nil, fmt.Errorf("the front page has %d public and %d local media URLs", urls, left)
	}
	pair.store.TakeCounts()
	var all [2]samples
	var php series
	err = b.rounds(frontBudget, func() error {
		for _, i := range b.random.Perm(2) {
			site := []*wordpressSite{pair.plain, pair.this}[i]
			before, err := pair.php.CPU()
			if err != nil {
				return err
			}
			l := load{address: site.URL + "/", n: frontBlock}
			if err := all[i].add(b.ctx, contender{l, site.caddy.Process}); err != nil {
				return err
			}
			after, err := pair.php.CPU()
			if err != nil {
				return err
			}
			php = append(php, milliseconds(after-before)/frontBlock)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	plain, this := all[0], all[1]
	b.report.note("  S3 requests while the front page was served: %s", kinds(pair.store.TakeCounts(), 1))
	return []string{
		fmt.Sprintf("WordPress' front page, %d KB, %d media URLs", len(page)/1000, urls),
		plain.perSecond.text("%.1f"), this.perSecond.text("%.1f"), this.perSecond.over(plain.perSecond).text("%.3f"),
		plain.cpu.text("%.2f"), this.cpu.text("%.2f"), php.text("%.0f"), fmt.Sprint(len(this.cpu)),
	}, b.profileLoad("front", pair.this.caddy, load{address: pair.this.URL + "/", n: frontBlock})
}

// publishPictures fills the front page with articles that have a picture each.
func (b *bench) publishPictures(site *wordpressSite) error {
	for i := range frontPictures {
		name := fmt.Sprintf("Picture %d", i)
		id, err := site.client.UploadGrid(b.ctx, sample.JPEG(name+".jpg", 1, uint64(i)))
		if err != nil {
			return err
		}
		item, err := site.client.Attachment(b.ctx, id)
		if err != nil {
			return err
		}
		text := fmt.Sprintf(`<p>Text with a <a href="%s">link to the picture</a>.</p>`, item.URL)
		if _, err := site.client.Publish(b.ctx, name, text, id); err != nil {
			return err
		}
	}
	return nil
}
