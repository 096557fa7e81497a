package offload

import (
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
)

// A disk that lost its power bears the note that requests were running: what it lacks of
// their uploads was not deleted by the app.
//
// Promise 8: "What is missing after a time without the module is fetched, not deleted".
func TestDiskThatLacksTheLastUploads(t *testing.T) {
	t.Parallel()
	other := func(note string) string { return note[:strings.LastIndexByte(note, ' ')] + " another-boot" }
	for name, note := range map[string]func(begun time.Time) string{
		"a power cut": func(begun time.Time) string { return other(window{from: begun, to: time.Now()}.String()) },
	} {
		t.Run(name, func(t *testing.T) {
			onBothModes(t, func(t *testing.T, s *site, others nodes) {
				s.mustUpload(func() { s.write("2026/before.jpg", "before") })
				begun := time.Now()
				s.mustUpload(func() { s.write("2026/after.jpg", "after") })
				s.kill()
				s.remove("2026/after.jpg") // it is not there any more
				s.setNote(note(begun))
				s.ready()
				s.idle()
				if got := s.readObject("2026/after.jpg"); got != "after" {
					t.Errorf("the object of an upload is %q", got)
				}
			})
		})
	}
}

const (
	tornKey  = "2026/after.jpg"
	uploaded = "an upload, and its answer was out"
)

// Of a file that was written last, a disk that lost its power may have the name and the
// times, but not the content, or not all of it; and its mark, none, or an older one. The
// object of such a file is not replaced by what is left of it: the file is mended.
//
// Promise 2: "Nothing is lost. No failure of the bucket, the network or the node […] loses
// a file that the app has on disk".
func TestFileThatAPowerCutLeftIncomplete(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cut   func(s *site)
		aside []string
	}{
		"empty":              {func(s *site) { s.leave("") }, nil},
		"its beginning":      {func(s *site) { s.leave(uploaded[:9]) }, nil},
		"nothing but NULs":   {func(s *site) { s.leave(strings.Repeat("\x00", len(uploaded))) }, nil},
		"some NULs":          {func(s *site) { s.leave(strings.Repeat("\x00", 9)) }, nil},
		"what was there":     {func(s *site) { s.leave("old blocks") }, []string{"old blocks"}},
		"empty, unmarked":    {func(s *site) { s.leave(""); s.loseMark() }, nil},
		"beginning, no mark": {func(s *site) { s.leave(uploaded[:9]); s.loseMark() }, nil},
		"empty, unmarked, of an earlier time": {func(s *site) {
			s.leave("")
			s.loseMark()
			s.setTime(s.modTime().Add(-time.Millisecond))
		}, nil},
		"empty, with the mark of the version before": {func(s *site) {
			s.leave("")
			m := s.mark(tornKey)
			m.Size, m.ModTime, m.ETag = 3, m.ModTime-int64(time.Hour), fullHash("old")
			s.setMark(tornKey, m)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBothModes(t, func(t *testing.T, s *site, others nodes) {
				s.mustUpload(func() { s.write(tornKey, uploaded) })
				s.cutPower(c.cut)
				s.until("the file to be mended", func() bool { return s.read(tornKey) == uploaded })
				s.idle()
				for _, n := range append(nodes{s}, others...) {
					n.until("all to be as it was", func() bool { return n.read(tornKey) == uploaded || n != s && n.cfg.Local == LocalOwn })
				}
				if got := s.readObject(tornKey); got != uploaded {
					t.Errorf("the object is %q", got)
				}
				s.wantAside(c.aside)
				if s.logs.count("a power cut left a file") == 0 {
					t.Error("nothing in the log")
				}
			})
		})
	}
}

// What an app or an admin did to a file is what is meant, whatever the disk lost: its
// time tells, or its content.
//
// Promise 1: "every file that was written, renamed or deleted in a media root while it ran
// is committed".
func TestFileThatWasMadeShorter(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(s *site){
		"emptied":            func(s *site) { mustDo(s.t, os.Truncate(s.path(tornKey), 0)) },
		"made shorter":       func(s *site) { mustDo(s.t, os.Truncate(s.path(tornKey), 9)) },
		"replaced, unmarked": func(s *site) { s.remove(tornKey); s.write(tornKey, "other") },
		"an older file, kept": func(s *site) {
			at := s.modTime()
			s.remove(tornKey)
			s.write(tornKey, "other")
			s.setTime(at.Add(-time.Hour))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.ready()
			s.mustUpload(func() { s.write(tornKey, uploaded) })
			s.cutPower(do)
			s.idle()
			if got := s.readObject(tornKey); got != s.read(tornKey) || got == uploaded {
				t.Errorf("the object is %q, the file %q", got, s.read(tornKey))
			}
		})
	}
}

