package offload

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
)

var errKilled = errors.New("the process is gone")

// killAfter kills the node during do, once the bucket has done that many of the changes
// that it asks for; false if do needs no more than those.
func (s *site) killAfter(changes int, do func() error) bool {
	s.t.Helper()
	var left, cut atomic.Int64
	left.Store(int64(changes))
	s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		switch c.Op {
		case buckettest.OpPut, buckettest.OpCopy, buckettest.OpDelete:
			switch n := left.Add(-1); {
			case n == 0:
				return buckettest.Fault{After: errKilled}
			case n < 0:
				cut.Add(1)
				return buckettest.Fault{Before: errKilled}
			}
		default:
			if left.Load() <= 0 {
				return buckettest.Fault{Before: errKilled}
			}
		}
		return buckettest.Fault{}
	})
	err := do()
	s.kill()
	return err != nil || cut.Load() > 0
}

// killedAfterEach runs test, on one node alone and on one of two, for each change after
// which a command may be killed.
func killedAfterEach(t *testing.T, most int, test func(t *testing.T, s *site, others nodes, changes int)) {
	for changes := 1; changes <= most; changes++ {
		t.Run(fmt.Sprint(changes, "/own"), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.ready()
			test(t, s, nil, changes)
		})
		t.Run(fmt.Sprint(changes, "/all"), func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 2, shortLostAfter).ready()
			test(t, ns[0], ns[1:], changes)
		})
	}
}

// A restore that is killed can be repeated: then every file is back, in the bucket and on
// all disks, and none of them is in the trash.
//
// Promise 8: "by way of the trash, from which it can be taken back".
func TestKilledRestoreIsRepeated(t *testing.T) {
	killedAfterEach(t, 8, func(t *testing.T, s *site, others nodes, changes int) {
		keys := []string{"a.jpg", "dir/b.jpg"}
		s.mustUpload(func() { s.writeAll(keys) })
		all := append(nodes{s}, others...)
		all.agree()
		for _, key := range keys {
			s.putInTrash(key, time.Now())
		}
		s.mustUpload(func() { s.remove("a.jpg"); s.remove("dir") })
		s.gone(others, keys...)
		s.idle()
		restore := func() error { _, err := s.e.TakeAllBack(t.Context()); return err }
		s.killAfter(changes, restore)
		s.ready()
		mustDo(t, restore())
		s.idle()
		if got := s.inTrash(); len(got) != 0 {
			t.Errorf("the trash has %q", got)
		}
		for _, key := range keys {
			for _, n := range all {
				n.until(key+" to be back", func() bool { return n.read(key) == "content of "+key && n.readObject(key) == "content of "+key })
			}
		}
	})
}

// An accept that is killed can be repeated: then no object is left, and each is in the
// trash once; the other nodes follow.
//
// Promise 8: "A deleted file does not come back by itself."
func TestKilledAcceptIsRepeated(t *testing.T) {
	killedAfterEach(t, 15, func(t *testing.T, s *site, others nodes, changes int) {
		keys := names(12)
		s.mustUpload(func() { s.writeAll(append(keys, "kept.jpg")) })
		all := append(nodes{s}, others...)
		all.agree()
		s.removeAtOnce(keys)
		s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == len(keys) })
		s.idle()
		accept := func() error { _, err := s.e.Withheld().Accept(t.Context()); return err }
		s.killAfter(changes, accept)
		s.ready()
		killed := time.Now().Unix()
		s.until("the next second", func() bool { return time.Now().Unix() > killed }) // names in the trash have its precision
		mustDo(t, accept())
		s.idle()
		for _, n := range others {
			n.compareNow()
			n.idle()
		}
		s.gone(others, keys...)
		for _, n := range all {
			n.compareNow()
			n.idle()
		}
		s.gone(others, keys...)
		got := s.inTrash()
		want := slices.Clone(keys)
		for i := range want {
			want[i] = as(want[i], trash.Accepted)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("the trash has %q, want %q", got, want)
		}
	})
}
