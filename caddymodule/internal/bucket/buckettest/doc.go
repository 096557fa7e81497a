// Package buckettest tests that a [bucket.Store] keeps its contract. [Run] is
// the suite that every store passes; [StartVersityGW] and [StartMinIO] start
// real S3 servers for it and for tests of other packages. [Faulty] makes any
// store fail on demand, and [Memory] is one for many short histories.
//
// It must not know how any store works inside.
package buckettest
