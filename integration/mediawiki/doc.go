// Package mediawiki is a MediaWiki client that makes the requests of API clients
// and of the form Special:Upload.
//
// It reports what MediaWiki answered and judges nothing else. It knows nothing
// of buckets.
package mediawiki
