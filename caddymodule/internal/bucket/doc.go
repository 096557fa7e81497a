// Package bucket stores objects.
//
// A [Store] holds named byte strings with a little metadata, as S3 does. Two
// kinds exist: [OpenS3] speaks to any S3-compatible service, [OpenDir] keeps
// one plain file per object below a directory (the embedded default, or a
// mounted EFS or NFS). [Faulty] wraps either and makes it fail on demand, for
// tests. One contract suite (package buckettest) runs on all of them, so the
// rest of the project never asks which store it has.
//
// The package promises that an object is either wholly stored and durable or
// not visible at all, and that a caller can tell "certainly not done" from
// "unknown". It knows nothing of media, sites, nodes or HTTP servers.
package bucket
