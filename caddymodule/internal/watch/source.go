package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// limitError is a limit of the kernel that was met.
type limitError struct {
	sysctl string
	limit  int // 0: unknown
	err    error
}

func (e *limitError) Error() string {
	return fmt.Sprintf("%s (%d) reached: %v", e.sysctl, e.limit, e.err)
}

func (e *limitError) Unwrap() error { return e.err }

// enough is a value for the sysctl that is likely to do.
func (e *limitError) enough() int {
	floor := map[string]int{sysctlWatches: 1 << 20, sysctlInstances: 1 << 10}[e.sysctl]
	return max(floor, 2*e.limit)
}

const (
	sysctlWatches   = "fs.inotify.max_user_watches"
	sysctlInstances = "fs.inotify.max_user_instances"
)

// openSource returns inotify, or scanning if that is asked for or all there is.
func openSource(ctx context.Context, cfg *Config) (source, error) {
	if cfg.Scan {
		return openScan(ctx, cfg)
	}
	src, err := openInotify(ctx, cfg)
	if err == nil || ctx.Err() != nil {
		return src, err
	}
	scan, scanErr := openScan(ctx, cfg)
	if scanErr != nil {
		return nil, scanErr
	}
	warnScanning(cfg.Logger, err, scan)
	return scan, nil
}

// warnScanning says why files are scanned, what that costs, and what helps.
func warnScanning(log *slog.Logger, cause error, src *scanSource) {
	attrs := []any{
		"cause", cause,
		"files", src.files,
		"scan_takes", src.took,
		"scan_interval", src.interval(),
	}
	help := "; every upload waits for a scan of all media roots"
	var limit *limitError
	if errors.As(cause, &limit) {
		attrs = append(attrs, "sysctl", limit.sysctl)
		help += fmt.Sprintf("; to have file changes reported by the kernel, run `sysctl -w %s=%d` and restart",
			limit.sysctl, limit.enough())
	}
	log.Warn("media roots are scanned, which is slow"+help, attrs...)
}

// onceLogger warns of each thing once, and of not too many.
type onceLogger struct {
	log    *slog.Logger
	warned map[string]struct{}
}

// maxWarned bounds what a tree full of unreadable directories can put into the
// log and into memory.
const maxWarned = 100

func (o *onceLogger) warn(msg, path string, err error) {
	if _, ok := o.warned[path]; ok || len(o.warned) >= maxWarned {
		return
	}
	if o.warned == nil {
		o.warned = make(map[string]struct{})
	}
	o.warned[path] = struct{}{}
	o.log.Warn(msg, "path", path, "error", err)
}

// stretched is the interval that keeps the cost of scanning at a tenth.
func stretched(interval, took time.Duration) time.Duration {
	return max(interval, 9*took)
}
