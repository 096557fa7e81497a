package offload

// counted waits until the identity has a number for all that was stored.
func (s *site) counted() {
	s.t.Helper()
	s.until("the number of the bucket's state", func() bool {
		st := s.e.Stats()
		s.e.identity.mu.Lock()
		defer s.e.identity.mu.Unlock()
		return s.e.identity.counted == st.Committed+st.Deleted
	})
}
