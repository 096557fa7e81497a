package lease

// state is how far the request of a claim is.
type state uint8

const (
	ahead    state = iota // not all there: the claim has its slots for a turn
	queued                // as ahead, and the request waits for that turn
	due                   // all there: the claim goes before those that are ahead
	resting               // too slow: the claim seeks no slots
	released              // it has ended
)

// event is what changes the state of a claim.
type event uint8

const (
	turnCalled event = iota
	soonCalled
	waitCalled
	rested // Rest was called, its turn is over, or there is no room for it
	releaseCalled
	events
)

// transitions are the states that events lead to.
var transitions = [...][events]state{
	//         Turn      Soon      Wait      rested    Release
	ahead:    {queued, ahead, due, resting, released},
	queued:   {queued, queued, due, resting, released},
	due:      {due, due, due, resting, released},
	resting:  {queued, ahead, due, resting, released},
	released: {released, released, released, released, released},
}

// on changes the state of the claim. The caller holds mu.
func (c *Claim) on(e event) {
	c.set(transitions[c.state][e], c.room)
	if c.state != ahead && c.state != queued {
		c.stopTimer()
	}
}

// set changes state and room of the claim, and keeps count of those that seek slots
// ahead. The caller holds mu.
func (c *Claim) set(s state, r room) {
	if c.seeksAhead() {
		c.leaser.ahead--
	}
	c.state, c.room = s, r
	if c.seeksAhead() {
		c.leaser.ahead++
	}
}

// isAhead reports whether the request is not all there.
func (c *Claim) isAhead() bool { return c.state == ahead || c.state == queued }

// seeksAhead reports whether the claim seeks slots for a request that is not all there.
func (c *Claim) seeksAhead() bool { return c.isAhead() && c.room == inside }
