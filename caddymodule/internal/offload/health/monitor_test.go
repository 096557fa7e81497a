package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

var (
	errOne  = fmt.Errorf("%w: denied", bucket.ErrOfObject)
	errFull = fmt.Errorf("%w: no space left", bucket.ErrFull)
	errGone = fmt.Errorf("%w: nothing there", ErrAway)
	errOurs = errors.New("this node may not")
)

// queue is what waits.
type queue struct {
	mu      sync.Mutex
	full    bool
	hurried int
}

func (q *queue) Len() int { return 1 }

func (q *queue) AllDue(time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hurried++
}

func (q *queue) AnyFull() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full
}

// monitored is a Monitor of a bucket that can fail, and what it said.
type monitored struct {
	*Monitor
	store *buckettest.Faulty
	queue queue
	mu    sync.Mutex
	said  strings.Builder
}

func (m *monitored) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said.Write(p)
}

func (m *monitored) count(text string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Count(m.said.String(), text)
}

func monitor() *monitored {
	m := &monitored{store: buckettest.NewFaulty(buckettest.NewMemory(), nil)}
	log := slog.New(slog.NewTextHandler(m, nil))
	m.Monitor = New(Config{
		Store: m.store, Queue: &m.queue, Log: func() *slog.Logger { return log },
		Node:   func() string { return "node" },
		Object: func(key string, class media.Class) string { return class.String() + "/" + key },
		Ours:   func(err error) bool { return errors.Is(err, errOurs) },
	})
	return m
}

// fails has calls of the store fail.
func (m *monitored) fails(err error, ops ...buckettest.Op) {
	m.store.SetHook(buckettest.Always(buckettest.Fault{Before: err}, ops...))
}

// run runs a test beside Run, by a clock that goes on when all sleep.
func run(t *testing.T, test func(t *testing.T, m *monitored)) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go m.Run(ctx)
		test(t, m)
	})
}

// An outage is one line when it begins and one when it ends, however many files meet it,
// and is found to be over though no file is left that could tell.
func TestOutage(t *testing.T) {
	run(t, func(t *testing.T, m *monitored) {
		m.fails(bucket.ErrDenied, buckettest.OpPut)
		for range 100 {
			m.Fell(bucket.ErrDenied, 100)
		}
		if !m.IsDown() || !errors.Is(m.Trouble(), bucket.ErrDenied) {
			t.Errorf("down: %t, %v", m.IsDown(), m.Trouble())
		}
		time.Sleep(time.Minute)
		tried := m.store.Calls(buckettest.OpPut)
		if tried < 10 || tried > 40 {
			t.Errorf("tried %d times in a minute", tried)
		}
		m.store.SetHook(nil)
		time.Sleep(2 * RetryMax)
		if m.IsDown() || m.Trouble() != nil || m.queue.hurried != 1 {
			t.Errorf("down: %t, %v; all due %d times", m.IsDown(), m.Trouble(), m.queue.hurried)
		}
		if begun, ended := m.count("does not take files"), m.count("takes files again"); begun != 1 || ended != 1 {
			t.Errorf("%d and %d lines", begun, ended)
		}
	})
}

// That the bucket is away has been said by who found it out.
func TestAwayIsSaidElsewhere(t *testing.T) {
	m := monitor()
	m.Fell(errGone, 0)
	if !m.IsDown() || m.count("does not take files") != 0 {
		t.Error("it is said twice, or not noted")
	}
}

// While the bucket is down one try at a time is made, each after a longer rest.
func TestTriesWhileItIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor()
		if may, next := m.MayTry(time.Now(), true); !may || !next.IsZero() {
			t.Errorf("well: %t, %s", may, next)
		}
		for range 20 {
			m.Fell(bucket.ErrNoBucket, 0)
		}
		may, next := m.MayTry(time.Now(), false)
		if rest := time.Until(next); may || rest <= 0 || rest > RetryMax {
			t.Errorf("just failed: %t, in %s", may, rest)
		}
		if may, next := m.MayTry(next, true); may || !next.IsZero() {
			t.Errorf("while it is tried: %t, %s", may, next)
		}
		if may, _ := m.MayTry(next, false); !may {
			t.Error("after the rest it may not be tried")
		}
	})
}

// A bucket that takes small files is short of room as long as a large one waits.
func TestShortOfRoom(t *testing.T) {
	run(t, func(t *testing.T, m *monitored) {
		m.queue.full = true
		m.Fell(errFull, 1000)
		for range 5 {
			m.Took(10)
			if m.IsDown() || m.Trouble() == nil {
				t.Errorf("down: %t, %v", m.IsDown(), m.Trouble())
			}
		}
		time.Sleep(time.Minute) // trials find room
		if m.Trouble() == nil {
			t.Error("it was called over by a trial")
		}
		m.queue.mu.Lock()
		m.queue.full = false // the large file is gone
		m.queue.mu.Unlock()
		time.Sleep(2 * RetryMax)
		if m.Trouble() != nil {
			t.Error(m.Trouble())
		}
		if n := m.count("takes files again"); n != 1 {
			t.Errorf("%d lines", n)
		}
	})
}

