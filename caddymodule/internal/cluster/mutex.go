package cluster

import "sync"

// mutex is a sync.Mutex before which tests let other goroutines go first, as a
// machine may at any time: what was decided before it is locked need not hold any
// more.
type mutex struct {
	sync.Mutex
	before func() // nil: nothing
}

func (m *mutex) Lock() {
	if m.before != nil {
		m.before()
	}
	m.Mutex.Lock()
}
