// Package decode decompresses answers that apps compressed: gzip, Brotli and Zstandard.
//
// It promises that bytes go on as they come, that the memory for one answer is bounded
// whatever is sent (RFC 9659), that what grows out of all proportion ends with an
// error, and that no goroutine is left after Close or Abort. It knows nothing of pages.
package decode
