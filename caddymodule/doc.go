// Package caddymodule is the Caddy module: the HTTP handler media_offload, the
// app that gives its engines a life across reloads, an admin endpoint, metrics
// and commands.
//
// It is the only place that knows Caddy. It translates configuration for the
// engine (internal/offload) and for the ways of a request (internal/web), tells
// web what Caddy knows of a request, and Caddy how a request ended.
//
// It promises that a configuration which cannot work is refused with the words
// that mend it, that loading or validating one touches neither bucket nor
// files, and that no reload breaks a hold, an upload or what is known.
package caddymodule
