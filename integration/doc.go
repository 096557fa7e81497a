// Package integration holds the black-box tests: real PHP apps, real S3
// servers, a real browser. They need the build tag "integration".
package integration
