// Package rewrite changes the media URLs of a site in the pages, style sheets,
// JSON answers and feeds that a web server sends, while they stream by, and
// turns them back in request bodies.
//
// # What it is for
//
// A site's own URLs (https://example.com/wp-content/uploads/a.jpg) are to be
// read from somewhere else (https://cdn.example.com/a.jpg). A Rewriter finds
// them wherever a browser or a feed reader takes a URL from, in each spelling
// that such a place allows, asks a callback what to put there, and writes the
// answer in the same spelling. A Reverse is for the other direction.
//
// # What it promises
//
//   - A byte that is not part of a replaced URL is passed on as it came: text,
//     comments, text areas, form values, look-alike hosts, broken markup.
//   - The output does not depend on how the input is cut into writes.
//   - Memory is bounded: what is held back until it can be decided (a tag, a
//     string, a URL) is at most Config.MaxToken; longer ones pass unchanged. Of
//     a tag, 511 attributes and the last one are looked at.
//   - Time is linear in the size of the body, whatever is in it.
//   - Malformed input is never an error. In doubt a URL is left alone.
//
// With Config.Changes, tags and scripts that came before are recognised rather
// than read again.
//
// # What it does not know
//
// It knows hosts, path prefixes and contexts, never a bucket, a file system or
// HTTP. It imports the standard library only.
//
// # Places
//
// HTML: the URL attributes of the HTML standard, srcset, style, srcdoc, event
// handlers, data-* and the attributes of lazy loaders; style and script
// elements, JSON in them and in attributes; meta elements that name pictures;
// noscript, template, SVG. CSS: url(), @import, image-set(). JSON: strings that
// are a URL, HTML, CSS or image candidates. JavaScript: the same, unless joined
// by '+'. Feeds: attributes, elements that hold a URL, HTML in CDATA sections
// or escaped; not guid, id and title. What a body is, is seen from its
// Content-Type and its first bytes.
//
// Config.Policy, if set, is asked what is to become of a Content-Security-Policy
// in a meta element, which might not let the page load the new URLs. Text that a
// policy names by its hash keeps its bytes: what policies are in the header Page.Hashed
// says, those in meta elements count from there on.
//
// A data attribute or a string in a script says nothing of what it is for. It
// is taken for a URL if all of it is one, and for HTML if there is a tag in it.
//
// Playlists of HLS, manifests of DASH and web app manifests have URLs in places of
// their own.
//
// Match.Place says of each place how a browser fetches what stands there: from
// anywhere, only with CORS, or only from home. It comes from a table, which Places
// returns: by the element, the attribute or property, what else the element says
// (rel, as, type, crossorigin, integrity, download), the video or audio element
// that a source or track is in and the img element that a source is for, and the
// extension of the file's name. In doubt it is the place that asks for more: what only a
// script takes up needs CORS, whatever it is, but for the attributes of lazy loaders in
// wide use.
//
// References finds the URLs of a body by the same code, all of them.
//
// # Spellings
//
// Recognised are http, https and protocol-relative URLs of the page's host and
// of Config.Hosts with any port, root-relative and document-relative ones
// (<base> is respected; in feeds with xml:base the latter are left alone), with
// character references in markup, \/ \u002F \x2F and the other string escapes
// in JSON and JavaScript, CSS escapes, percent-encoding, and nestings of these,
// such as HTML in JSON in an attribute.
//
// One part of each prefix, its needle (for /wp-content/uploads/ it is
// "wp-content"), must stand in the input literally; that is what makes a page
// without media cost next to nothing. A URL that spells even the needle's
// letters in an escaped form, or that is relative to a page which itself lies
// within the prefix, is left alone. So is a URL with user information, dot
// segments within or after the prefix, an encoded slash, a backslash, or a
// space before the needle that is not percent-encoded.
//
// Bodies in UTF-8 and in encodings in which ASCII bytes are always ASCII are
// rewritten; others (UTF-16, Shift_JIS, GBK, Big5, unknown ones) are passed on.
package rewrite
