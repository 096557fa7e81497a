package s3

import "time"

// SkewClock has a store sign as a machine whose clock is off by skew.
func SkewClock(c *Config, skew time.Duration) { c.skew = skew }

// SetPatience sets how long a transfer may stand still.
func SetPatience(c *Config, patience time.Duration) { c.patience = patience }

// SetCopyLimit sets above which size objects are copied in parts, and their size.
func SetCopyLimit(c *Config, limit, part int64) { c.copyLimit, c.copyPart = limit, part }

// SetPageSize sets how many keys a page of a listing has.
func SetPageSize(c *Config, n int32) { c.pageSize = &n }
