// Package index remembers what is known of keys: whether the bucket has the present
// content of a file, by which version, and from where it may be used.
//
// It promises that memory is bounded, that an answer never waits, and that Changes grows
// before any answer becomes another one, so that who remembers an answer can tell.
// What it forgets is read again from the marks on the files.
//
// It knows no disk and no bucket: the engine tells it.
package index
