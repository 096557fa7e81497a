// Package dir keeps objects as plain files below a directory: the embedded default, or
// a mounted EFS or NFS. Any web server can serve the public ones.
package dir
