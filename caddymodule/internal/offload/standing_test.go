package offload

import (
	"os"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// stays checks that a file is private and closed, its object too.
func (s *site) staysPrivate(when, key, content string) {
	s.t.Helper()
	if got := s.read(key); got != content {
		s.t.Errorf("%s: on disk is %q", when, got)
	}
	if class := s.e.Class(key); class != media.Private || !s.e.Closed(key) {
		s.t.Errorf("%s: it is %v, closed %v", when, class, s.e.Closed(key))
	}
	if _, _, ok := s.e.Public([]byte(key)); ok {
		s.t.Errorf("%s: pages name it", when)
	}
	if got, ok := s.objects()[key]; ok {
		s.t.Errorf("%s: its object is public: %q", when, got)
	}
	if got := s.private()[key]; got != content {
		s.t.Errorf("%s: the private object is %q", when, got)
	}
}

func (s *site) isPublic(when, key, content string) {
	s.t.Helper()
	if class := s.e.Class(key); class != media.Public || s.e.Closed(key) || s.read(key) != content || s.objects()[key] != content {
		s.t.Errorf("%s: it is %v, closed %v, on disk %q, public object %q", when, class, s.e.Closed(key), s.read(key), s.objects()[key])
	}
}

// Promise 7: "Private stays private." A wiped disk has lost the .htaccess; what was
// private in the bucket is so again, however it comes back.
func TestRestoreKeepsPrivate(t *testing.T) {
	t.Parallel()
	for name, bringBack := range map[string]func(s *site, content string){
		"restore": func(s *site, _ string) {
			if got, err := s.e.Restore(s.t.Context(), func(Restored) {}); err != nil || got.Failed > 0 {
				s.t.Errorf("restored %+v, %v", got, err)
			}
		},
		"a backup, while it runs":  func(s *site, content string) { s.write("prot/secret.pdf", content) },
		"a backup, before a start": func(s *site, content string) { s.stop(); s.write("prot/secret.pdf", content); s.ready() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.ready()
			s.mustRequest(func() {
				s.write("prot/.htaccess", "deny from all")
				s.write("prot/secret.pdf", "secret")
				s.write("open.jpg", "open")
			})
			s.stop()
			s.remove("prot")
			s.remove("open.jpg")
			s.ready()
			bringBack(s, "secret")
			s.idle()
			s.staysPrivate("brought back", "prot/secret.pdf", "secret")
			s.stop()
			s.ready()
			s.staysPrivate("after a restart", "prot/secret.pdf", "secret")
			if err := os.Symlink("prot/secret.pdf", s.path("link.pdf")); err != nil {
				t.Fatal(err)
			}
			if !s.e.Closed("link.pdf") {
				t.Error("a link opens it")
			}

			// What the app does not mean as opening it does not.
			s.mustRequest(func() { s.write("prot/.htaccess", "Options -Indexes") })
			s.staysPrivate("another .htaccess", "prot/secret.pdf", "secret")
			s.mustRequest(func() { s.write("prot/secret.pdf", "secret, too") })
			s.staysPrivate("written by the app", "prot/secret.pdf", "secret, too")
			s.mustRequest(func() { s.write("new.pdf", "secret, three"); s.rename("new.pdf", "prot/secret.pdf") })
			s.staysPrivate("replaced by the app", "prot/secret.pdf", "secret, three")
			s.mustRequest(func() { s.write("prot/new.pdf", "new") })
			s.isPublic("of the same folder", "prot/new.pdf", "new")

			// What it means so does: it closes the folder, and opens it.
			s.mustRequest(func() { s.write("prot/.htaccess", "deny from all") })
			s.staysPrivate("closed again", "prot/secret.pdf", "secret, three")
			s.mustRequest(func() { s.remove("prot/.htaccess") })
			s.isPublic("opened", "prot/secret.pdf", "secret, three")
		})
	}
}

