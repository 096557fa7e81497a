// Package s3 keeps objects in a bucket of an S3-compatible service. It is the only one
// that knows the AWS SDK.
package s3
