package deletes

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/watch"
)

// disk is a media root in memory.
type disk struct {
	notes map[local.Note][]byte
	gone  bool // there is no such directory
	full  bool // no note can be written
	sets  int
}

func newDisk() *disk { return &disk{notes: map[local.Note][]byte{}} }

func (d *disk) Dir() string { return "/media" }

func (d *disk) ReadNote(note local.Note, _ int64) ([]byte, error) {
	if d.gone {
		return nil, fs.ErrNotExist
	}
	return d.notes[note], nil
}

func (d *disk) SetNote(note local.Note, data []byte) error {
	if d.full || d.gone {
		return errors.New("no room")
	}
	d.sets++
	if d.notes[note] = data; data == nil {
		delete(d.notes, note)
	}
	return nil
}

// newNotes are those of a process that comes to these disks.
func newNotes(disks ...Disk) *Notes {
	return NewNotes(local.WithheldDeletes, disks, func() string { return "bucket disk" }, 100)
}

// everything is a door for the keys of one root.
func everything(string) (root int, ok bool) { return 0, true }

// roots are those of one directory.
func roots() []*watch.DirID { return []*watch.DirID{new(watch.DirID)} }

// Promise 8: "A deleted file does not come back by itself."
func TestNotesOutlastAProcess(t *testing.T) {
	t.Parallel()
	d := newDisk()
	first := newNotes(d)
	all := []Noted{{Key: "a.jpg", ETag: "x", Meant: true}, {Key: "dir", Dir: true}, {Key: "b.jpg", Withheld: 1}}
	if _, ok := first.Recall(0); !ok || first.Set(0, all) != nil || first.Set(0, all) != nil || d.sets != 1 {
		t.Errorf("set %d times", d.sets)
	}
	second := newNotes(d)
	if got, ok := second.Recall(0); !ok || !slices.Equal(got, all) {
		t.Errorf("read %+v", got)
	}
	if _, ok := second.Recall(0); ok || !second.Holds(0) {
		t.Error("it is read twice")
	}
	if err := second.Set(0, nil); err != nil || len(d.notes) != 0 {
		t.Errorf("%d notes are left: %v", len(d.notes), err)
	}
	second.Moved(0)
	if err := second.Set(0, nil); err != nil || d.sets != 3 {
		t.Errorf("in another directory it is set %d times: %v", d.sets, err)
	}
	another := NewNotes(local.WithheldDeletes, []Disk{d}, func() string { return "another" }, 100)
	if err := newNotes(d).Set(0, all); err != nil {
		t.Fatal(err)
	}
	if got, ok := another.Recall(0); !ok || len(got) != 0 {
		t.Errorf("of another disk it reads %+v", got)
	}
}

// A root that is not there has no notes yet: nothing is written in their place.
func TestNotesOfARootThatIsAway(t *testing.T) {
	t.Parallel()
	d := newDisk()
	d.gone = true
	n := newNotes(d)
	if _, ok := n.Recall(0); ok || n.Recalled(0) {
		t.Error("the notes of a directory that is not there are read")
	}
	d.gone = false
	if _, ok := n.Recall(0); !ok || !n.Recalled(0) {
		t.Error("they are not read when it is there")
	}
}

// Promise 8: "much at once outside requests waits for the admin's word".
func TestWithheldOutlastsAProcess(t *testing.T) {
	t.Parallel()
	d, at := newDisk(), roots()
	now := time.Unix(1_800_000_000, 0)
	first := NewWithheld(newNotes(d), slog.Default)
	first.Note(at, everything)
	first.Add([]File{{"dir/a.jpg", 0}, {"dir/in/b.jpg", 0}}, now)
	d.full = true
	first.Note(at, everything)
	d.full = false
	first.Note(at, everything)

	second := NewWithheld(newNotes(d), slog.Default)
	second.Note(at, everything)
	if dir, ok := second.Below(0, now); second.Len() != 2 || !second.Has("dir/a.jpg") || dir != "dir" || !ok {
		t.Errorf("%d are withheld below %s", second.Len(), dir)
	}
	if !second.Covers("dir/a.jpg", now.Add(-time.Hour)) || second.Covers("dir/a.jpg", now.Add(time.Hour)) {
		t.Error("it is not the object of the time that counts")
	}
	second.Remove("dir/a.jpg")
	second.Forget(now.Add(-1))
	if second.Note(at, everything); second.Len() != 1 {
		t.Errorf("%d are withheld", second.Len())
	}
	second.Forget(now)
	if second.Note(at, everything); second.Len() != 0 || len(d.notes) != 0 {
		t.Errorf("%d are withheld, %d notes are left", second.Len(), len(d.notes))
	}
}

// Deletes of a guest are of one directory, unless they were meant, and are over when it is a
// member.
func TestGuestDeletes(t *testing.T) {
	t.Parallel()
	d, at := newDisk(), roots()
	door := func(string, bool) (int, bool) { return 0, true }
	no := func() bool { return false }
	here := func() []*watch.DirID { return at }
	first := NewGuest(newNotes(d), slog.Default)
	first.Note(here, door, no)
	first.Add(File{"a.jpg", 0}, false, *at[0], false)
	first.Add(File{"dir", 0}, true, *at[0], true)
	first.Add(File{"again.jpg", 0}, false, *at[0], false)
	first.Remove("again.jpg")
	first.Note(here, door, no)

	second := NewGuest(newNotes(d), slog.Default)
	second.Note(here, door, no)
	for key, want := range map[string]bool{"a.jpg": true, "dir/in/b.jpg": true, "dirt/b.jpg": false, "again.jpg": false} {
		if second.Has(key) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
	third := NewGuest(newNotes(d), slog.Default)
	third.Note(here, door, func() bool { return true })
	if third.Len() != 0 || len(d.notes) != 0 {
		t.Errorf("a member has %d deletes, %d notes", third.Len(), len(d.notes))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(text("bucket disk", []Noted{{Key: "a.jpg", ETag: "x", Meant: true}, {Key: "dir", Dir: true}, {Key: "b.jpg", Withheld: 1}}))
	f.Add([]byte("{}\n{\"key\":\"../x\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all := parse("bucket disk", data, MaxNoted)
		if again := parse("bucket disk", text("bucket disk", all), MaxNoted); !slices.Equal(all, again) {
			t.Errorf("%+v is read as %+v", all, again)
		}
	})
}

// BenchmarkWithheld measures what a library of 300,000 files takes that goes at once.
func BenchmarkWithheld(b *testing.B) {
	gone := make([]File, 300_000)
	for i := range gone {
		gone[i].Key = fmt.Sprintf("2026/%02d/photo-%d-1024x768.jpg", i%12, i)
	}
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		w := NewWithheld(newNotes(newDisk()), slog.Default)
		w.Add(gone, time.Now())
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
		all, _ := w.of(0)
		data := text("bucket disk", all)
		b.ReportMetric(float64(len(data))/1e6, "MB-noted")
		if all := parse("bucket disk", data, MaxWithheld); len(all) != len(gone) {
			b.Fatalf("%d are read", len(all))
		}
	}
}
