// Package media says what a media file is: which directories hold media, which
// URL and which key a file has, and whether it is public, private or ignored.
//
// It is pure: it never touches a disk, a network or a clock, so that every
// rule can be tested as a table. It knows the directory layouts of apps (the
// presets) and nothing of buckets or Caddy.
package media
