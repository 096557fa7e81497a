// Package csp makes Content-Security-Policies wider: a page whose media URLs were made
// public may load them only if its policy lets it.
//
// A policy gets the folder of public objects (scheme, host and path) for each kind of
// thing that it lets the page load from the site itself, where the media were before,
// and no other. That goes for policies in the header and for those in meta elements.
//
// It tells of a policy as well whether it names inline styles or scripts by their
// hashes, so that they must keep their bytes.
//
// It promises that what a policy forbade stays forbidden (W3C, Content Security Policy
// Level 3), and that one which need not change keeps its bytes. It knows nothing of
// media, requests or pages.
package csp
