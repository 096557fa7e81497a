//go:build !linux

package rewrite

import "time"

var started = time.Now()

// cpuTime stands for the CPU time of the thread where that is not to be had.
func cpuTime() time.Duration { return time.Since(started) }
