// Package rewrite changes the media URLs of a site in the pages, style sheets,
// JSON answers and feeds that a web server sends, while they stream by, and
// turns them back in request bodies.
//
// # What it is for
//
// A site's own URLs (https://example.com/wp-content/uploads/a.jpg) are to be
// read from somewhere else (https://cdn.example.com/a.jpg). The package finds
// them wherever a browser or a feed reader takes a URL from, in each spelling
// that such a place allows, asks a callback what to put there, and writes the
// answer in the same spelling.
//
// # What it promises
//
//   - A byte that is not part of a replaced URL is passed on as it came: text,
//     comments, text areas, form values, look-alike hosts, broken markup.
//   - The output does not depend on how the input is cut into writes.
//   - Memory is bounded: what is held back until it can be decided (a tag, a
//     string, a URL) is at most Config.MaxToken; longer ones pass unchanged.
//   - Malformed input is never an error. In doubt a URL is left alone.
//
// # What it does not know
//
// It knows hosts, path prefixes and contexts, never a bucket, a file system or
// HTTP. It imports the standard library only.
//
// # Spellings
//
// Recognised are http, https and protocol-relative URLs of the page's host and
// of Config.Hosts with any port, root-relative and document-relative ones
// (<base> is respected), with character references in markup, \/ \u002F \x2F
// and the other string escapes in JSON and JavaScript, CSS escapes, percent
// encoding, and nestings of these, such as HTML in JSON in an attribute.
//
// One part of each prefix, its needle (for /wp-content/uploads/ it is
// "wp-content"), must stand in the input literally; that is what makes a page
// without media cost next to nothing. A URL that spells even the needle's
// letters in an escaped form, or that is relative to a page which itself lies
// within the prefix, is left alone. So is a URL with user information, dot
// segments in or after the prefix, an encoded slash, or a backslash.
package rewrite
