// Package web is what the clients of the apps have in common: requests of a
// visitor with cookies, and the forms of HTML pages.
//
// It knows no app and no bucket.
package web
