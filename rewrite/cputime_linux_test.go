package rewrite

import (
	"syscall"
	"time"
)

// rusageThread is RUSAGE_THREAD (getrusage(2)).
const rusageThread = 1

// cpuTime is the CPU time that the calling thread has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
