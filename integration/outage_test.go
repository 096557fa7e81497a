//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
	"github.com/media-offload/caddy-media-offload/integration/sample"
	"github.com/media-offload/caddy-media-offload/integration/web"
	"github.com/media-offload/caddy-media-offload/integration/wp"
)

const (
	// outageHold is the hold of these tests: how long an answer waits.
	outageHold = 1500 * time.Millisecond
	// recoveryTime is what "within seconds of recovery" means here.
	recoveryTime = 10 * time.Second
	// seenWithin is how long an outage may last that nobody is told of: a store that never
	// answers takes the longest to be known.
	seenWithin = 20 * time.Second

	// What the admin finds in the log, once per outage each.
	downMessage = "the bucket does not take files"
	upMessage   = "the bucket takes files again"
)

// TestOutage has the S3 server fail in each way, with both settings of
// on_failure.
func TestOutage(t *testing.T) {
	t.Parallel() // it waits most of the time
	for _, onFailure := range []string{"pass", "reject"} {
		t.Run(onFailure, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 5*time.Minute)
			// As the only server: one of several refuses uploads before they
			// reach the app, see TestNodesFailures.
			w := newWorld(t, worldOptions{store: onVersitygw, faults: true,
				options: []string{"local own", "on_failure " + onFailure, "hold " + outageHold.String()}})
			client := login(t, ctx, w.site)
			for _, fault := range []env.Fault{env.Refusing, env.Hanging, env.SlowDown, env.Resetting, env.LosingAnswers} {
				t.Run(strings.ReplaceAll(fault.String(), " ", "-"), func(t *testing.T) {
					testOutage(t, ctx, w, client, fault, onFailure)
				})
			}
			w.noLeftovers(ctx)
		})
	}
}

func testOutage(t *testing.T, ctx context.Context, w *world, client *wp.Client, fault env.Fault, onFailure string) {
	doomed := must1(client.UploadGrid(ctx, sample.JPEG("doomed.jpg", 0.3, uint64(fault))))(t)
	before, err := w.check.Compare(ctx)
	if err != nil || len(before) > 0 {
		t.Fatalf("before the outage: %v %v", err, before)
	}
	page := w.pageTime(t, ctx)
	downs, ups := w.logged(downMessage), w.logged(upMessage)
	must(t, w.faults.Set(fault))
	defer func() { must(t, w.faults.Set(env.Healthy)) }()

	name := fmt.Sprintf("outage %d.jpg", fault)
	start := time.Now()
	id, err := client.UploadGrid(ctx, sample.JPEG(name, 0.3, uint64(fault)))
	took := time.Since(start)
	expectOutcome(t, "upload", err, onFailure)
	if limit := outageHold + 10*time.Second; took > limit {
		t.Errorf("the upload took %s, hold is %s", took, outageHold)
	}
	expectOutcome(t, "delete", client.DeleteREST(ctx, doomed), onFailure)
	w.pagesWork(t, ctx, page)
	if onFailure == "pass" {
		w.staysLocal(t, ctx, client, id)
	}

	waitFor(t, seenWithin, "line for the outage", func() bool { return w.logged(downMessage) > downs })

	must(t, w.faults.Set(env.Healthy))
	// Promise 2: "No failure of the bucket, the network or the node […] loses a
	// file that the app has on disk: it is committed after recovery, without
	// anyone's help."
	took, err = w.check.Eventually(ctx, recoveryTime)
	if err != nil {
		t.Fatalf("after recovery: %v", err)
	}
	t.Logf("equal %s after recovery", took.Round(time.Millisecond))

	// The bucket is called healthy when it has taken something, which was just waited for.
	waitFor(t, 5*time.Second, "line for the recovery", func() bool { return w.logged(upMessage) == ups+1 })
	if n := w.logged(downMessage) - downs; n != 1 {
		t.Errorf("%q was logged %d times during one outage", downMessage, n)
	}
	if n := w.logged(upMessage) - ups; n != 1 {
		t.Errorf("%q was logged %d times after one outage", upMessage, n)
	}
}

// expectOutcome checks what the client is told: with pass the app's answer,
// with reject 503.
func expectOutcome(t *testing.T, what string, err error, onFailure string) {
	t.Helper()
	var status *web.StatusError
	switch {
	case onFailure == "pass" && err != nil:
		t.Errorf("%s: %v", what, err)
	case onFailure == "reject" && (!errors.As(err, &status) || status.Status != http.StatusServiceUnavailable):
		t.Errorf("%s: want 503, got %v", what, err)
	}
}

