// Package buckettest tests that a [bucket.Store] keeps its contract. [Run] is
// the suite that every store passes; [StartVersityGW] and [StartMinIO] start
// real S3 servers for it and for tests of other packages.
//
// It must not know how any store works inside.
package buckettest
