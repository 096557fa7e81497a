package offload

import (
	"context"
	"maps"
	"os"
	"slices"
	"testing"
	"time"
)

// nodes are engines with a disk each and one bucket.
type nodes []*site

func newNodes(t *testing.T, n int, change ...func(*Config)) nodes {
	t.Helper()
	bucket := t.TempDir()
	var all nodes
	for range n {
		s := newSite(t, func(c *Config) { c.Local, c.Poll, c.LeaseTTL = LocalAll, 20*time.Millisecond, 3*time.Second })
		for _, f := range change {
			f(&s.cfg)
		}
		s.bucket = bucket
		all = append(all, s)
	}
	return all
}

func (ns nodes) ready() nodes {
	for _, s := range ns {
		s.ready()
	}
	return ns
}

// upload does f as the app of the node would in a request that brings files of
// the names given.
func (s *site) upload(f func(), names ...string) error { return s.uploadFor("", f, names...) }

// uploadFor is upload by a request for a host.
func (s *site) uploadFor(host string, f func(), names ...string) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r := s.e.beginRunning(ctx, "client")
	defer r.End()
	r.For(host)
	for _, name := range names {
		r.Name(name)
	}
	if err := r.Ready(ctx); err != nil {
		return err
	}
	f()
	return r.Wait(ctx)
}

func (s *site) mustUpload(f func(), names ...string) {
	s.t.Helper()
	if err := s.upload(f, names...); err != nil {
		s.t.Fatal(err)
	}
}

// agree waits until all disks equal the bucket.
func (ns nodes) agree() {
	t := ns[0].t
	t.Helper()
	deadline := time.Now().Add(patience)
	for pause := 2 * time.Millisecond; ; pause = min(pause+pause/4, longestPause) {
		same := true
		objects := ns[0].everything()
		for _, s := range ns {
			if s.e == nil {
				continue
			}
			mustDo(t, s.e.barrier(t.Context())) // or what was just placed may not have been looked at
			if !maps.Equal(s.disk(), objects) || s.e.Stats().Pending > 0 {
				same = false
			}
		}
		if same {
			return
		}
		if time.Now().After(deadline) {
			for i, s := range ns {
				t.Logf("node %d: %+v", i, s.e.Stats())
				compare(t, s.disk(), objects)
			}
			t.Fatal("the disks do not become equal to the bucket")
		}
		time.Sleep(pause) // nothing signals this from outside
	}
}

// haveFiles puts n files on all disks, by an upload to the first node, and returns
// their keys.
func (ns nodes) haveFiles(n int) (keys []string) {
	ns[0].t.Helper()
	keys = names(n)
	ns[0].mustUpload(func() { ns[0].writeAll(keys) })
	ns.agree()
	return keys
}

// everything returns all objects of media, by key.
func (s *site) everything() map[string]string {
	all := s.objects()
	maps.Copy(all, s.private())
	return all
}

func (s *site) conflicts() []string {
	return slices.Sorted(maps.Values(s.below("offload/conflict/")))
}

func (s *site) read(key string) string {
	content, err := os.ReadFile(s.path(key))
	if err != nil {
		return ""
	}
	return string(content)
}

// Promise 6: "Every node sees what a shared disk would show. […] Overwrites
// and deletes reach the other disks within about a second."
func TestNodesSeeEachOthersFiles(t *testing.T) { onEveryStore(t, nodesSeeEachOthersFiles) }

func nodesSeeEachOthersFiles(t *testing.T, newNodes func(int) nodes) {
	ns := newNodes(3).ready()
	a, b, c := ns[0], ns[1], ns[2]
	steps := []struct {
		name string
		on   *site
		do   func()
	}{
		{"new files", a, func() { a.writeAll(names(8)) }},
		{"overwritten on another", b, func() { b.write("2026/11/photo-1.jpg", "other content") }},
		{"same size overwritten", c, func() { c.write("2026/11/photo-1.jpg", "OTHER CONTENT") }},
		{"replaced by rename", a, func() { a.write("tmp.jpg", "moved"); a.rename("tmp.jpg", "2026/11/photo-2.jpg") }},
		{"renamed", b, func() { b.rename("2026/11/photo-3.jpg", "2026/11/renamed.jpg") }},
		{"deleted", c, func() { c.remove("2026/11/photo-4.jpg"); c.remove("2026/11/photo-5.jpg") }},
		{"deleted and written again", a, func() { a.remove("2026/11/photo-1.jpg"); a.write("2026/11/photo-1.jpg", "anew") }},
		{"directory renamed", b, func() { b.rename("2026/11", "2026/10") }},
		{"directory removed", c, func() { c.remove("2026/10") }},
		{"an empty file", a, func() { a.write("empty.jpg", "") }},
		{"a directory becomes a file", a, func() { a.write("x.jpg/y.jpg", "below"); a.remove("x.jpg"); a.write("x.jpg", "file") }},
		{"a file becomes a directory", b, func() { b.remove("x.jpg"); b.write("x.jpg/y.jpg", "below") }},
		{"a directory is a file again", c, func() { c.remove("x.jpg"); c.write("x.jpg", "file again") }},
	}
	for _, step := range steps {
		step.on.mustUpload(step.do)
		t.Log(step.name)
		ns.agree()
		if !maps.Equal(step.on.disk(), a.everything()) {
			t.Fatalf("after: %s", step.name)
		}
	}
	if got := a.conflicts(); len(got) > 0 {
		t.Errorf("contents kept aside: %q", got)
	}
	for _, s := range ns {
		s.until("the directory to go", func() bool { _, err := os.Stat(s.path("2026/10")); return os.IsNotExist(err) })
	}
}
