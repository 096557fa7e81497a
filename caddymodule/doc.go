// Package caddymodule is the Caddy module: the HTTP handler media_offload, the
// app that gives its engines a life across reloads, an admin endpoint, metrics
// and a command.
//
// It is the only place that knows Caddy. It translates configuration for the
// engine (internal/offload), decides for each request which of four ways it
// goes (media read, may write, page, pass), and keeps or changes the answer
// on its way out. What is media, where it is stored and when it is committed,
// it asks others.
//
// It promises that an answer to a request that may write is not completed
// before what it wrote is committed or the configured time has passed, that a
// page is changed only through package rewrite, that a request which is
// neither is passed on untouched, and that no reload breaks any of this.
package caddymodule