// What may be one file's fault is tried with another object of the same class, which does
// not stay; an outage is only what that meets.
func TestDoubt(t *testing.T) {
	run(t, func(t *testing.T, m *monitored) {
		m.Doubt(media.Private, 5000, true)
		synctest.Wait()
		if m.store.Calls(buckettest.OpPut) != 1 || m.store.Calls(buckettest.OpDelete) != 1 || m.Trouble() != nil {
			t.Errorf("%d stored, %d deleted; %v", m.store.Calls(buckettest.OpPut), m.store.Calls(buckettest.OpDelete), m.Trouble())
		}
		m.Doubt(media.Private, 5000, false)
		synctest.Wait()
		if m.store.Calls(buckettest.OpPut) != 1 {
			t.Error("what had just been tried was tried again")
		}
		var name string
		m.store.SetHook(func(c buckettest.Call) buckettest.Fault {
			if c.Op != buckettest.OpPut {
				return buckettest.Fault{}
			}
			name = c.Key
			return buckettest.Fault{Before: errOne}
		})
		m.Doubt(media.Private, 5000, true)
		synctest.Wait()
		if !m.IsDown() || name != media.Private.String()+"/"+trialName+"node" || !IsTrial(trialName+"node") {
			t.Errorf("down: %t, tried %s", m.IsDown(), name)
		}
	})
}

// Work that takes long has the bucket tried; one that never answers is down within ten
// seconds.
func TestSlow(t *testing.T) {
	run(t, func(t *testing.T, m *monitored) {
		m.DoubtIfSlow()()
		time.Sleep(2 * SlowCall)
		if n := m.store.Calls(buckettest.OpPut); n != 0 {
			t.Errorf("tried %d times", n)
		}
		m.store.SetHook(buckettest.Always(buckettest.Fault{Hang: make(chan struct{})}, buckettest.OpPut))
		defer m.DoubtIfSlow()()
		time.Sleep(2*SlowCall + time.Second)
		if !m.IsDown() {
			t.Error("not seen")
		}
	})
}

// Where only a right to read or to delete is missing, files are taken; the trial tells
// when it is back, and is made less and less often.
func TestRightsThatAreMissing(t *testing.T) {
	for _, op := range []buckettest.Op{buckettest.OpGet, buckettest.OpDelete} {
		t.Run(string(op), func(t *testing.T) {
			run(t, func(t *testing.T, m *monitored) {
				m.fails(errOne, op)
				m.Doubt(media.Public, 0, true)
				synctest.Wait()
				if m.Trouble() != nil || m.Lacks() == nil {
					t.Errorf("%v, %v", m.Trouble(), m.Lacks())
				}
				time.Sleep(10 * time.Minute)
				if n := m.store.Calls(buckettest.OpPut); n > 100 {
					t.Errorf("tried %d times in ten minutes", n)
				}
				m.store.SetHook(nil)
				time.Sleep(deniedMax + 2*RetryMax)
				if m.Lacks() != nil {
					t.Error(m.Lacks())
				}
				if begun, ended := m.count("not all that is needed"), m.count("can be done in the bucket again"); begun != 1 || ended != 1 {
					t.Errorf("%d and %d lines", begun, ended)
				}
			})
		})
	}
}

// What this node refuses itself tells nothing of the bucket.
func TestOwnRefusal(t *testing.T) {
	run(t, func(t *testing.T, m *monitored) {
		m.fails(errOurs, buckettest.OpPut)
		m.Doubt(media.Public, 0, true)
		synctest.Wait()
		if m.Trouble() != nil || m.count("WARN") != 0 {
			t.Error(m.Trouble())
		}
	})
}

func TestCauses(t *testing.T) {
	for _, c := range []struct {
		err               error
		ofStore, isAdmins bool
	}{
		{errFull, true, false},
		{errGone, true, false},
		{bucket.ErrDenied, true, true},
		{bucket.ErrNoBucket, true, true},
		{bucket.ErrClock, true, true},
		{fmt.Errorf("%w: %w", bucket.ErrOfObject, bucket.ErrDenied), false, true},
		{errOne, false, false},
		{errors.New("a cut connection"), false, false},
	} {
		if got := IsOfStore(c.err); got != c.ofStore {
			t.Errorf("%v: of the store: %t", c.err, got)
		}
		if got := IsAdmins(c.err); got != c.isAdmins {
			t.Errorf("%v: the admin's: %t", c.err, got)
		}
	}
}
