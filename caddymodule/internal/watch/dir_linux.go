package watch

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direntBuffer is large enough for some hundred names per system call.
const direntBuffer = 32 << 10

// dir is an open directory.
type dir struct {
	fd   int
	path string
}

// openDir opens a directory for listing. No component of path may be a
// symbolic link, so that an app cannot lead the watcher out of a root by
// exchanging a directory while it is looked at; before Linux 5.6 that holds
// for the last component only.
func openDir(path string) (dir, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	how := unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := ignoringEINTR(func() (int, error) { return unix.Openat2(unix.AT_FDCWD, path, &how) })
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // EPERM: an old seccomp filter
		fd, err = ignoringEINTR(func() (int, error) { return unix.Open(path, flags, 0) })
	}
	if err != nil {
		return dir{}, fmt.Errorf("opening directory %s: %w", path, err)
	}
	return dir{fd: fd, path: path}, nil
}

func (d dir) close() { _ = unix.Close(d.fd) } // nothing was written, so nothing can be lost

func (d dir) identity() (identity, error) {
	st, err := statAt(d.fd, nil)
	if err != nil {
		return identity{}, fmt.Errorf("looking at directory %s: %w", d.path, err)
	}
	return st.identity, nil
}

// list calls each for every entry. name, followed by a NUL in its array, is
// only valid during the call. buf is scratch space.
func (d dir) list(buf []byte, each func(name []byte, k kind)) error {
	for {
		n, err := ignoringEINTR(func() (int, error) { return unix.Getdents(d.fd, buf) })
		if err != nil {
			return fmt.Errorf("listing directory %s: %w", d.path, err)
		}
		if n <= 0 {
			return nil
		}
		for rest := buf[:n]; ; {
			name, typ, next, ok := nextDirent(rest)
			if !ok {
				break
			}
			rest = next
			if isDot(name) {
				continue
			}
			k, err := d.kind(name, typ)
			if err != nil {
				return err
			}
			each(name, k)
		}
	}
}

// kind turns a dirent's type into a kind, asking the file system only where it
// does not tell types when listing.
func (d dir) kind(name []byte, typ byte) (kind, error) {
	switch typ {
	case unix.DT_REG:
		return regular, nil
	case unix.DT_DIR:
		return directory, nil
	case unix.DT_UNKNOWN:
		st, err := d.stat(name)
		if isGone(err) {
			return other, nil
		}
		return st.kind, err
	default:
		return other, nil
	}
}

// stat looks at an entry without following it. name is followed by a NUL in
// its array, as list gives it.
func (d dir) stat(name []byte) (fileState, error) {
	st, err := statAt(d.fd, name)
	if err != nil {
		return st, fmt.Errorf("looking at %s/%s: %w", d.path, name, err)
	}
	return st, nil
}

// statAt is statx(2): of the NUL-terminated name in a directory, of the open
// file fd if name is nil. x/sys/unix.Statx would copy the name to the heap for
// each of the 200,000 files of a scan, and for each barrier.
func statAt(fd int, name []byte) (fileState, error) {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_STATX_DONT_SYNC
	if name == nil {
		name = emptyName
		flags |= unix.AT_EMPTY_PATH
	}
	return statx(fd, name, flags)
}

var emptyName = []byte{0}

// statRoot follows symbolic links. path ends with a NUL.
func statRoot(path []byte) (fileState, error) {
	return statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC)
}

func statx(fd int, name []byte, flags int) (fileState, error) {
	var st unix.Statx_t
	for {
		_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(name))), uintptr(flags),
			unix.STATX_TYPE|unix.STATX_SIZE|unix.STATX_MTIME|unix.STATX_CTIME|unix.STATX_BTIME|unix.STATX_INO,
			uintptr(unsafe.Pointer(&st)), 0)
		if errno == 0 {
			break
		}
		if errno != unix.EINTR {
			return fileState{}, errno
		}
	}
	found := fileState{
		identity: identity{dev: uint64(st.Dev_major)<<32 | uint64(st.Dev_minor), ino: st.Ino},
		kind:     kindOfMode(st.Mode),
		size:     int64(st.Size),
		mtime:    nanoseconds(st.Mtime),
		ctime:    nanoseconds(st.Ctime),
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		found.born = nanoseconds(st.Btime)
	}
	return found, nil
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*int64(time.Second) + int64(t.Nsec) }

func kindOfMode(mode uint16) kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return regular
	case unix.S_IFDIR:
		return directory
	default:
		return other
	}
}

// isGone tells that a name does not stand for a file or directory (any more).
func isGone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// isShortage tells that the system lacks something it may have again later.
func isShortage(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
