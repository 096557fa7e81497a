package offload

import (
	"os"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket/buckettest"
)

// intoRelease makes the media root a symbolic link to the directory that it was.
func (s *site) intoRelease() (release string) {
	s.t.Helper()
	release = s.dir + ".release"
	mustDo(s.t, os.Rename(s.dir, release))
	s.pointTo(release)
	return release
}

// pointTo switches the link as `ln -sfn` does.
func (s *site) pointTo(release string) {
	s.t.Helper()
	mustDo(s.t, os.Symlink(release, s.dir+".link"))
	mustDo(s.t, os.Rename(s.dir+".link", s.dir))
}

// A deploy tool switches the link and removes the release before it at once: what
// goes there is no delete of the site's.
//
// docs/deletes.md: "the media root itself: unmounted, moved away, a symlink that
// points elsewhere | kept | kept".
func TestDeletesInAReleaseThatWasLeft(t *testing.T) {
	t.Parallel()
	ways := map[string]func(d *deleting, old string){
		"another": func(d *deleting, old string) {
			mustDo(d.t, os.Mkdir(d.dir+".next", 0o755))
			d.pointTo(d.dir + ".next")
			mustDo(d.t, os.RemoveAll(old))
		},
		"few files": func(d *deleting, old string) {
			mustDo(d.t, os.Mkdir(d.dir+".next", 0o755))
			d.pointTo(d.dir + ".next")
			for _, key := range d.keys[:3] {
				mustDo(d.t, os.Remove(old+"/"+key))
			}
		},
		"none": func(d *deleting, old string) {
			mustDo(d.t, os.Remove(d.dir))
			mustDo(d.t, os.RemoveAll(old))
		},
	}
	for name, leave := range ways {
		for _, policy := range []LocalPolicy{LocalAll, LocalOwn} {
			t.Run(name+"/"+string(policy), func(t *testing.T) {
				t.Parallel()
				d := newDeleting(t, policy)
				d.stop()
				old := d.intoRelease()
				d.ready()
				leave(d, old)
				d.idle() // each delete that was seen has had its rest
				d.areKept()
				d.trashed()
				if n := d.e.Stats().Withheld; n > 0 {
					t.Errorf("%d deletes are withheld", n)
				}
			})
		}
	}
}

// Nor is it noted for the next process.
func TestDeletesInAReleaseThatWasLeftAreNotNoted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old := s.intoRelease()
	s.ready()
	s.mustRequest(func() { s.writeAll(names(3)) })
	s.idle()
	s.faults.SetHook(buckettest.Always(buckettest.Fault{Before: buckettest.ErrInjected}))
	s.remove(names(3)[0])
	s.until("the delete to be noted", func() bool {
		s.e.noteDeletes()
		return strings.Contains(string(s.noted()), names(3)[0])
	})
	mustDo(t, os.Mkdir(s.dir+".next", 0o755))
	s.pointTo(s.dir + ".next")
	mustDo(t, os.RemoveAll(old))
	mustDo(t, s.e.barrier(t.Context()))
	s.e.noteDeletes()
	if noted := string(s.noted()); noted != "" {
		t.Errorf("noted in the next release: %s", noted)
	}
	s.stop()
	s.faults.SetHook(nil)
	s.ready()
	s.idle()
	if n := len(s.objects()); n != 3 {
		t.Errorf("%d objects of 3 are left", n)
	}
}

// What went in the directory that is the root still is deleted, also if it was left
// and came back meanwhile.
func TestDeleteInAReleaseThatCameBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old := s.intoRelease()
	s.ready()
	s.mustRequest(func() { s.writeAll(names(3)) })
	s.idle()
	s.remove(names(3)[0])
	mustDo(t, s.e.barrier(t.Context()))
	mustDo(t, os.Mkdir(s.dir+".next", 0o755))
	s.pointTo(s.dir + ".next")
	s.pointTo(old)
	s.until("the object to be deleted", func() bool { return len(s.objects()) == 2 })
}
