package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

const (
	// slowTarget is how much more memory than plain Caddy's slow uploads may take.
	slowTarget = 2.0
	// slowTime is how long they are under way when it is read: longer than a claim
	// ahead has its names.
	slowTime = 4 * time.Second
	// slowLength is how long each body says it is, slowHead how much of it comes.
	slowLength = 100 << 20
	slowHead   = 40 << 10
)

// slowUploads is how much memory many uploads take that hardly get on, each with a
// name of its own.
func (b *bench) slowUploads() error {
	n := b.options.slow
	server, err := b.env.Versitygw()
	if err != nil {
		return err
	}
	bucket, err := server.NewBucket("slow", "site1/")
	if err != nil {
		return err
	}
	dir, err := b.env.Folder("slow", nil)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(mediaPath)), 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	// All come from one address here, and are to be what many clients are.
	directive := fmt.Sprintf("\tmedia_offload {\n\t\tapp wordpress %s\n\t\t%s\t\tpublic_url %s\n\t\thealth %s\n\t\tuploads_per_client %d\n\t}\n",
		dir, bucket.Caddyfile(), "https://cdn.example.net/media", healthPath, n)
	memory := make([]series, 2)
	idle := make([]series, 2)
	for i, contender := range []struct{ binary, directive string }{{b.plainCaddy, ""}, {b.thisCaddy, directive}} {
		before, with, err := b.slowMemory(contender.binary, contender.directive, n)
		if err != nil {
			return err
		}
		idle[i], memory[i] = series{before}, series{with}
	}
	ratio := memory[1].over(memory[0])
	b.report.heading("%d uploads under way that hardly get on", n)
	b.report.table([][]string{
		{"MiB of memory", "plain Caddy", "Caddy with media_offload", "ratio"},
		{"before", idle[0].text("%.0f"), idle[1].text("%.0f"), ""},
		{"with them, at most", memory[0].text("%.0f"), memory[1].text("%.0f"), ratio.text("%.2f")},
	})
	b.report.atMost("memory for slow uploads ÷ plain Caddy's", ratio, "%.2f", slowTarget)
	return nil
}

// slowMemory returns a Caddy's memory before and with n uploads, in MiB.
func (b *bench) slowMemory(binary, directive string, n int) (before, with float64, err error) {
	var arrived atomic.Int64
	upstream, err := b.env.ServeHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		discard(w, r)
	}))
	if err != nil {
		return 0, 0, err
	}
	caddy, address, err := b.caddy(binary, directive+"\treverse_proxy "+hostPort(upstream)+"\n")
	if err != nil {
		return 0, 0, err
	}
	if directive != "" {
		if err := b.until("the server takes uploads", func() (bool, error) { return b.readyForUploads(address) }); err != nil {
			return 0, 0, err
		}
	}
	if before, err = mebibytes(caddy); err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	for i := range n {
		if err := beginSlowUpload(ctx, hostPort(address), i); err != nil {
			return 0, 0, err
		}
	}
	if err := b.until("all uploads are under way", func() (bool, error) { return arrived.Load() >= int64(n), nil }); err != nil {
		return 0, 0, err
	}
	select {
	case <-time.After(slowTime): // all that is done for them has been done
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	if err := b.heap(caddy, filepath.Base(filepath.Dir(binary))+"-"+filepath.Base(binary)); err != nil {
		return 0, 0, err
	}
	if with, err = mebibytes(caddy); err != nil {
		return 0, 0, err
	}
	return before, with, caddy.Kill()
}

// mebibytes is a Caddy's memory at its most.
func mebibytes(caddy *env.Caddy) (float64, error) {
	size, err := caddy.PeakMemory()
	return float64(size) / (1 << 20), err
}

// heap writes what a Caddy's memory holds to a file, if profiles are wanted.
func (b *bench) heap(caddy *env.Caddy, which string) error {
	if b.options.profile == "" {
		return nil
	}
	for _, name := range []string{"heap", "goroutine"} {
		profile, err := caddy.AdminGet("/debug/pprof/" + name)
		if err != nil {
			return fmt.Errorf("profiling slow uploads: %w", err)
		}
		file := fmt.Sprintf("slowuploads-%s-%s.pprof", which, name)
		if err := os.WriteFile(filepath.Join(b.options.profile, file), profile, 0o644); err != nil {
			return fmt.Errorf("profiling slow uploads: %w", err)
		}
	}
	return nil
}

// beginSlowUpload sends the beginning of an upload, and keeps the connection until
// ctx ends.
func beginSlowUpload(ctx context.Context, address string, i int) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("beginning upload %d: %w", i, err)
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	w := bufio.NewWriter(conn)
	// A name of another form, such as photo-1, would be like its neighbours'.
	_, _ = fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n"+
		"--b\r\nContent-Disposition: form-data; name=\"async-upload\"; filename=\"photo%dx.jpg\"\r\n\r\n", uploadPath, pageHost, slowLength, i)
	_, _ = io.WriteString(w, strings.Repeat("x", slowHead))
	if err := w.Flush(); err != nil { // any error before, too
		return fmt.Errorf("beginning upload %d: %w", i, err)
	}
	return nil
}
