package cluster

import "slices"

// One client must not keep many names, nor stand in their queues, for others to wait
// behind: of its claims only some seek slots at a time, and the others follow. A
// claim that is not due and finds no room comes when it is. So do claims ahead, of
// whatever clients, when a node has many: each costs the store several requests, and
// a goroutine and a connection meanwhile.

// maxAhead is how many claims ahead of a node seek slots in the bucket at a time.
const maxAhead = 32

// share is what the claims of one client have of the slots. Under leases.mu.
type share struct {
	client  string
	seeking int      // claims that have slots or are in their queues
	waiting []*Claim // for room
}

// join reports whether the claim may seek slots now. The caller holds mu.
func (c *Claim) join() bool {
	l := c.leases
	switch {
	case c.seeks:
		return true
	case !c.due && !l.node.static && l.ahead >= maxAhead:
		c.resting = true
		c.leaveShare()
		return false
	case c.client == "" || l.perClient == 0:
		c.begin()
		return true
	}
	p := c.share
	if p == nil {
		p = l.shareOf(c.client)
		c.share = p
	}
	first := len(p.waiting) == 0 || p.waiting[0] == c
	if p.seeking < l.perClient && first {
		p.drop(c)
		p.seeking++
		c.begin()
		p.call()
		return true
	}
	switch {
	case !c.due && !c.patient:
		c.resting = true
		c.leaveShare()
	case !slices.Contains(p.waiting, c):
		p.waiting = append(p.waiting, c)
		c.waited = true
	}
	return false
}

// begin notes that the claim seeks slots from now on. The caller holds mu.
func (c *Claim) begin() {
	c.seeks = true
	if !c.due {
		c.isAhead = true
		c.leases.ahead++
	}
}

// leaveAhead notes that the claim is not ahead any more. The caller holds mu.
func (c *Claim) leaveAhead() {
	if c.isAhead {
		c.isAhead = false
		c.leases.ahead--
	}
}

// leaveShare makes room for other claims. The caller holds mu.
func (c *Claim) leaveShare() {
	c.leaveAhead()
	p, sought := c.share, c.seeks
	c.share, c.seeks = nil, false
	if p == nil {
		return
	}
	p.drop(c)
	if sought {
		p.seeking--
	}
	p.call()
	if p.seeking == 0 && len(p.waiting) == 0 {
		delete(c.leases.shares, p.client)
	}
}

// call has the claim looked at that is next.
func (p *share) call() {
	if len(p.waiting) > 0 {
		p.waiting[0].leases.unsettle(p.waiting[0])
	}
}

func (p *share) drop(c *Claim) {
	if at := slices.Index(p.waiting, c); at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
	}
}

func (l *leases) shareOf(client string) *share {
	p := l.shares[client]
	if p == nil {
		p = &share{client: client}
		l.shares[client] = p
	}
	return p
}
