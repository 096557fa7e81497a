// Package joomla is a Joomla client that makes the requests that browsers make
// in the administrator's screens (the media manager, the editor), and those of
// clients of the web services API.
//
// It reports what Joomla answered and judges nothing else. It knows nothing of
// buckets.
package joomla
