// Package env runs the real programs that black-box tests, benchmarks and the
// demo need: MariaDB, PHP-FPM, WordPress sites, S3 servers, and this
// repository's Caddy.
//
// Everything listens on loopback addresses or Unix sockets only, keeps its
// files in one throw-away folder, and may be started several times at once.
// Closing an [Env] stops all that it started, in reverse order. A program's
// output is kept in a file and is part of the error when it fails.
//
// The package knows nothing of what is tested: no expectations, no testing.T.
package env
