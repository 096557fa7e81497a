package work

// Unclosed returns the files that changed after since and are not known to be
// complete.
func (q *Queue) Unclosed(since uint64) (found []*Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := q.order.Back(); e != nil; e = e.Prev() {
		it := e.Value.(*Item)
		if it.Gen <= since {
			break
		}
		if !it.isComplete() && it.From == Event {
			found = append(found, it)
		}
	}
	return found
}

// SetComplete notes that the content of an item was complete just now.
func (q *Queue) SetComplete(it *Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it.Complete = true
}
