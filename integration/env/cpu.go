package env

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the processor time that the process and its children, for example the
// workers of nginx and PHP-FPM, have used so far, user and system together.
// It is what utime and stime of /proc/PID/stat add up to, without being rounded
// to ticks of 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	total, err := cpuOfTree(p.PID())
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of %s: %w", p.Name, err)
	}
	return total, nil
}

func cpuOfTree(pid int) (time.Duration, error) {
	total, err := cpuOf(pid)
	if err != nil {
		return 0, err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	for field := range strings.FieldsSeq(string(children)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		used, err := cpuOfTree(child)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.EINVAL) {
			continue // ended while we look
		}
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total, nil
}

// cpuOf reads the process's CPU-time clock, whose id is made as in
// clock_getcpuclockid(3).
func cpuOf(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel: user and system
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &used); err != nil {
		return 0, err
	}
	return time.Duration(used.Nano()), nil
}
