package lease

import "slices"

// One client must not keep many names, nor stand in their queues, for others to wait
// behind: of its claims only some seek slots at a time, and the others follow. A
// claim that is ahead and finds no room comes when it is due. So do claims ahead, of
// whatever clients, when a node has many: each costs the store several requests, and
// a goroutine and a connection meanwhile.

// maxAhead is how many claims ahead of a node seek slots in the bucket at a time.
const maxAhead = 32

// room is what a claim has of its client's share.
type room uint8

const (
	outside room = iota // none
	waiting             // it stands in line for some
	inside              // the claim may seek slots
)

// share is what the claims of one client have of the slots. Under Leaser.mu.
type share struct {
	client  string
	inside  int      // claims that have slots or are in their queues
	waiting []*Claim // for room
}

// enterShare reports whether the claim may seek slots now. The caller holds mu.
func (c *Claim) enterShare() bool {
	l := c.leaser
	switch {
	case c.room == inside:
		return true
	case c.isAhead() && !l.static && l.ahead >= maxAhead:
		c.rest()
		return false
	case c.client == "" || l.cfg.ClaimsPerClient == 0:
		c.set(c.state, inside)
		return true
	}
	if c.share == nil {
		c.share = l.shareOf(c.client)
	}
	p := c.share
	first := len(p.waiting) == 0 || p.waiting[0] == c
	switch {
	case p.inside < l.cfg.ClaimsPerClient && first:
		p.drop(c)
		p.inside++
		c.set(c.state, inside)
		p.call()
		return true
	case c.state == ahead:
		c.rest()
	case c.room == outside:
		p.waiting = append(p.waiting, c)
		c.set(c.state, waiting)
		c.contended = true
	}
	return false
}

// leaveShare makes room for other claims. The caller holds mu.
func (c *Claim) leaveShare() {
	p, had := c.share, c.room
	c.share = nil
	c.set(c.state, outside)
	if p == nil {
		return
	}
	p.drop(c)
	if had == inside {
		p.inside--
	}
	p.call()
	if p.inside == 0 && len(p.waiting) == 0 {
		delete(c.leaser.shares, p.client)
	}
}

// call has the claim looked at that is next.
func (p *share) call() {
	if len(p.waiting) > 0 {
		p.waiting[0].leaser.unsettle(p.waiting[0])
	}
}

func (p *share) drop(c *Claim) {
	if at := slices.Index(p.waiting, c); at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
	}
}

func (l *Leaser) shareOf(client string) *share {
	p := l.shares[client]
	if p == nil {
		p = &share{client: client}
		l.shares[client] = p
	}
	return p
}
