package bucket

import "time"

// SkewClock has a store sign as a machine whose clock is off by skew.
func SkewClock(c *S3Config, skew time.Duration) { c.skew = skew }

// SetPatience sets how long a transfer may stand still.
func SetPatience(c *S3Config, patience time.Duration) { c.patience = patience }

// SetCopyLimit sets above which size objects are copied in parts, and their size.
func SetCopyLimit(c *S3Config, limit, part int64) { c.copyLimit, c.copyPart = limit, part }

// Probe is what all stores share of Store.Probe.
var Probe = probe
