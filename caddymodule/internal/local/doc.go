// Package local reads and marks the files of a media root.
//
// It promises that no path leaves the root, whatever symlinks, "..", or odd
// names say, and that nothing but a regular file is ever opened. What it notes
// on files (extended attributes) helps a later start to know what an earlier
// one had done; a file system without them costs time, never a file. It knows
// nothing of buckets, watchers or apps.
package local
