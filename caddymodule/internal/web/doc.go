// Package web is the ways of a request through the module: past it, media read, may
// write, and page.
//
// A Handler stands before the handler that runs the app. A read of a media file that is
// not on disk it answers from the bucket. A request that may write it keeps from the app
// until the engine is ready for it, and its answer until what was written is committed;
// public URLs in its body become local ones. In a page it makes the media URLs public.
// What is media, where it is stored and when it is committed, it asks others.
//
// It promises that an answer to a request that may write is not completed before what it
// wrote is committed or the configured time has passed, that a page is changed only
// through package rewrite and never waits for the bucket, that a request which is neither
// is passed on untouched, and that memory for a request is bounded.
//
// It knows net/http, and nothing of the server that it stands in: what that knows of a
// request it asks Server for, and an Error says with which status a request ended.
package web
