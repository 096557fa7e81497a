package offload

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// failOne has calls of an operation fail that are about one of the keys' objects.
func (s *site) failOne(err error, op buckettest.Op, key string) {
	s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
		of := func(name string) bool { return strings.HasSuffix(name, "/"+key) }
		if c.Op == op && slices.ContainsFunc(slices.Concat(c.Keys, []string{c.Key}), of) {
			return buckettest.Fault{Before: err}
		}
		return buckettest.Fault{}
	})
}

// An object that cannot be looked at, copied to the trash or deleted keeps no other from
// being deleted with it: of files, of a directory, and of those that the admin accepts.
//
// Promise 8: "What a process deletes while the module watches is deleted".
func TestOneObjectThatFailsKeepsNoOtherDelete(t *testing.T) {
	removals := map[string]func(s *site, keys []string, fail func()){
		"files":     func(s *site, keys []string, fail func()) { fail(); s.removeAtOnce(keys) },
		"directory": func(s *site, _ []string, fail func()) { fail(); s.remove("2026") },
		"accepted": func(s *site, keys []string, fail func()) {
			s.removeAtOnce(keys)
			s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == len(keys) })
			s.idle()
			fail()
			if n, err := s.e.Withheld().Accept(s.t.Context()); n != len(keys)-1 || !errors.Is(err, errOneDenied) {
				s.t.Errorf("accepted %d of %d: %v", n, len(keys), err)
			}
		},
	}
	for how, remove := range removals {
		for _, op := range []buckettest.Op{buckettest.OpHead, buckettest.OpCopy, buckettest.OpDelete} {
			t.Run(fmt.Sprintf("%s/%s", how, op), func(t *testing.T) {
				onBothModes(t, func(t *testing.T, s *site, others nodes) {
					keys := names(6)
					if how == "accepted" {
						keys = names(30)
					}
					poisoned, rest := keys[2], slices.Concat(keys[:2], keys[3:])
					s.mustUpload(func() { s.writeAll(keys) })
					append(nodes{s}, others...).agree()
					remove(s, keys, func() { s.failOne(errOneDenied, op, poisoned) })
					s.gone(others, rest...)
					if op != buckettest.OpHead && s.readObject(poisoned) == "" {
						t.Errorf("%s is gone", poisoned)
					}
					s.faults.SetHook(nil)
					if how == "accepted" {
						if n, err := s.e.Withheld().Accept(t.Context()); n != 1 || err != nil {
							t.Errorf("accepted %d: %v", n, err)
						}
					}
					s.gone(others, poisoned)
					s.idle()
					if got := s.inTrash(); len(got) != len(keys) {
						t.Errorf("the trash has %q", got)
					}
				})
			})
		}
	}
}

// An error of the store ends what is done side by side: nobody waits for as many more as
// there are files.
func TestStoreThatFailsEndsTheBatch(t *testing.T) {
	for name, err := range map[string]error{"denied for all": bucket.ErrDenied, "tells nothing": buckettest.ErrInjected} {
		t.Run(name, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, _ nodes) {
				keys := names(200)
				s.mustUpload(func() { s.writeAll(keys) })
				s.idle()
				s.removeAtOnce(keys[:100])
				s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 100 })
				s.idle()
				var copies atomic.Int64
				s.faults.SetHook(func(c buckettest.Call) buckettest.Fault {
					if c.Op != buckettest.OpCopy {
						return buckettest.Fault{}
					}
					copies.Add(1)
					return buckettest.Fault{Before: err}
				})
				if n, failed := s.e.Withheld().Accept(t.Context()); n != 0 || !errors.Is(failed, err) {
					t.Errorf("accepted %d: %v", n, failed)
				}
				if n := copies.Load(); n > 3*looksAtOnce {
					t.Errorf("%d objects were tried", n)
				}
				if n := s.e.Stats().Withheld; n != 100 {
					t.Errorf("%d are withheld", n)
				}
			})
		})
	}
}

// A part of the bucket that cannot be listed hides nothing else of what is withheld: the
// list names it and goes on, and so does the admin's word.
func TestUnlistedPartOfWhatIsWithheld(t *testing.T) {
	onBothModes(t, func(t *testing.T, s *site, others nodes) {
		var keys []string
		for i := range 30 {
			keys = append(keys, fmt.Sprintf("%c/%d.jpg", 'a'+i%2, i))
		}
		s.mustUpload(func() { s.writeAll(keys) })
		append(nodes{s}, others...).agree()
		s.removeAtOnce(keys)
		s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 30 })
		s.idle()
		s.faults.SetHook(unlist("media/a/"))
		listed, unlisted := 0, 0
		for _, err := range s.e.Withheld().List(t.Context()) {
			if bucket.IsUnlisted(err) {
				unlisted++
				continue
			}
			mustDo(t, err)
			listed++
		}
		if listed != 15 || unlisted != 1 {
			t.Errorf("%d are listed, %d parts are not", listed, unlisted)
		}
		if n, err := s.e.Withheld().Accept(t.Context()); n != 15 || !bucket.IsUnlisted(err) {
			t.Errorf("accepted %d: %v", n, err)
		}
		s.faults.SetHook(nil)
		if n := s.e.Stats().Withheld; n != 15 {
			t.Errorf("%d are withheld", n)
		}
		if n, err := s.e.Withheld().Refuse(t.Context()); n != 15 || err != nil {
			t.Errorf("brought back %d: %v", n, err)
		}
	})
}

// What is done side by side goes on after errors that may be about one object, and ends with
// one of the store, or with many in a row of no kind.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	const n = 1000
	for name, c := range map[string]struct {
		err   error
		tried func(tried int64) bool
	}{
		"none":        {nil, func(tried int64) bool { return tried == n }},
		"one's":       {errOneDenied, func(tried int64) bool { return tried == n }},
		"the store's": {bucket.ErrDenied, func(tried int64) bool { return tried <= looksAtOnce }},
		"of no kind":  {buckettest.ErrInjected, func(tried int64) bool { return tried >= looksAtOnce && tried < 3*looksAtOnce }},
	} {
		var tried atomic.Int64
		errs := sideBySide(n, func(int) error { tried.Add(1); return c.err })
		if !c.tried(tried.Load()) || len(errs) != n {
			t.Errorf("%s: %d were tried", name, tried.Load())
		}
		for i, err := range errs {
			if !errors.Is(err, c.err) {
				t.Fatalf("%s: the error of %d is %v", name, i, err)
			}
		}
	}
}
