package rewrite

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Character references are decoded as golang.org/x/net/html does in attribute
// values, but for names without a semicolon other than the four that URLs have.
func TestCharacterReferences(t *testing.T) {
	for _, s := range []string{
		"&amp;", "&lt;&gt;&quot;&apos;", "&#47;", "&#x2F;", "&#X2f;", "&#47a", "&#x2Fg", "&sol;", "&colon;", "&period;", "&lowbar;",
		"&eacute;", "&nosuch;", "&", "&;", "&#;", "&#x;", "&#", "a&b", "a&b;c", "&amp", "&amp=", "&ampx", "&amp;amp;", "&lt=", "&quot",
		"&#0;", "&#xD800;", "&#x110000;", "&#99999999999999999999;", "é&amp;é", "&AMP;&AMP", "&num;&quest;&equals;",
	} {
		// x/net decodes attribute values by another function than
		// UnescapeString's: look at one.
		z := html.NewTokenizer(strings.NewReader(`<a b="` + s + `">`))
		z.Next()
		want := z.Token().Attr[0].Val
		var d decoded
		d.decode([]byte(s), markup, true)
		if string(d.text) != want {
			t.Errorf("%q is %q, want %q", s, d.text, want)
		}
		if end := d.at(len(d.text)); end != len(s) {
			t.Errorf("%q: the end is at %d, want %d", s, end, len(s))
		}
	}
}

func TestStringEscapes(t *testing.T) {
	for _, s := range []string{
		`a`, `\/`, `\"\\`, `\b\f\n\r\t`, `\u002F`, `\u002f`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\ud83dx`, `\ude00`, `é\/é`,
	} {
		var want string
		if err := json.Unmarshal([]byte(`"`+s+`"`), &want); err != nil {
			t.Fatal(err)
		}
		var d decoded
		d.decode([]byte(s), escapes, true)
		if string(d.text) != want {
			t.Errorf("%q is %q, want %q", s, d.text, want)
		}
	}
	// What JavaScript has besides (ECMAScript, 12.9.4), and CSS.
	for _, c := range []struct {
		codec    codec
		in, want string
	}{
		{escapes, `\x2F\u{2f}\'\v\q`, "//'\vq"},
		{escapes, "a\\\nb\\\r\nc\\\rd", "abcd"},
		{escapes, `\x2`, `\x2`},
		{escapes, `\u{`, `\u{`},
		{escapes, `\u00`, `\u00`},
		{escapes, `\`, `\`},
		{escapes, "\\\xff", "\\\xff"},
		{cssText, `\/\.\(`, "/.("},
		{cssText, `\2f x\2F`, "/x/"},
		{cssText, "\\00002fx\\2f\r\ny", "/x/y"},
		{cssText, "a\\\nb", "ab"},
		{cssText, `\`, `\`},
		{cssText, "\\\xff", "\\\xff"},
	} {
		var d decoded
		d.decode([]byte(c.in), c.codec, true)
		if string(d.text) != c.want {
			t.Errorf("%q is %q, want %q", c.in, d.text, c.want)
		}
	}
}

// An escape at the end is left for when more has come, wherever it is cut.
func TestDecodeInPieces(t *testing.T) {
	const in = `a\/b\u002Fc\ud83d\ude00d\\e\x2Ff` + "0123456789012345678901234567890123456789012345"
	var all decoded
	all.decode([]byte(in), escapes, true)
	for cut := range len(in) {
		var d decoded
		d.decode([]byte(in[:cut]), escapes, false)
		text := string(d.text)
		rest := in[d.at(len(d.text)):]
		d.decode([]byte(rest), escapes, true)
		if text+string(d.text) != string(all.text) {
			t.Errorf("cut at %d: %q", cut, text+string(d.text))
		}
	}
}
