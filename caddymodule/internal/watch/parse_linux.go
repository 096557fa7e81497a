package watch

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// rawEvent is a struct inotify_event, inotify(7). name shares the buffer it
// was read from.
type rawEvent struct {
	wd   int32
	mask uint32
	// cookie is the same in both events of a rename, and in no other.
	cookie uint32
	name   []byte
}

func (e rawEvent) has(mask uint32) bool { return e.mask&mask != 0 }

// nextEvent takes the first event off buf. ok is false if there is no complete
// one.
func nextEvent(buf []byte) (ev rawEvent, rest []byte, ok bool) {
	if len(buf) < unix.SizeofInotifyEvent {
		return rawEvent{}, nil, false
	}
	ev.wd = int32(binary.NativeEndian.Uint32(buf))
	ev.mask = binary.NativeEndian.Uint32(buf[4:])
	ev.cookie = binary.NativeEndian.Uint32(buf[8:])
	nameLen := uint64(binary.NativeEndian.Uint32(buf[12:]))
	buf = buf[unix.SizeofInotifyEvent:]
	if nameLen > uint64(len(buf)) {
		return rawEvent{}, nil, false
	}
	ev.name = untilNUL(buf[:nameLen])
	return ev, buf[nameLen:], true
}

// nextDirent takes the first struct linux_dirent64, getdents(2), off buf. typ
// is one of unix.DT_*; name shares buf and is followed by a NUL there. ok is
// false if there is no complete one.
func nextDirent(buf []byte) (name []byte, typ byte, rest []byte, ok bool) {
	const typeAt, nameAt = 18, 19
	if len(buf) < nameAt {
		return nil, 0, nil, false
	}
	size := int(binary.NativeEndian.Uint16(buf[16:]))
	if size <= nameAt || size > len(buf) {
		return nil, 0, nil, false
	}
	field := buf[nameAt:size]
	name = untilNUL(field)
	if len(name) == len(field) {
		return nil, 0, nil, false
	}
	return name, buf[typeAt], buf[size:], true
}

func untilNUL(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