// A file that another server deleted meanwhile does not come back with what is left of it.
//
// Promise 8: "A deleted file does not come back by itself."
func TestIncompleteFileThatWasDeletedElsewhere(t *testing.T) {
	t.Parallel()
	for name, left := range map[string]string{"empty": "", "its beginning": uploaded[:9]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := newNodes(t, 2).ready()
			ns[0].mustUpload(func() { ns[0].write(tornKey, uploaded) })
			ns.untilRead(tornKey, uploaded)
			ns[0].cutPower(func(s *site) {
				s.leave(left)
				ns[1].mustUpload(func() { ns[1].remove(tornKey) })
			})
			ns[0].idle()
			for _, s := range ns {
				s.until("the file to be gone", func() bool { _, err := os.Stat(s.path(tornKey)); return os.IsNotExist(err) })
			}
			if got, ok := ns[0].objects()[tornKey]; ok {
				t.Errorf("the object is back: %q", got)
			}
		})
	}
}

// That the bucket is away then, and the process is killed, changes nothing.
//
// Promise 2: "Nothing is lost."
func TestIncompleteFileIsMendedWheneverTheBucketIsThere(t *testing.T) {
	t.Parallel()
	onBothModes(t, func(t *testing.T, s *site, _ nodes) {
		s.mustUpload(func() { s.write(tornKey, uploaded) })
		s.kill()
		s.leave("")
		s.reboot()
		aside := s.setAside()
		s.start()
		s.until("the node to see that the bucket is away", s.seesAway)
		s.kill()
		s.putBack(aside)
		s.ready()
		s.until("the file to be mended", func() bool { return s.read(tornKey) == uploaded })
		s.idle()
		if got := s.readObject(tornKey); got != uploaded {
			t.Errorf("the object is %q", got)
		}
	})
}

// A file that is one with its object, holes and all, is left as it is; and once all files
// have been looked at so, that is not done again before the machine is started anew.
func TestWholeFilesAreLookedAtOnceInABoot(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	s.mustUpload(func() {
		s.write(tornKey, "")
		mustDo(t, os.Truncate(s.path(tornKey), 1<<20))
	})
	before, err := os.Stat(s.path(tornKey))
	mustDo(t, err)
	s.cutPower(func(*site) {})
	s.idle()
	if after, err := os.Stat(s.path(tornKey)); err != nil || !os.SameFile(before, after) {
		t.Error("a whole file was replaced")
	}
	s.until("the note of it", func() bool { return !s.e.powerCut.suspected() })
	s.kill()
	s.start()
	s.until("the first reconcile", func() bool { return !s.e.Stats().Reconciled.IsZero() })
	if s.e.powerCut.suspected() {
		t.Error("looked at again")
	}
}

// cutPower lets the disk lose its power, and starts the machine anew.
func (s *site) cutPower(lose func(*site)) {
	s.t.Helper()
	s.kill()
	lose(s)
	s.reboot()
	s.ready()
}

// reboot is what a new start of the machine changes.
func (s *site) reboot() {
	s.t.Helper()
	mustDo(s.t, local.NewTree(s.dir).SetDirNote("", local.AttrCompared, "another-boot"))
}

// leave leaves this of the file's content, as a disk does that lost its power.
func (s *site) leave(content string) {
	s.t.Helper()
	at := s.modTime()
	mustDo(s.t, os.Truncate(s.path(tornKey), 0))
	if strings.Trim(content, "\x00") == "" {
		mustDo(s.t, os.Truncate(s.path(tornKey), int64(len(content)))) // nothing was written down
	} else {
		s.write(tornKey, content)
	}
	s.setTime(at)
}

func (s *site) modTime() time.Time {
	s.t.Helper()
	info, err := os.Stat(s.path(tornKey))
	mustDo(s.t, err)
	return info.ModTime()
}

func (s *site) setTime(to time.Time) {
	s.t.Helper()
	mustDo(s.t, os.Chtimes(s.path(tornKey), to, to))
}

// loseMark puts the same file there without its mark.
func (s *site) loseMark() {
	s.t.Helper()
	at, content := s.modTime(), s.read(tornKey)
	s.remove(tornKey)
	s.write(tornKey, content)
	s.setTime(at)
}

func TestCompareRest(t *testing.T) {
	long := strings.Repeat("content ", 20_000)
	nuls := strings.Repeat("\x00", 50_000)
	for name, c := range map[string]struct {
		file, object string
		rest, same   bool
	}{
		"nothing":            {"", long, true, true},
		"all":                {long, long, true, true},
		"the beginning":      {long[:70_000], long, true, true},
		"NULs at the end":    {long[:len(long)-50_000] + nuls, long, true, false},
		"NULs in the middle": {long[:60_000] + nuls + long[110_000:], long, true, false},
		"another byte":       {long[:60_000] + "x" + long[60_001:], long, false, false},
		"another beginning":  {"x", long, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			rest, same, err := compareRest(strings.NewReader(c.file), iotest.HalfReader(strings.NewReader(c.object)))
			if rest != c.rest || same != c.same || err != nil {
				t.Errorf("%t, %t, %v", rest, same, err)
			}
		})
	}
	if rest, _, err := compareRest(strings.NewReader(long), strings.NewReader(long[:100])); rest || err == nil {
		t.Errorf("an object that breaks off: %t, %v", rest, err)
	}
}
