// Package publiccheck finds out what the public URL allows and what it shows: it asks
// it, in the background, as a browser would.
//
// Whether pages may use its files where CORS is needed, or embed them at all, is the
// bucket's or the CDN's to say, by the header of its answers. What was seen is kept for
// each origin of pages and each ending of file names; what was not seen is not allowed.
// It also looks, once, whether the public URL shows what it should not: private files
// and the program's own objects.
//
// It promises that no page waits for a question, that memory and the number of
// questions are bounded whatever clients ask for, that each fault is logged once and
// once more when it is mended, and that Close ends every question.
//
// It knows URLs and the files that pages refer to; nothing of the engine, of requests
// or of how an answer is written.
package publiccheck
