package inspect

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
)

// A script finds its neighbours by its own URL: by what the language has for that
// (HTML standard, "resolve a module specifier" and "HostGetImportMetaProperties"), or
// by the element that it was loaded by. What it names is put together when it runs,
// so it is looked through for the words by which that begins, wherever they stand: a
// comment with one of them costs no more than that the script is served from here.

// scriptSign is a word of scripts that go by their own URL, or are modules.
type scriptSign struct {
	word string
	next *regexp.Regexp // what has to follow; nil: anything
}

var scriptSigns = []scriptSign{
	// Modules: what they name, and which of two they are, goes by their URL.
	{"import", nil},
	{"export", regexp.MustCompile(`^\s{0,8}(?:[{*]|\s(?:default|const|let|var|class|function|async)\b)`)},
	// Workers are only from home, and most are found by the script's own URL.
	{"importScripts", nil},
	{"Worker", nil},
	{"SharedWorker", nil},
	// The script's own element.
	{"currentScript", nil},
	{"scripts", nil}, // of the document
	{"getElementsByTagName", ownElement},
	{"querySelector", ownElement},
	{"querySelectorAll", ownElement},
	{"jQuery", ownElement},
	{"$", ownElement},
}

// ownElement is an argument that is, or selects, script elements.
var ownElement = regexp.MustCompile("(?i)^\\s{0,8}\\(\\s{0,8}[\"'`]\\s{0,8}script\\b")

const (
	// maxScriptSign is more than a sign is long.
	maxScriptSign = 80
	scriptChunk   = 64 << 10
)

// goesByItsURL reports whether a script may do other things if it has another URL.
func goesByItsURL(script io.Reader) (bool, error) {
	buf := make([]byte, scriptChunk)
	kept := copy(buf, "\n") // what stands before the next piece
	for {
		n, err := io.ReadFull(script, buf[kept:])
		text, final := buf[:kept+n], err == io.EOF || err == io.ErrUnexpectedEOF
		switch {
		case hasScriptSign(text, final):
			return true, nil
		case final:
			return false, nil
		case err != nil:
			return false, fmt.Errorf("looking through a script: %w", err)
		}
		kept = copy(buf, text[len(text)-maxScriptSign-1:])
	}
}

// hasScriptSign reports whether a sign is in a piece of a script, behind the first
// byte of text; one that begins near the end of text is left to the next piece. Of a
// script with zeros in it, in an encoding of two bytes, nothing is known.
func hasScriptSign(text []byte, final bool) bool {
	for _, sign := range scriptSigns {
		if sign.in(text, final) {
			return true
		}
	}
	return bytes.IndexByte(text, 0) >= 0
}

func (s scriptSign) in(text []byte, final bool) bool {
	for at := 1; ; {
		i := bytes.Index(text[at:], []byte(s.word))
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(s.word)
		if !final && len(text)-start < maxScriptSign {
			return false
		}
		at = end
		if before := text[start-1]; isNameByte(before) || before == '@' || // @import is of a style sheet
			end < len(text) && isNameByte(text[end]) {
			continue
		}
		if s.next == nil || s.next.Match(text[end:min(len(text), start+maxScriptSign)]) {
			return true
		}
	}
}

// isNameByte reports whether c is part of a name in a script.
func isNameByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
