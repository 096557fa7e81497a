package bucket

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// FormatUnix writes t as decimal Unix seconds with a fraction of up to nine
// digits, as rclone and others write x-amz-meta-mtime.
func FormatUnix(t time.Time) string {
	sec, nsec := t.Unix(), t.Nanosecond()
	if nsec == 0 {
		return strconv.FormatInt(sec, 10)
	}
	sign := ""
	if sec < 0 {
		// -1.5 s is second -2 and 0.5 s of it.
		sec, nsec, sign = -sec-1, 1e9-nsec, "-"
	}
	return strings.TrimRight(fmt.Sprintf("%s%d.%09d", sign, sec, nsec), "0")
}

// ParseUnix reads what formatUnix writes, from anyone; the zero time if s is
// something else.
func ParseUnix(s string) time.Time {
	whole, fraction, hasFraction := strings.Cut(s, ".")
	digits, negative := strings.CutPrefix(whole, "-")
	sec, err := strconv.ParseUint(digits, 10, 62)
	if err != nil || (hasFraction && fraction == "") {
		return time.Time{}
	}
	var nsec int64
	for i := range 9 {
		nsec *= 10
		if i < len(fraction) {
			nsec += int64(fraction[i] - '0')
		}
	}
	if strings.Trim(fraction, "0123456789") != "" {
		return time.Time{}
	}
	if negative {
		return StorableTime(time.Unix(-int64(sec), -nsec))
	}
	return StorableTime(time.Unix(int64(sec), nsec))
}
