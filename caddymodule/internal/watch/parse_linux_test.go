package watch

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// appendEvent appends a struct inotify_event whose name is padded to pad bytes.
func appendEvent(buf []byte, wd int32, mask uint32, name string, pad int) []byte {
	buf = binary.NativeEndian.AppendUint32(buf, uint32(wd))
	buf = binary.NativeEndian.AppendUint32(buf, mask)
	buf = binary.NativeEndian.AppendUint32(buf, 0)
	buf = binary.NativeEndian.AppendUint32(buf, uint32(pad))
	return append(append(buf, name...), make([]byte, pad-len(name))...)
}

func appendDirent(buf []byte, name string, typ byte) []byte {
	size := (19 + len(name) + 1 + 7) &^ 7
	buf = append(buf, make([]byte, 16)...)
	buf = binary.NativeEndian.AppendUint16(buf, uint16(size))
	buf = append(append(buf, typ), name...)
	return append(buf, make([]byte, size-19-len(name))...)
}

func TestNextEvent(t *testing.T) {
	buf := appendEvent(nil, 1, unix.IN_CREATE, "a.jpg", 16)
	buf = appendEvent(buf, 2, unix.IN_DELETE_SELF, "", 0)
	buf = appendEvent(buf, -1, unix.IN_Q_OVERFLOW, "", 0)
	want := []rawEvent{
		{wd: 1, mask: unix.IN_CREATE, name: []byte("a.jpg")},
		{wd: 2, mask: unix.IN_DELETE_SELF},
		{wd: -1, mask: unix.IN_Q_OVERFLOW},
	}
	for _, w := range want {
		ev, rest, ok := nextEvent(buf)
		if !ok || ev.wd != w.wd || ev.mask != w.mask || !bytes.Equal(ev.name, w.name) {
			t.Fatalf("got %+v, %v; want %+v", ev, ok, w)
		}
		buf = rest
	}
	if ev, _, ok := nextEvent(buf); ok {
		t.Errorf("an event in an empty buffer: %+v", ev)
	}
}

func FuzzNextEvent(f *testing.F) {
	f.Add(appendEvent(appendEvent(nil, 1, 2, "a", 16), 3, 4, "", 0))
	f.Add(appendEvent(nil, 1, 2, "full", 4))
	f.Add([]byte("\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff short"))
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		for buf := data; ; {
			ev, rest, ok := nextEvent(buf)
			if !ok {
				return
			}
			if bytes.IndexByte(ev.name, 0) >= 0 {
				t.Fatalf("NUL in %q", ev.name)
			}
			total += len(ev.name)
			if len(rest) >= len(buf) || total > len(data) {
				t.Fatalf("no progress: %d of %d left", len(rest), len(buf))
			}
			buf = rest
		}
	})
}

func FuzzNextDirent(f *testing.F) {
	f.Add(appendDirent(appendDirent(nil, "a.jpg", unix.DT_REG), "d", unix.DT_DIR))
	f.Add(make([]byte, 40))
	f.Fuzz(func(t *testing.T, data []byte) {
		for buf := data; ; {
			name, _, rest, ok := nextDirent(buf)
			if !ok {
				return
			}
			if name[:len(name)+1][len(name)] != 0 {
				t.Fatalf("%q is not followed by a NUL", name)
			}
			if len(rest) >= len(buf) {
				t.Fatal("no progress")
			}
			buf = rest
		}
	})
}
