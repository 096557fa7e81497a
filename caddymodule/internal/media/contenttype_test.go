package media

import (
	"strings"
	"testing"
)

func TestContentType(t *testing.T) {
	const jpeg, png, html = "\xff\xd8\xff\xe0\x00\x10JFIF", "\x89PNG\r\n\x1a\n", "<!DOCTYPE html><script>x</script>"
	tests := []struct{ name, head, want string }{
		{"a.jpg", jpeg, "image/jpeg"},
		{"2026/11/A.JPEG", "", "image/jpeg"},
		{"a.png", html, "image/png"}, // the name decides
		{"a.jpg.webp", "", "image/webp"},
		{"a.avif", "", "image/avif"},
		{"a.heic", "", "image/heic"},
		{"a.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"},
		{"a.svgz", "\x1f\x8b", "application/gzip"},
		{"a.ico", "", "image/x-icon"},
		{"a.woff2", "", "font/woff2"},
		{"a.mp4", "", "video/mp4"},
		{"a.m4a", "", "audio/mp4"},
		{"a.webm", "", "video/webm"},
		{"a.m3u8", "", "application/vnd.apple.mpegurl"},
		{"a.pdf", "%PDF-1.7", "application/pdf"},
		{"a.zip", "", "application/zip"},
		{"a.docx", "PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"a.json", "{}", "application/json"},
		{"a.xml", html, "application/xml"},
		{"a.css", "body{}", "text/css; charset=utf-8"},
		{"a.css", "/* caf\xe9 */", "text/css"}, // Latin-1: what it is only its author knows
		{"a.js", "", "text/javascript"},
		{"a.mjs", "x", "text/javascript; charset=utf-8"},
		{"a.txt", "Gr\u00fc\u00dfe", "text/plain; charset=utf-8"},
		{"a.txt", "Gr\xfc\xdfe", "text/plain"},
		{"a.csv", "a;b", "text/csv; charset=utf-8"},
		{"a.vtt", "WEBVTT", "text/vtt; charset=utf-8"},
		{"a.html", html, "text/html; charset=utf-8"},
		{"a.HTM", html, "text/html; charset=utf-8"},
		{"a.html", "<p>\xe9", "text/html"},

		{"a", jpeg, "image/jpeg"},
		{"a.unknown", png, "image/png"},
		{"a.averyverylongextension", png, "image/png"},
		{"a", html, "text/plain; charset=utf-8"},
		{"a.unknown", html, "text/plain; charset=utf-8"},
		{"a", "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>", "text/plain; charset=utf-8"},
		{"a.html.x", html, "text/plain; charset=utf-8"},
		{"ahtml", html, "text/plain; charset=utf-8"},
		{"a", "<p>\xe9", "text/plain"},
		{"a", "plain text", "text/plain; charset=utf-8"},
		{"a", "\x00\x01\x02\x03", "application/octet-stream"},
		{"a", "", "application/octet-stream"},
		{"", "", "application/octet-stream"},
		{"a.", "", "application/octet-stream"},
		{"x.php", "<?php", "text/plain; charset=utf-8"},
	}
	for _, tt := range tests {
		if got := ContentType(tt.name, []byte(tt.head)); got != tt.want {
			t.Errorf("ContentType(%q, %.20q) = %q, want %q", tt.name, tt.head, got, tt.want)
		}
	}
}

func TestUTF8HeadMayEndWithinACharacter(t *testing.T) {
	text := strings.Repeat("a", sniffLen) + "é€📷"
	for i := sniffLen; i <= len(text); i++ {
		if !validUTF8Head([]byte(text[:i])) {
			t.Errorf("%q is taken for another encoding", text[sniffLen:i])
		}
	}
	for _, end := range []string{"\xff", "\xe9b", "\xe9\xe9", "\x80", "a\x80\x80\x80\x80", "\xf0\x9f\xf0\x9f"} {
		if validUTF8Head([]byte(text + end)) {
			t.Errorf("a text with %q at its end is taken for UTF-8", end)
		}
	}
	if validUTF8Head([]byte("a\xe9")) {
		t.Error("a short text is whole: it cannot end within a character")
	}
}

func TestContentTypesAreWellFormed(t *testing.T) {
	for ext, typ := range contentTypes {
		kind, sub, ok := strings.Cut(typ, "/")
		if !ok || kind == "" || sub == "" || strings.ContainsAny(typ, " ;") || typ != strings.ToLower(typ) {
			t.Errorf("%s: %q is no media type", ext, typ)
		}
		if len(ext) >= maxExt || ext != string(appendLower(nil, ext)) {
			t.Errorf("the extension %q is never found", ext)
		}
		if executableLast[ext] || executableAnywhere[ext] {
			t.Errorf("%s never goes to the bucket, and needs no type", ext)
		}
	}
}

// FuzzContentType: only .html and .htm are ever HTML, whatever they hold.
func FuzzContentType(f *testing.F) {
	f.Add("a.html", []byte("<html>"))
	f.Add("a", []byte("<html>"))
	f.Add("a.jpg", []byte("<script>"))
	f.Add("a", []byte("\xfe\xff\x00<\x00h\x00t\x00m\x00l"))
	f.Add("a", []byte("<?xml version='1.0'?>"))
	f.Fuzz(func(t *testing.T, name string, head []byte) {
		got := ContentType(name, head)
		lower := string(appendLower(nil, name))
		if strings.HasPrefix(got, "text/html") && !strings.HasSuffix(lower, ".html") && !strings.HasSuffix(lower, ".htm") {
			t.Errorf("ContentType(%q, %q) = %q", name, head, got)
		}
		if (strings.Contains(got, "xml") || strings.Contains(got, "script")) && !strings.Contains(name, ".") {
			t.Errorf("ContentType(%q, %q) = %q", name, head, got)
		}
		if got == "" || strings.ContainsAny(got, "\r\n") {
			t.Errorf("ContentType(%q, %q) = %q", name, head, got)
		}
	})
}
