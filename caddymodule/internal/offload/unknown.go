package offload

import (
	"fmt"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/trash"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/work"
)

// A file may go before this process has learned which version it was: from the first
// comparison, or from the marks if that cannot begin. The change log tells then: what no
// other node has stored since the place in it that an earlier process noted is what was on
// this disk. Only what somebody stored who told of nothing would be taken along, so the
// object goes to the trash.
//
// (Promise 8: "A deleted file does not come back by itself.")

// seeUnknown decides about a file that is gone, of which nobody knows which version it was,
// and whose object was seen.
func (e *Engine) seeUnknown(d *departed, info bucket.Info) *departed {
	s := d.s
	notYet := func(o outcome) *departed { return &departed{s: s, outcome: o} }
	if err := e.catchUp(); err != nil {
		return notYet(failed(fmt.Errorf("deleting %s: %w", s.Key, err)))
	}
	switch {
	case e.queue.ToldOf(s):
		return notYet(lookAgainAtBoth(0))
	case !e.hearsAll() || s.Rewritten || s.Unannounced:
		e.sayUnknown(s, 1)
		return notYet(lookAgainAtBoth(0))
	case justStored(info):
		again := foundGone()
		again.rest = time.Second
		return notYet(again)
	}
	if d.reason = trash.Unsure; e.disposal(s) == trashIt {
		d.reason = trash.Outside
	}
	return d
}

// hearsAll reports whether the change log tells of all that other nodes stored since what
// is noted on this disk.
func (e *Engine) hearsAll() bool {
	before, _ := e.guard.PositionBefore()
	return before > 0 && e.team.goesOn.Load()
}

// sayUnknown has the log tell of a delete that is not passed on of so many files.
func (e *Engine) sayUnknown(s *work.Task, n int) {
	e.log().Warn("files were deleted of which this server did not know yet whether another one had stored newer versions: "+
		"the objects stay, and the files come back; delete them once more", keyKey, s.Key, keyFiles, n)
}
