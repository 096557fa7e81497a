//go:build race

package rewrite

// With the race detector on, sync.Pool drops items at random.
const raceEnabled = true
