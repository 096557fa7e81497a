package offload

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// compareAll has every node compare disk and bucket, as each does once a day.
func (ns nodes) compareAll() {
	for _, s := range ns {
		s.t.Helper()
		s.e.recon.want(everything, window{})
	}
}

func (ns nodes) untilRead(key, content string) {
	for _, s := range ns {
		s.t.Helper()
		s.until(fmt.Sprintf("%s to be %q", key, content), func() bool { return s.read(key) == content })
	}
	ns.agree()
}

// Promise 2: "Nothing is lost." What somebody who is no server of the site's stored in
// place of an object comes to the disks; what it replaced, which was acknowledged once,
// is kept aside: whether a comparison found it, or the change log tells of it.
func TestReplacedContentIsKeptAside(t *testing.T) {
	t.Parallel()
	for how, heard := range map[string]func(ns nodes){
		"by a comparison": func(ns nodes) { ns.compareAll() },
		"by an entry of the log that names another version": func(ns nodes) {
			ns.forge(changelog.Change{Op: changelog.Put, Key: "x.jpg", Class: media.Public, Size: 10, ETag: "another"})
		},
		"by an entry of the log that names it": func(ns nodes) {
			there, err := ns[0].e.head("x.jpg", media.Public)
			mustDo(ns[0].t, err)
			ns.forge(changelog.Change{Op: changelog.Put, Key: "x.jpg", Class: media.Public, Size: there.Size, ETag: there.ETag})
		},
		"by a comparison after a restart": func(ns nodes) {
			for _, s := range ns {
				s.stop()
				s.ready()
			}
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 2).ready()
			ns[0].mustUpload(func() { ns[0].write("x.jpg", "acknowledged") })
			ns.untilRead("x.jpg", "acknowledged")
			ns[0].putObject("media/x.jpg", "somebody's")
			heard(ns)
			ns.untilRead("x.jpg", "somebody's")
			if got := ns[0].conflicts(); len(got) != 1 || got[0] != "acknowledged" {
				t.Errorf("kept aside: %q", got)
			}
			for i, s := range ns {
				if n := s.logs.count("no server of the site's told of"); n != 1 {
					t.Errorf("node %d: %d lines in the log", i, n)
				}
			}
		})
	}
}

// forge writes to the change log as a stranger who may write to the bucket.
func (ns nodes) forge(c changelog.Change) {
	s := ns[0]
	s.t.Helper()
	stranger := newNodes(s.t, 1)[0]
	stranger.bucket = s.bucket
	stranger.ready()
	mustDo(s.t, stranger.e.team.log.Append(s.t.Context(), c))
	stranger.stop()
}

// What the site's servers replace is kept nowhere: that is what an overwrite means.
func TestReplacementsByNodesAreNotKept(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 3).ready()
	for i := range 6 {
		s := ns[i%len(ns)]
		s.mustUpload(func() {
			s.write("x.jpg", fmt.Sprintf("version %d", i))
			s.write("big.jpg", fmt.Sprintf("%d%s", i, make([]byte, 2*smallPut)))
		}, "x.jpg", "big.jpg")
		ns.untilRead("x.jpg", fmt.Sprintf("version %d", i))
	}
	// One that was away hears of it by the log, and compares as well.
	ns[2].stop()
	ns[0].mustUpload(func() { ns[0].write("x.jpg", "while it was away") }, "x.jpg")
	ns[2].ready()
	ns.untilRead("x.jpg", "while it was away")
	ns.compareAll()
	ns.agree()
	if got := ns[0].conflicts(); len(got) != 0 {
		t.Errorf("kept aside: %q", got)
	}
}

// A server that was away for longer than the change log reaches back follows what the
// site's servers replaced meanwhile, and keeps nothing of that: its files are as they were
// committed. What somebody else replaced is kept.
//
// Promise 2: "Nothing is lost."
func TestReplacedBeyondTheLog(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	keys := append(names(5), "strange.jpg")
	a.mustUpload(func() { a.writeAll(keys) })
	ns.agree()
	b.stop()
	for _, key := range keys[:5] {
		a.mustUpload(func() { a.write(key, "newer") }, key)
	}
	a.putObject("media/strange.jpg", "somebody's")
	a.trimLog()
	b.ready()
	if n := b.logs.count("the change log does not reach back"); n != 1 {
		t.Fatalf("%d lines about the log", n)
	}
	for _, key := range keys[:5] {
		nodes{b}.untilRead(key, "newer")
	}
	if got := a.conflicts(); len(got) != 1 || got[0] != "content of strange.jpg" {
		t.Errorf("kept aside: %q", got)
	}
}

// trimLog removes all but the newest entry of the change log.
func (s *site) trimLog() {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.bucket, "offload", "log"))
	mustDo(s.t, err)
	for _, entry := range entries[:len(entries)-1] {
		mustDo(s.t, os.RemoveAll(filepath.Join(s.bucket, "offload", "log", entry.Name())))
	}
}

// Of one name a bounded number of versions is kept: those that came first, as what was
// acknowledged did.
func TestReplacedContentIsBounded(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 1).ready()
	s := ns[0]
	s.mustUpload(func() { s.write("x.jpg", "acknowledged") })
	for i := range maxReplaced + 2 {
		content := fmt.Sprintf("somebody's %d", i)
		s.putObject("media/x.jpg", content)
		ns.compareAll()
		ns.untilRead("x.jpg", content)
	}
	got := s.conflicts()
	if len(got) != maxReplaced || !slices.Contains(got, "acknowledged") {
		t.Errorf("kept aside: %q", got)
	}
	if n := s.logs.count("is kept nowhere"); n != 2 {
		t.Errorf("%d lines in the log about what is not kept", n)
	}
	if n := s.e.Stats().Conflicts; n != maxReplaced {
		t.Errorf("%d are counted", n)
	}
}