// pagesWork fetches pages during an outage, and compares with the time they
// took before. Each would take at least the time of a hold if it waited.
//
// Promise 3: "Pages never wait for the bucket."
func (w *world) pagesWork(t *testing.T, ctx context.Context, before time.Duration) {
	t.Helper()
	if took := w.pageTime(t, ctx); took > outageHold+4*before {
		t.Errorf("a page took %s during the outage, %s before", took, before)
	}
}

// pageTime is the median of the times that the front page takes.
func (w *world) pageTime(t *testing.T, ctx context.Context) time.Duration {
	t.Helper()
	var times []time.Duration
	for range 5 {
		start := time.Now()
		get(t, ctx, w.site.URL+"/")
		times = append(times, time.Since(start))
	}
	return median(times)
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// staysLocal publishes an article with a picture that is not committed.
//
// Promise 3: "A URL whose object is not known to be committed stays as it is;
// the local URL always works."
func (w *world) staysLocal(t *testing.T, ctx context.Context, client *wp.Client, id int) {
	t.Helper()
	var image wp.Attachment
	must(t, client.REST(ctx, http.MethodGet, fmt.Sprintf("/wp/v2/media/%d?context=edit", id), nil, &image))
	content := fmt.Sprintf(`<p><img src="%s"/></p>`, image.URL)
	post := must1(client.Publish(ctx, "During the outage", content, 0))(t)
	page := string(get(t, ctx, post.Link))
	if !strings.Contains(page, image.URL) {
		t.Errorf("the article lacks the local URL %s", image.URL)
	}
	get(t, ctx, image.URL)
}

// logged counts the lines of Caddy's log that contain text.
func (w *world) logged(text string) int {
	log := must1(os.ReadFile(w.caddy.LogFile))(w.t)
	return strings.Count(string(log), text)
}

// waitFor polls until ok, for at most d.
func waitFor(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Errorf("no %s within %s", what, d)
			return
		case <-tick.C:
		}
	}
}

// TestDiskFull has the disk of a file:// bucket fill up.
func TestDiskFull(t *testing.T) {
	for _, onFailure := range []string{"pass", "reject"} {
		t.Run(onFailure, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 3*time.Minute)
			small := must1(os.MkdirTemp("", "media-offload-small-"))(t)
			t.Cleanup(func() { os.Remove(small) })
			if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=3m"); err != nil {
				t.Skipf("a small disk cannot be made: mounting a tmpfs: %v", err)
			}
			t.Cleanup(func() { must(t, syscall.Unmount(small, syscall.MNT_DETACH)) })
			w := newWorld(t, worldOptions{store: onFile, dir: filepath.Join(small, "bucket"),
				options: []string{"on_failure " + onFailure, "hold " + outageHold.String()}})
			client := login(t, ctx, w.site)

			page := w.pageTime(t, ctx)
			// The last of these does not fit.
			must1(client.UploadGrid(ctx, sample.PDF("fits.pdf", 1)))(t)
			_, err := client.UploadGrid(ctx, sample.MP4("large.mp4", 4<<20, 1))
			expectOutcome(t, "upload to a full disk", err, onFailure)
			_, err = client.UploadGrid(ctx, sample.JPEG("photo.jpg", 12, 1))
			expectOutcome(t, "second upload to a full disk", err, onFailure)
			w.pagesWork(t, ctx, page)

			if out, err := exec.CommandContext(ctx, "mount", "-o", "remount,size=100m", small).CombinedOutput(); err != nil {
				t.Fatalf("enlarging the disk: %v: %s", err, out)
			}
			w.equalWithin(ctx, "after there was room again", recoveryTime)
			// A small file that still fits ends an outage, the next large one
			// begins another: at most one for each upload.
			waitFor(t, 5*time.Second, "line for each recovery", func() bool { return w.logged(upMessage) == w.logged(downMessage) })
			if n := w.logged(downMessage); n < 1 || n > 2 {
				t.Errorf("%q was logged %d times in two uploads", downMessage, n)
			}
			w.noLeftovers(ctx)
		})
	}
}
