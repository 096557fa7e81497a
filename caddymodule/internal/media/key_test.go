package media

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckKey(t *testing.T) {
	long := strings.Repeat("x", maxSegment)
	tests := []struct {
		key  string
		want error
	}{
		{"a", nil},
		{"2026/11/photo-1024x768.jpg", nil},
		{"2026/11/Été photo (1)+x&y.JPG", nil},
		{"2026/11/E\u0301te\u0301.jpg", nil}, // decomposed, as macOS writes it
		{"2026/11/📷.jpg", nil},
		{"a b/c+d/%2F/'\"<>?#&=;|^`{}[]~.x", nil},
		{"..a/...b/a..", nil},
		{".hidden", nil},
		{long + "/" + long + "/" + long, nil},

		{"", ErrKeyEmpty},
		{strings.Repeat("abc/", 256) + "d", ErrKeyLong},
		{long + "x/a", ErrSegmentLong},
		{"a/" + long + "x", ErrSegmentLong},
		{"/a", ErrSegmentEmpty},
		{"a/", ErrSegmentEmpty},
		{"a//b", ErrSegmentEmpty},
		{"/", ErrSegmentEmpty},
		{".", ErrSegmentDots},
		{"..", ErrSegmentDots},
		{"a/./b", ErrSegmentDots},
		{"a/../b", ErrSegmentDots},
		{"../b", ErrSegmentDots},
		{"a/..", ErrSegmentDots},
		{"a\x00.jpg", ErrControlByte},
		{"a\nb.jpg", ErrControlByte},
		{"a\x7f.jpg", ErrControlByte},
		{"a\uFFFE.jpg", ErrControlByte},
		{"a\uFFFF.jpg", ErrControlByte},
		{"a\xff.jpg", ErrNotUTF8},
		{"\xed\xa0\x80.jpg", ErrNotUTF8}, // half of a surrogate pair
		{"caf\xc3", ErrNotUTF8},
		{"a\uFFFD.jpg", nil}, // the replacement character itself is a character
		{`a\b.jpg`, ErrBackslash},
	}
	for _, tt := range tests {
		if got := CheckKey(tt.key); !errors.Is(got, tt.want) {
			t.Errorf("CheckKey(%q) = %v, want %v", tt.key, got, tt.want)
		}
	}
}
