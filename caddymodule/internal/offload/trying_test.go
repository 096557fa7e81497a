package offload

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/health"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// While the bucket is down and one item at a time tries it, what fails again and again
// does not keep a file waiting for ever that only a comparison has told of: it alone may
// show that the bucket takes files.
//
// Promise 2: "it is committed after recovery, without anyone's help".
func TestDownTriesWhatHasWaitedLongest(t *testing.T) {
	t.Parallel()
	e := &Engine{queue: work.New(), cfg: Config{Workers: 8}}
	e.health = health.New(health.Config{
		Store: buckettest.NewMemory(), Queue: e.queue, Log: func() *slog.Logger { return slog.New(slog.DiscardHandler) },
	})
	now := time.Now()
	e.health.Fell(errors.New("down"), 0)
	e.queue.Lock()
	defer e.queue.Unlock()
	for i := range 3 {
		e.queue.Schedule(e.queue.Hear(fmt.Sprintf("poison-%d.jpg", i), 0, "", work.News{Why: verdict.PutElsewhere}, now), now.Add(-time.Second))
	}
	lost := e.queue.Hear("lost.jpg", 0, "lost.jpg", work.News{Why: verdict.ObjectLost}, now)
	lost.From = work.Comparison
	e.queue.Schedule(lost, now.Add(-time.Minute))
	if it := newDispatcher(e).nextItem(now); it == nil || it.Key != "lost.jpg" {
		t.Errorf("down: %+v", it)
	}
	e.queue.Unlock()
	e.queue.LookAgain(lost.Task(), now.Add(-time.Minute)) // it was tried
	e.health.Took(0)
	e.queue.Lock()
	if it := newDispatcher(e).nextItem(now); it == nil || it.Key == "lost.jpg" {
		t.Errorf("running: %+v", it)
	}
}

// Objects whose content is not what the store says of it are no outage, however many
// somebody puts there.
func TestLyingObjectsAreNoOutage(t *testing.T) {
	t.Parallel()
	store := buckettest.NewMemory()
	s := newNodes(t, 1)[0]
	s.store = store
	s.ready()
	for i := range 5 {
		lie := bucket.PutOptions{Info: bucket.Info{MD5: fullHash("other")}}
		if _, err := buckettest.PutText(t.Context(), store, fmt.Sprintf("media/lie-%c.jpg", 'a'+i), "a lie", lie); err != nil {
			t.Fatal(err)
		}
		s.e.lookAt(fmt.Sprintf("lie-%c.jpg", 'a'+i), verdict.PutElsewhere)
	}
	s.until("them to fail", func() bool { return s.e.Stats().Failing == 5 })
	if st := s.e.Stats(); st.State != "running" {
		t.Errorf("%s (%s)", st.State, st.Reason)
	}
	s.mustUploadNamed("fine.jpg")
}
