package offload

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// Deletes that are withheld stay so when the folder that went is there again, whoever made
// it and be it in part, until the admin has said what is right: also after a restart.
//
// Promise 8: "much at once outside requests waits for the admin's word".
func TestWithheldInAFolderMadeAgain(t *testing.T) {
	t.Parallel()
	ways := map[string]func(s *site, others nodes) (made []string){
		"not at all": func(*site, nodes) []string { return nil },
		"mkdir": func(s *site, _ nodes) []string {
			mustDo(s.t, os.Mkdir(s.path("e"), 0o755))
			return nil
		},
		"in part": func(s *site, _ nodes) []string {
			mustDo(s.t, os.MkdirAll(s.path("e/in"), 0o755))
			return nil
		},
		"whole": func(s *site, _ nodes) []string {
			mustDo(s.t, os.MkdirAll(s.path("e/in/deep"), 0o755))
			return nil
		},
		"an upload into it": func(s *site, _ nodes) []string {
			s.mustUpload(func() { s.writeAll([]string{"e/new.jpg", "e/in/deep/new.jpg"}) })
			return []string{"e/new.jpg", "e/in/deep/new.jpg"}
		},
		"a name that went": func(s *site, others nodes) []string {
			s.mustUpload(func() { s.write("e/in/deep/7.jpg", "newer") }, "7.jpg")
			if n := s.logs.count("an upload took the name of a file whose delete is withheld"); n != len(others) {
				s.t.Errorf("%d lines in the log", n)
			}
			return []string{"e/in/deep/7.jpg"}
		},
		"a file of another server": func(s *site, others nodes) []string {
			for _, n := range others {
				n.mustUpload(func() { n.write("e/in/new.jpg", "another's") })
				s.until("its file", func() bool { return s.read("e/in/new.jpg") == "another's" })
			}
			return nil
		},
	}
	for way, make := range ways {
		for _, end := range []string{"restart", "kill"} {
			t.Run(way+", "+end, func(t *testing.T) {
				onBothModes(t, func(t *testing.T, s *site, others nodes) {
					testWithheldInAFolderMadeAgain(t, s, others, make, end == "kill")
				})
			})
		}
	}
}

func testWithheldInAFolderMadeAgain(t *testing.T, s *site, others nodes, make func(*site, nodes) []string, kill bool) {
	var went []string
	for i := range 10 {
		went = append(went, fmt.Sprintf("e/%d.jpg", i), fmt.Sprintf("e/in/deep/%d.jpg", i))
	}
	s.mustUpload(func() { s.writeAll(append(slices.Clone(went), names(20)...)) })
	append(nodes{s}, others...).agree()
	s.e.queue.Lock()
	s.remove("e")
	s.e.queue.Unlock()
	s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
	s.idle()
	made := make(s, others)
	s.idle()
	went = slices.DeleteFunc(went, func(key string) bool { return slices.Contains(made, key) })
	slices.Sort(went)
	if kill {
		s.kill()
	} else {
		s.stop()
	}
	s.ready()
	s.idle()
	if got := s.withheld(); s.e.Stats().Withheld != len(went) || !slices.Equal(got, went) {
		t.Errorf("%d are withheld of %d, listed are %q", s.e.Stats().Withheld, len(went), got)
	}
	for _, key := range went {
		if s.read(key) != "" || s.readObject(key) == "" {
			t.Fatalf("%s: the file is %q, the object %q", key, s.read(key), s.readObject(key))
		}
	}
	if kill {
		if n, err := s.e.Withheld().Refuse(t.Context()); n != len(went) || err != nil {
			t.Errorf("%d came back: %v", n, err)
		}
		s.until("the files to be back", func() bool {
			return !slices.ContainsFunc(went, func(key string) bool { return s.read(key) == "" })
		})
	} else if n, err := s.e.Withheld().Accept(t.Context()); n != len(went) || err != nil {
		t.Errorf("%d were deleted: %v", n, err)
	}
	s.idle()
	if n := len(s.withheld()); n != 0 || s.e.Stats().Withheld != 0 {
		t.Errorf("%d are still withheld, %d by the count", n, s.e.Stats().Withheld)
	}
	append(nodes{s}, others...).agree()
}

// A directory that goes later, empty of what was withheld in it, takes none of that along,
// neither from the bucket nor from what is known after a restart, whoever removes it.
//
// Promise 8: "much at once outside requests waits for the admin's word".
func TestDirectoryOfWithheldDeletesGoes(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, others nodes) {
		var went []string
		for i := range 20 {
			went = append(went, fmt.Sprintf("e/%d/%02d.jpg", i/5, i))
		}
		s.mustUpload(func() { s.writeAll(append(slices.Clone(went), names(20)...)) })
		append(nodes{s}, others...).agree()
		s.removeAtOnce(went)
		s.until("the deletes to be withheld", func() bool { return s.e.Stats().Withheld == 20 })
		s.idle()
		for _, dir := range []string{"e/0", "e/1", "e"} {
			s.e.unattended.Forget() // a minute later
			if dir == "e/1" {
				s.mustUpload(func() { s.remove(dir) })
			} else {
				s.remove(dir)
			}
			s.idle()
			if got := s.withheld(); !slices.Equal(got, went) || s.e.Stats().Withheld != 20 {
				t.Fatalf("%s went: %d are withheld, listed are %q", dir, s.e.Stats().Withheld, got)
			}
		}
		if got := s.inTrash(); len(got) != 0 {
			t.Errorf("the trash has %q", got)
		}
		s.stop()
		s.ready()
		if got := s.withheld(); !slices.Equal(got, went) || s.e.Stats().Withheld != 20 {
			t.Errorf("after a restart %d are withheld, listed are %q", s.e.Stats().Withheld, got)
		}
	})
}
