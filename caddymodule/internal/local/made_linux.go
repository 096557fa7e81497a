package local

import (
	"time"

	"golang.org/x/sys/unix"
)

// DirMade returns when the directory at rel was made; now, where that is not known.
func (t *Tree) DirMade(rel string) time.Time {
	d, err := t.openDir(rel)
	if err != nil {
		return time.Now()
	}
	defer d.Close()
	var st unix.Statx_t
	_, err = withFd(d, func(fd int) (int, error) {
		return 0, unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st)
	})
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return time.Now()
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
}
