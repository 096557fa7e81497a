// Package inspect says from where a media file may be used, by what is in it: a style
// sheet, an SVG picture, a playlist or a manifest names other files by its own URL, and
// a script may find its neighbours by it.
//
// It promises that a file for which a browser would see a difference is to be used at
// home, and so is every file that cannot be read to its end or that names more than is
// looked at. Rules tells by what configuration it was judged, so that what was found by
// another is found anew.
//
// It knows keys and URLs of the site, and nothing of the public URL, below which files
// lie by their keys; nor of requests.
package inspect
