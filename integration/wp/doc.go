// Package wp is a WordPress client that makes the requests that browsers, the
// block editor and API clients make: it logs in, uploads by each way there is,
// edits, lists and deletes.
//
// It reports what WordPress answered and judges nothing else. It knows nothing
// of buckets.
package wp
