package health

import (
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/background"
)

// While the bucket does not answer, one item at a time tries it, at these
// intervals.
const (
	RetryMin = 100 * time.Millisecond
	RetryMax = 2 * time.Second
)

// fell notes an error of the store with an object of a size, and reports whether it took
// all until now.
func (m *Monitor) fell(err error, size int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	tookAll := m.takesAll()
	m.falls++
	m.reason = err
	m.again()
	if IsFull(err) {
		m.short = max(m.short, size, 1)
	}
	if !IsFull(err) || size <= m.fits {
		m.down, m.fits = true, 0
	}
	if tookAll {
		m.down, m.since = true, time.Now()
	}
	return tookAll
}

// takesAll reports whether the bucket takes files of any size, as far as is known. The
// caller holds mu.
func (m *Monitor) takesAll() bool { return !m.down && m.short == 0 }

// FailedAgain notes that another try failed, which may be for the same reason.
func (m *Monitor) FailedAgain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.again()
}

// again has the next try wait. The caller holds mu.
func (m *Monitor) again() {
	m.failures++
	m.next = time.Now().Add(background.Backoff(m.failures, RetryMin, RetryMax))
}

// took notes that the bucket took an object of a size, and reports whether it takes all
// since just now, and for how long it did not.
func (m *Monitor) took(size int64) (ended bool, lasted time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tookAll := m.takesAll()
	m.failures, m.down, m.fits = 0, false, max(m.fits, size)
	if size >= m.short {
		m.short, m.fits = 0, 0
	}
	return !tookAll && m.takesAll(), time.Since(m.since)
}

// denied notes that the bucket takes files, but not what else is needed, or no more that
// (nil). It reports whether that is new.
func (m *Monitor) denied(err error) (turned bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	turned = (err == nil) != (m.denies == nil)
	m.denies = err
	return turned
}

// isWell reports whether nothing is known to fail, and with what errors so far.
func (m *Monitor) isWell() (well bool, falls uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.takesAll() && m.denies == nil, m.falls
}

// shortOf returns the size of the largest object for which there was no room, or 0.
func (m *Monitor) shortOf() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.short
}

// IsDown reports whether the bucket takes no files at all, as far as is known.
func (m *Monitor) IsDown() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.down
}

// MayTry reports whether work may begin now, and if not, when; zero: when what is tried
// just now has ended.
func (m *Monitor) MayTry(now time.Time, busy bool) (bool, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.down:
		return true, time.Time{}
	case busy:
		return false, time.Time{}
	}
	return !m.next.After(now), m.next
}

// Trouble returns why the bucket does not take files, or nil.
func (m *Monitor) Trouble() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.takesAll() {
		return nil
	}
	return m.reason
}

// Lacks returns what fails of what is needed besides storing files, or nil.
func (m *Monitor) Lacks() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.denies
}
