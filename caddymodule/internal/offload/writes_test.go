package offload

// counted has the identity tell of all that was stored.
func (s *site) counted() {
	s.t.Helper()
	mustDo(s.t, s.e.guard.CheckState(s.t.Context()))
}
