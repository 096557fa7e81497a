// Package media says what a media file is: which directories hold media, which
// URL and which key a file has, and whether it is public, private or ignored.
//
// It promises three things. A key and a URL path name each other exactly or
// not at all: nothing is cleaned up, guessed or folded. What a web server might
// execute or read as configuration is never public and never private, but
// ignored, whatever the configuration says. And a request is classified
// without allocation for ordinary names.
//
// It also finds the names of the files that a request brings, while its body
// streams by, and tells which names an app might confuse (NameStem): so that two
// servers do not let the app give one name to two files.
//
// It is pure: it never touches a disk, a network or a clock, so that every
// rule can be tested as a table. It knows the directory layouts of apps (the
// presets, which are data) and nothing of buckets or Caddy.
package media