// The admin's word opens what was kept.
func TestThePublicOptionOpensWhatWasKept(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustRequest(func() { s.write("prot/.htaccess", "deny from all"); s.write("prot/a.pdf", "a") })
	s.stop()
	s.remove("prot")
	s.ready()
	if got, err := s.e.Restore(t.Context(), func(Restored) {}); err != nil || got.Files != 1 {
		t.Fatalf("restored %+v, %v", got, err)
	}
	s.idle()
	s.staysPrivate("restored", "prot/a.pdf", "a")
	s.stop()
	s.openly = []string{"/prot/"}
	s.ready()
	s.isPublic("said public", "prot/a.pdf", "a")
}

// Promise 7: "Whoever can write to the bucket can change media and nothing else". An
// object among the private ones makes nothing private but itself.
func TestAPrivateObjectMakesNothingElsePrivate(t *testing.T) {
	t.Parallel()
	onEveryStore(t, aPrivateObjectMakesNothingElsePrivate)
}

func aPrivateObjectMakesNothingElsePrivate(t *testing.T, newNodes func(int) nodes) {
	ns := newNodes(2).ready()
	a, b := ns[0], ns[1]
	keys := ns.haveFiles(3)
	a.mustUpload(func() { a.write("top.jpg", "top") })
	ns.agree()
	check := func(when string) {
		t.Helper()
		for _, s := range ns {
			for _, key := range keys {
				s.isPublic(when, key, "content of "+key)
			}
			s.isPublic(when, "top.jpg", "top")
		}
	}
	a.putObject("private/zz.jpg", "a stranger's")
	a.putObject("private/top.jpg", "a stranger's double")
	put := func(key, etag string) changelog.Change {
		return changelog.Change{Op: changelog.Put, Key: key, Class: media.Private, ETag: etag}
	}
	for _, s := range ns {
		s.e.apply([]changelog.Change{put("zz.jpg", "x"), put("top.jpg", "y"), put(keys[0], "z")})
	}
	for _, s := range ns {
		s.until("the stranger's file", func() bool { return s.read("zz.jpg") == "a stranger's" })
		s.idle()
		if !s.e.Closed("zz.jpg") {
			t.Error("the stranger's file is open")
		}
	}
	check("heard of")
	b.mustUpload(func() { b.write("later.jpg", "later") })
	a.until("the upload", func() bool { return a.read("later.jpg") == "later" })
	a.isPublic("a later upload", "later.jpg", "later")
	for _, s := range ns {
		s.stop()
		s.ready()
		s.idle()
	}
	check("after a restart")
	if got := a.private()["zz.jpg"]; got != "a stranger's" {
		t.Errorf("the stranger's object was moved: %q", got)
	}
}

// Promise 6: "Every node sees what a shared disk would show." A folder that the app
// of one node opens is open on all.
func TestAFolderIsOpenedOnAllNodes(t *testing.T) {
	t.Parallel()
	ns := newNodes(t, 2).ready()
	a, b := ns[0], ns[1]
	a.mustUpload(func() { a.write("prot/.htaccess", "deny from all"); a.write("prot/a.pdf", "a") })
	ns.agree()
	b.staysPrivate("fetched", "prot/a.pdf", "a")
	b.stop()
	b.ready()
	b.staysPrivate("after a restart", "prot/a.pdf", "a")
	a.mustUpload(func() { a.remove("prot/.htaccess"); a.write("prot/b.pdf", "b") })
	for _, s := range ns {
		s.until("the news", func() bool { return s.e.Class("prot/a.pdf") == media.Public && s.read("prot/b.pdf") == "b" })
		s.idle()
		s.isPublic("opened", "prot/a.pdf", "a")
		s.isPublic("written since", "prot/b.pdf", "b")
	}
	b.mustUpload(func() { b.write("prot/c.pdf", "c") })
	ns.agree()
	for _, s := range ns {
		s.stop()
		s.ready()
		s.isPublic("after a restart", "prot/a.pdf", "a")
		s.isPublic("after a restart", "prot/c.pdf", "c")
	}
	if got := a.private(); len(got) > 0 {
		t.Errorf("private: %v", got)
	}
}
