package media

import (
	"net"
	"net/netip"
	"strings"
)

// maxHostName is the longest name of a host that DNS knows.
const maxHostName = 253

// HostName returns the name of a site that a host is, in lower case and without a
// port. ok is false if it names none: an address, a name without a dot (localhost, a
// container), a wildcard. Many sites may have those.
func HostName(host string) (name string, ok bool) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	name = strings.ToLower(strings.TrimSuffix(host, "."))
	if len(name) > maxHostName || !strings.Contains(name, ".") {
		return "", false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", false
		}
	}
	return name, true
}
