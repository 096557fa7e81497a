package changelog

import (
	"errors"
	"fmt"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/clock"
)

// Check returns an error if somebody waits and nobody is at work for it. For tests.
func (l *Log) Check() error {
	l.mu.Mutex.Lock()
	defer l.mu.Unlock()
	if len(l.looks) > 0 && !l.following || len(l.pending) > 0 && !l.flushing {
		return errors.New("nobody reads or writes the change log for those who wait")
	}
	return nil
}

// String tells what may be in the way of who waits for the log. For tests.
func (l *Log) String() string {
	stats := l.Stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Now()
	return fmt.Sprintf("next %d, synced %s ago, proved %s ago, doubted %t, following %t, looks %d, read error %v; "+
		"flushing %t, pending %d, batch %+v, write error %v, round trip %s, rival %s ago, yielding %+v; %+v",
		l.next, clock.AtMost(l.synced, now), clock.AtMost(l.proved, now), l.doubted, l.following, len(l.looks), l.readErr,
		l.flushing, len(l.pending), l.batch, l.writeErr, l.roundTrip, clock.AtLeast(l.rival, now), l.yielding, stats)
}
