package offload

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// leavings are ways in which the files of a directory go outside requests.
func leavings(s *site) map[string]func(dir string) {
	return map[string]func(dir string){
		"removed": func(dir string) {
			s.e.queue.Lock()
			defer s.e.queue.Unlock()
			s.remove(dir)
		},
		"moved away": func(dir string) { mustDo(s.t, os.Rename(s.path(dir), s.t.TempDir()+"/away")) },
	}
}

// onEachLeaving runs a test on both modes with each of them.
func onEachLeaving(t *testing.T, test func(t *testing.T, s *site, others nodes, leave func(dir string))) {
	for _, how := range []string{"removed", "moved away"} {
		t.Run(how, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, others nodes) { test(t, s, others, leavings(s)[how]) })
		})
	}
}

// strange puts objects into the bucket that are on no disk, below a directory: of those
// that a comparison has seen, and of those that nobody has. It returns their keys.
func (s *site) strange(dir string) (keys []string) {
	s.t.Helper()
	if s.e.cfg.Local == LocalOwn {
		keys = append(keys, dir+"/adopted.jpg", dir+"/old/adopted.jpg")
		for _, key := range keys {
			s.putObject("media/"+key, "another's")
		}
		s.stop()
		s.ready()
	}
	unseen := dir + "/unseen.jpg"
	s.putObject("media/"+unseen, "another's")
	return append(keys, unseen)
}

// Of a directory whose deletes were withheld, what the admin accepts, or takes back, is
// what was on this disk: not what the bucket has besides.
//
// Promise 8: "What a process deletes while the module watches is deleted".
func TestAcceptTakesNothingAlong(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
			onEachLeaving(t, func(t *testing.T, s *site, others nodes, leave func(dir string)) {
				testAcceptTakesNothingAlong(t, s, others, leave, restart)
			})
		})
	}
}

func testAcceptTakesNothingAlong(t *testing.T, s *site, others nodes, leave func(dir string), restart bool) {
	var went, again []string
	for i := range 20 {
		went = append(went, fmt.Sprintf("e/%02d.jpg", i))
		again = append(again, fmt.Sprintf("f/in/%02d.jpg", i))
	}
	s.mustUpload(func() { s.writeAll(slices.Concat(went, again)) })
	append(nodes{s}, others...).agree()
	var strange []string
	for _, part := range []struct {
		dir    string
		keys   []string
		settle func() (int, error)
	}{
		{"e", went, func() (int, error) { return s.e.Withheld().Accept(t.Context()) }},
		{"f", again, func() (int, error) { return s.e.Withheld().Refuse(t.Context()) }},
	} {
		strange = append(strange, s.strange(part.dir)...)
		leave(part.dir)
		s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
		s.idle()
		if restart {
			s.stop()
			s.ready()
			s.idle()
		}
		if got := s.withheld(); !slices.Equal(got, part.keys) {
			t.Errorf("%s: withheld are %q", part.dir, got)
		}
		if n, err := part.settle(); n != 20 || err != nil {
			t.Errorf("%s: settled %d: %v", part.dir, n, err)
		}
		s.idle()
	}
	for _, key := range strange {
		if s.readObject(key) == "" {
			t.Errorf("%s was never on this disk, and its object is gone", key)
		}
	}
	if got := s.inTrash(); len(got) != len(went) {
		t.Errorf("the trash has %q", got)
	}
	for _, key := range again {
		s.until(key+" to be back", func() bool { return s.read(key) != "" })
	}
	s.gone(others, went...)
}

// What the bucket has of a directory besides what was on this disk stays when that goes.
//
// Promise 8: "What a process deletes while the module watches is deleted".
func TestDirectoryTakesNothingAlong(t *testing.T) {
	t.Parallel()
	onEachLeaving(t, func(t *testing.T, s *site, others nodes, leave func(dir string)) {
		for _, inRequest := range []bool{false, true} {
			dir := fmt.Sprint("d-", inRequest)
			went := []string{dir + "/a.jpg", dir + "/b.jpg", dir + "/in/c.jpg"}
			s.mustUpload(func() { s.writeAll(append(slices.Clone(went), names(20)...)) })
			s.idle()
			strange := s.strange(dir)
			if inRequest {
				s.mustUpload(func() { leave(dir) })
			} else {
				leave(dir)
			}
			s.gone(nil, went...)
			s.idle()
			for _, key := range strange {
				if s.readObject(key) == "" {
					t.Errorf("in a request %v: %s was never on this disk, and its object is gone", inRequest, key)
				}
			}
		}
	})
}

// What is in the bucket only stays there when a directory that it would be in is made, by a
// request of a process that is killed.
//
// Promise 8: "What is missing after a time without the module is fetched, not deleted".
func TestDirectoryMadeByAKilledProcess(t *testing.T) {
	t.Parallel()
	for _, above := range []string{"", "2026"} { // a directory that is there before
		t.Run("below "+above, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			kept := []string{"2026/11/old.jpg", "2026/11/in/old.jpg", "2026/12/old.jpg"}
			for _, key := range kept {
				s.putObject("media/"+key, "another's")
			}
			mustDo(t, os.MkdirAll(s.path(above), 0o755))
			s.ready()
			s.idle()
			r := s.e.beginRunning(t.Context(), "")
			s.write("2026/11/in/new.jpg", "new")
			s.write("2026/11/in/gone.jpg", "gone")
			mustDo(t, r.Wait(t.Context()))
			s.setNote(window{from: time.Now().Add(-time.Minute), to: time.Now()}.String())
			s.kill()
			r.End()
			s.ready()
			s.idle()
			for _, key := range kept {
				if s.readObject(key) == "" {
					t.Errorf("%s was never on this disk, and its object is gone", key)
				}
			}
		})
	}
}
