// Package bucket is what a store of objects must be able to do.
//
// A [Store] holds named byte strings with a little metadata, as S3 does. Package
// bucket/s3 speaks to any S3-compatible service; package bucket/dir keeps one plain
// file per object below a directory (the embedded default, or a mounted EFS or NFS).
// One contract suite (package buckettest) runs on both, so the rest of the project
// never asks which store it has. This package also holds what all stores share: the check of keys
// and of what is to be stored, the parsing of a bucket's URL, and the probe of what a
// store really does.
//
// It promises that an object is either wholly stored and durable or not visible at
// all, and that a caller can tell "certainly not done" from "unknown". It knows nothing
// of media, sites, nodes or HTTP servers.
package bucket
