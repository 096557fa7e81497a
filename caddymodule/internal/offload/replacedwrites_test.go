package offload

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// strangers are what somebody who is none of the site's servers does to the object of
// d/x.jpg, and what of it is to be kept when the site's app deletes or overwrites the file.
var strangers = map[string]struct {
	does func(s *site)
	kept []string
}{
	"another content": {func(s *site) { s.putObject("media/d/x.jpg", "somebody's") }, []string{"somebody's"}},
	"gone":            {func(s *site) { s.removeObjects("d/x.jpg") }, nil},
	"another class": {func(s *site) {
		s.removeObjects("d/x.jpg")
		s.putObject("private/d/x.jpg", "content")
	}, nil},
	"another class and content": {func(s *site) {
		s.removeObjects("d/x.jpg")
		s.putObject("private/d/x.jpg", "somebody's")
	}, []string{"somebody's"}},
}

// withStranger has each of the strangers do its work on a site with d/x.jpg, with one
// server, with two, and with one that writes alone.
func withStranger(t *testing.T, test func(t *testing.T, ns nodes, kept []string)) {
	for how, stranger := range strangers {
		for servers, local := range []LocalPolicy{LocalOwn, LocalAll, LocalAll} {
			servers = max(1, servers)
			t.Run(fmt.Sprintf("%s, local %s, %d", how, local, servers), func(t *testing.T) {
				t.Parallel()
				ns := newNodes(t, servers, func(c *Config) { c.Local = local }).ready()
				ns[0].mustUpload(func() { ns[0].write("d/x.jpg", "content") })
				ns.untilRead("d/x.jpg", "content")
				stranger.does(ns[0])
				kept := stranger.kept
				if local == LocalOwn {
					kept = nil // who writes alone has the last word
				}
				test(t, ns, kept)
			})
		}
	}
}

// aside are the contents that are in the trash or kept aside.
func (s *site) aside() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for _, below := range []map[string]string{s.below("offload/trash/"), s.below("offload/conflict/")} {
			for content := range maps.Values(below) {
				if !yield(content) {
					return
				}
			}
		}
	})
}

// wantAside wants these contents to be kept aside, or where they were.
func (s *site) wantAside(kept []string) {
	s.t.Helper()
	got := s.aside()
	if there := s.private()["d/x.jpg"]; slices.Contains(kept, there) {
		got = append(got, there)
	}
	if strings.Join(got, "|") != strings.Join(kept, "|") {
		s.t.Errorf("kept aside: %q, want %q", got, kept)
	}
}

// Promise 8: "What a process deletes while the module watches is deleted: by a request at
// once". Also if somebody else had replaced the object: that version is kept aside.
func TestDeleteOfWhatAStrangerReplaced(t *testing.T) {
	t.Parallel()
	for how, remove := range map[string]func(s *site){
		"the file":   func(s *site) { s.remove("d/x.jpg") },
		"its folder": func(s *site) { s.remove("d") },
		"by a name":  func(s *site) { s.rename("d/x.jpg", "d/y.jpg") },
		"for a time": func(s *site) { s.write("d/x.jpg", "changed"); s.remove("d/x.jpg") },
	} {
		t.Run(how, func(t *testing.T) {
			withStranger(t, func(t *testing.T, ns nodes, kept []string) {
				ns[0].mustUpload(func() { remove(ns[0]) })
				if got := ns[0].everything()["d/x.jpg"]; got != "" {
					t.Errorf("after the answer the object is %q", got)
				}
				ns.agree()
				ns.compareAll()
				ns.agree()
				for i, s := range ns {
					if got := s.read("d/x.jpg"); got != "" {
						t.Errorf("the file of node %d is %q", i, got)
					}
				}
				ns[0].wantAside(kept)
			})
		})
	}
}

// What a request writes has its name, also if somebody else had replaced what was there:
// that is kept aside.
func TestOverwriteOfWhatAStrangerReplaced(t *testing.T) {
	t.Parallel()
	for how, write := range map[string]func(s *site){
		"in place":    func(s *site) { s.write("d/x.jpg", "the app's") },
		"by a rename": func(s *site) { s.overwriteByRename("d/x.jpg", "the app's") },
	} {
		t.Run(how, func(t *testing.T) {
			withStranger(t, func(t *testing.T, ns nodes, kept []string) {
				ns[0].mustUpload(func() { write(ns[0]) })
				if got := ns[0].objects()["d/x.jpg"]; got != "the app's" {
					t.Errorf("after the answer the object is %q", got)
				}
				for _, s := range ns {
					s.until("the overwrite", func() bool { return s.read("d/x.jpg") == "the app's" })
				}
				ns[0].idle()
				ns[0].wantAside(kept)
			})
		})
	}
}

// What a stranger replaced is deleted and overwritten in the buckets of real servers, too.
func TestStrangersOnEveryStore(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, newNodes func(int) nodes) {
		ns := newNodes(2).ready()
		s := ns[0]
		s.mustUpload(func() { s.write("goes.jpg", "content"); s.write("stays.jpg", "content") })
		ns.untilRead("stays.jpg", "content")
		s.putObject("media/goes.jpg", "somebody's first")
		s.putObject("media/stays.jpg", "somebody's second")
		s.mustUpload(func() { s.remove("goes.jpg"); s.write("stays.jpg", "the app's") })
		for i, s := range ns {
			s.until("delete and overwrite", func() bool { return s.read("goes.jpg") == "" && s.read("stays.jpg") == "the app's" })
			if got := s.objects(); len(got) != 1 || got["stays.jpg"] != "the app's" {
				t.Errorf("node %d: the objects are %q", i, got)
			}
		}
		s.wantAside([]string{"somebody's first", "somebody's second"})
	})
}
