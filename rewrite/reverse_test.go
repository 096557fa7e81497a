package rewrite

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

func newReverse(t testing.TB) *Reverse {
	t.Helper()
	r, err := NewReverse(ReverseConfig{Bases: map[string]string{
		"https://cdn.test/site1/media/":   "/wp-content/uploads/",
		"https://cdn.test:9000/b/":        "/images/",
		"https://cdn.test/site1/media/x/": "/files/",
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	typeForm = "application/x-www-form-urlencoded"
	typeJSON = "application/json"
	typePart = "multipart/form-data; boundary=XX"
	origin   = "https://www.example.com"
)

// turn gives body whole and piece by piece; the results must be equal.
func turn(t testing.TB, r *Reverse, body, ct, origin string) string {
	t.Helper()
	turned, _ := r.Body([]byte(body), ct, origin)
	out := string(turned)
	for name, src := range map[string]io.Reader{
		"whole":        strings.NewReader(body),
		"byte by byte": iotest.OneByteReader(strings.NewReader(body)),
		"halves":       iotest.HalfReader(strings.NewReader(body)),
		"data and EOF": iotest.DataErrReader(strings.NewReader(body)),
	} {
		got, err := io.ReadAll(r.NewReader(src, ct, origin))
		if err != nil || string(got) != out {
			t.Errorf("read %s: %q, %v, want %q", name, got, err, out)
		}
	}
	for name, src := range map[string]io.Reader{
		"whole":        strings.NewReader(body),
		"byte by byte": iotest.OneByteReader(strings.NewReader(body)),
	} {
		sized, err := io.ReadAll(r.NewSizedReader(src, ct, origin))
		if err != nil || len(sized) != len(body) {
			t.Errorf("sized, read %s: %d bytes of %d, %v: %q", name, len(sized), len(body), err, sized)
		}
	}
	return out
}

// Promise 4: "public URLs that come back in a request body are turned back into
// local ones, so that the app's database never holds one."
func TestReverse(t *testing.T) {
	r := newReverse(t)
	for _, c := range reverseCases {
		want := c.out
		if want == "" {
			want = c.in
		}
		if c.out != "" && !Reversible(c.ct) {
			t.Errorf("Reversible(%q) = false", c.ct)
		}
		if got := turn(t, r, c.in, c.ct, origin); got != want {
			t.Errorf("%s\n in   %s\n got  %s\n want %s", c.ct, c.in, got, want)
		}
	}
}

// A sized body is turned root-relative where the absolute URL would not fit,
// and filled up with what means nothing.
func TestReverseSized(t *testing.T) {
	r := newReverse(t)
	for _, c := range []struct{ ct, in, out string }{
		{typeForm, "a=https%3A%2F%2Fcdn.test%2Fsite1%2Fmedia%2Fa&b=1", "a=%2Fwp-content%2Fuploads%2Fa&b=1"},
		{typeJSON, `{"a":"https:\/\/cdn.test\/site1\/media\/x\/a"}`, `{"a":"https:\/\/www.example.com\/files\/a"}`},
		{typePart, "--XX\r\n\r\nhttps://cdn.test/site1/media/a\r\n--XX--\r\n", "--XX\r\n\r\n/wp-content/uploads/a\r\n--XX--\r\n"},
	} {
		got, err := io.ReadAll(r.NewSizedReader(strings.NewReader(c.in), c.ct, origin))
		if err != nil || len(got) != len(c.in) {
			t.Errorf("%q: %d bytes, %v", c.in, len(got), err)
		}
		if trimmed := string(bytes.TrimRight(got, "& ")); trimmed != c.out {
			t.Errorf("\n in   %q\n got  %q\n want %q", c.in, trimmed, c.out)
		}
	}
}

func TestNewReverse(t *testing.T) {
	for public, local := range map[string]string{
		"cdn.test/":                "/a/",
		"https://cdn.test/x":       "/a/",
		"https://cdn.test/":        "a/",
		"https://cdn.test/a/":      "/a",
		"https://u:p@cdn.test/":    "/a/",
		"https://cdn.test/b/":      "//evil/",
		"https://cdn.test/?a=/":    "/a/",
		"https://cdn.test/%zz/":    "/a/",
		"s3://cdn.test/something/": "/a/",
	} {
		if _, err := NewReverse(ReverseConfig{Bases: map[string]string{public: local}}); err == nil {
			t.Errorf("NewReverse(%q: %q) = nil error", public, local)
		}
	}
}

var reverseCases = []struct{ ct, in, out string }{
	{typeJSON, `{"a":"https://cdn.test/site1/media/a.jpg"}`, `{"a":"https://www.example.com/wp-content/uploads/a.jpg"}`},
	{typeJSON, `{"a":"see http:\/\/cdn.test\/site1\/media\/a.jpg."}`, `{"a":"see https:\/\/www.example.com\/wp-content\/uploads\/a.jpg."}`},
	{typeJSON, `{"a":"<img src=\"//cdn.test/site1/media/a.jpg\">"}`, `{"a":"<img src=\"//www.example.com/wp-content/uploads/a.jpg\">"}`},
	{typeJSON, `{"a":"\nhttps:\u002F\u002Fcdn.test\u002fsite1\u002Fmedia\u002Fa"}`, `{"a":"\nhttps:\u002F\u002Fwww.example.com\u002Fwp-content\u002Fuploads\u002Fa"}`},
	{typeJSON, `{"a":"{\"b\":\"https:\\\/\\\/cdn.test\\\/site1\\\/media\\\/a\"}"}`, `{"a":"{\"b\":\"https:\\\/\\\/www.example.com\\\/wp-content\\\/uploads\\\/a\"}"}`},
	{typeJSON, `["https://cdn.test/site1/media/x/a","https://CDN.test:9000/b/c"]`, `["https://www.example.com/files/a","https://CDN.test:9000/b/c"]`},
	{typeJSON, `["https://cdn.test:9000/b/c","https://cdn.test:9001/b/c","https://cdn.test/b/c"]`, `["https://www.example.com/images/c","https://cdn.test:9001/b/c","https://cdn.test/b/c"]`},
	{typeJSON, `["https://cdn.test.evil/site1/media/a","https://xcdn.test/site1/media/a","cdn.test/site1/media/a","x//cdn.test/site1/media/a","ftp://cdn.test/site1/media/a","https://cdn.test/site1/mediax/a"]`, ""},
	{typeForm, "a=https%3A%2F%2Fcdn.test%2Fsite1%2Fmedia%2Fa.jpg&b=1", "a=https%3A%2F%2Fwww.example.com%2Fwp-content%2Fuploads%2Fa.jpg&b=1"},
	{typeForm, "a=https://cdn.test/site1/media/a.jpg&b=%22%2f%2fcdn.test%2fsite1%2fmedia%2fa", "a=https://www.example.com/wp-content/uploads/a.jpg&b=%22%2f%2fwww.example.com%2fwp-content%2fuploads%2fa"},
	{typeForm, "a=%7B%22u%22%3A%22https%3A%5C%2F%5C%2Fcdn.test%5C%2Fsite1%5C%2Fmedia%5C%2Fa%22%7D", "a=%7B%22u%22%3A%22https%3A%5C%2F%5C%2Fwww.example.com%5C%2Fwp-content%5C%2Fuploads%5C%2Fa%22%7D"},
	{typeForm, "a=https%253A%252F%252Fcdn.test%252Fsite1%252Fmedia%252Fa", "a=https%253A%252F%252Fwww.example.com%252Fwp-content%252Fuploads%252Fa"},
	{typeForm, "a=see+https%3A%2F%2Fcdn.test%2Fsite1%2Fmedia%2Fa+300w%2C+%2F%2Fcdn.test%2Fsite1%2Fmedia%2Fb", "a=see+https%3A%2F%2Fwww.example.com%2Fwp-content%2Fuploads%2Fa+300w%2C+%2F%2Fwww.example.com%2Fwp-content%2Fuploads%2Fb"},
	{typeForm, "a=svn%2Bhttps%3A%2F%2Fcdn.test%2Fsite1%2Fmedia%2Fa", ""},
	{typeForm, "a=%7B%22u%22%3A%22%5Cnhttps%3A%5C%2F%5C%2Fcdn.test%5C%2Fsite1%5C%2Fmedia%5C%2Fa%22%7D", "a=%7B%22u%22%3A%22%5Cnhttps%3A%5C%2F%5C%2Fwww.example.com%5C%2Fwp-content%5C%2Fuploads%5C%2Fa%22%7D"},
	{typeForm, "a=%5Cu003dhttps%3A%2F%2Fcdn.test%2Fsite1%2Fmedia%2Fa", "a=%5Cu003dhttps%3A%2F%2Fwww.example.com%2Fwp-content%2Fuploads%2Fa"},
	{"text/xml", "<string>&lt;img src=\"https://cdn.test/site1/media/a\"&gt;</string>", "<string>&lt;img src=\"https://www.example.com/wp-content/uploads/a\"&gt;</string>"},
	// HTML with entities of its own, in XML-RPC.
	{"text/xml", "<string>https:&amp;#47;&amp;#47;cdn.test&amp;#47;site1&amp;#47;media&amp;#47;a</string>", "<string>https:&amp;#47;&amp;#47;www.example.com&amp;#47;wp-content&amp;#47;uploads&amp;#47;a</string>"},
	{"text/xml", "<string>https&amp;#x3A;&amp;#x2F;&amp;#x2F;cdn.test&amp;#x2F;site1&amp;#x2F;media&amp;#x2F;a</string>", "<string>https&amp;#x3A;&amp;#x2F;&amp;#x2F;www.example.com&amp;#x2F;wp-content&amp;#x2F;uploads&amp;#x2F;a</string>"},
	{"text/xml", "<string>&lt;a href=&quot;https&colon;&sol;&sol;cdn.test&sol;site1&sol;media&sol;a&quot;&gt;</string>", "<string>&lt;a href=&quot;https&colon;&sol;&sol;www.example.com&sol;wp-content&sol;uploads&sol;a&quot;&gt;</string>"},
	{"text/xml", "<string><![CDATA[<img src=\"https:&#047;&#047;cdn.test&#047;site1&#047;media&#047;a\">]]></string>", "<string><![CDATA[<img src=\"https:&#047;&#047;www.example.com&#047;wp-content&#047;uploads&#047;a\">]]></string>"},
	// HTML in a form, and in JSON.
	{typeForm, "a=https%26colon%3B%26sol%3B%26sol%3Bcdn.test%26sol%3Bsite1%26sol%3bmedia%26sol%3Ba", "a=https%26colon%3B%26sol%3B%26sol%3Bwww.example.com%26sol%3Bwp-content%26sol%3Buploads%26sol%3Ba"},
	{typeForm, "a=https%26%23058%3B%26%23047%3B%26%23047%3Bcdn.test%26%23047%3Bsite1%26%23047%3Bmedia%26%23047%3Ba", "a=https%26%23058%3B%26%23047%3B%26%23047%3Bwww.example.com%26%23047%3Bwp-content%26%23047%3Buploads%26%23047%3Ba"},
	{typeJSON, `{"a":"https&colon;&sol;&sol;cdn.test&sol;site1&sol;media&sol;a"}`, `{"a":"https&colon;&sol;&sol;www.example.com&sol;wp-content&sol;uploads&sol;a"}`},
	// A parameter of a URL that is a parameter itself.
	{typeForm, "a=%2Fgo%3Fu%253Dhttps%253A%252F%252Fcdn.test%252Fsite1%252Fmedia%252Fa", "a=%2Fgo%3Fu%253Dhttps%253A%252F%252Fwww.example.com%252Fwp-content%252Fuploads%252Fa"},
	{typeForm, "a=x%2561https%253A%252F%252Fcdn.test%252Fsite1%252Fmedia%252Fa", ""},
	{"image/jpeg", "https://cdn.test/site1/media/a", ""},
	{
		typePart,
		"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhttps://cdn.test/site1/media/a\r\n--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n\r\nhttps://cdn.test/site1/media/a\r\n--XX\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--XX--\r\nhttps://cdn.test/site1/media/a",
		"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhttps://www.example.com/wp-content/uploads/a\r\n--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n\r\nhttps://cdn.test/site1/media/a\r\n--XX\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--XX--\r\nhttps://cdn.test/site1/media/a",
	},
	{typePart, "--XX\r\nContent-Type: image/png\r\n\r\nhttps://cdn.test/site1/media/a\r\n--XX\r\nContent-Transfer-Encoding: base64\r\n\r\nhttps://cdn.test/site1/media/a\r\n--XX--", ""},
	{typePart, "preamble https://cdn.test/site1/media/a\r\n--XX\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhttps://cdn.test/site1/media/a\r\n--XX--", "preamble https://cdn.test/site1/media/a\r\n--XX\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhttps://www.example.com/wp-content/uploads/a\r\n--XX--"},
	{"application/ld+json", `["https://cdn.test/site1/media/a"]`, `["https://www.example.com/wp-content/uploads/a"]`},
	{"multipart/form-data", "--XX\r\n\r\nhttps://cdn.test/site1/media/a", ""},
	{"; bad", "https://cdn.test/site1/media/a", ""},
	{typePart, "--XX\r\nno header https://cdn.test/site1/media/a", ""},
}

// A serialized PHP string holds its length: it stays as it is, in every kind of
// reader; what stands elsewhere in the body is turned.
func TestReverseSerialized(t *testing.T) {
	r := newReverse(t)
	const public, local = "https://cdn.test/site1/media/a", origin + "/wp-content/uploads/a"
	far := strings.Repeat("x", 3*reverseChunk) + "+"
	for _, c := range []struct{ ct, in, out string }{
		{typeForm, "o=s:30:\"" + public + "\";", ""},
		{typeForm, "o=s%3A30%3A%22" + url.QueryEscape(public) + "%22%3B", ""},
		{typeForm, "o=s%253A30%253A%2522" + url.QueryEscape(url.QueryEscape(public)) + "%2522%253B", ""},
		{typeJSON, `{"o":"s:30:\"` + public + `\";"}`, ""},
		{typeJSON, `{"o":"{\"o\":\"s:30:\\\"` + public + `\\\";\"}"}`, ""},
		{typeJSON, `{"o":"s:30:\u0022` + public + `\u0022;"}`, ""},
		{"text/xml", "<string>s:30:&quot;" + public + "&quot;;</string>", ""},
		{"text/xml", "<string>s:30:&#34;" + public + "&#34;;</string>", ""},
		{"text/xml", "<string>s:30:&amp;quot;" + public + "&amp;quot;;</string>", ""},
		{typePart, "--XX\r\n\r\ns:30:\"" + public + "\";\r\n--XX--\r\n", ""},
		// The string began long before.
		{typeForm, "o=s:49200:\"" + far + public + "\";", ""},
		{typeForm, "o=s:1:\"x\";" + far + public, "o=s:1:\"x\";" + far + local},
		{typeForm, "a=" + public + "&o=s:30:\"" + public + "\";", "a=" + local + "&o=s:30:\"" + public + "\";"},
		{typePart, "--XX\r\n\r\ns:99:\"x\";\r\n--XX\r\n\r\n" + public + "\r\n--XX--\r\n", "--XX\r\n\r\ns:99:\"x\";\r\n--XX\r\n\r\n" + local + "\r\n--XX--\r\n"},
	} {
		want := c.out
		if want == "" {
			want = c.in
			sized, err := io.ReadAll(r.NewSizedReader(iotest.OneByteReader(strings.NewReader(c.in)), c.ct, origin))
			if err != nil || string(sized) != c.in {
				t.Errorf("%s, sized: %d bytes of %d, %v", c.ct, len(sized), len(c.in), err)
			}
		}
		if got := turn(t, r, c.in, c.ct, origin); got != want {
			t.Errorf("%s\n in   %.200q\n got  %.200q\n want %.200q", c.ct, c.in, got, want)
		}
	}
}

func TestReverseReplaced(t *testing.T) {
	rr := newReverse(t).NewReader(strings.NewReader(`["https://cdn.test/site1/media/a","https://cdn.test/x"]`), typeJSON, origin)
	if _, err := io.Copy(io.Discard, rr); err != nil || rr.Replaced() != 1 {
		t.Errorf("Replaced = %d, want 1 (%v)", rr.Replaced(), err)
	}
}

// An error of the body is returned after all that came before it.
func TestReverseReadError(t *testing.T) {
	src := io.MultiReader(strings.NewReader(`{"a":"https://cdn.test/site1/media/a"`), iotest.ErrReader(errBroken))
	got, err := io.ReadAll(newReverse(t).NewReader(src, typeJSON, ""))
	if want := `{"a":"/wp-content/uploads/a"`; string(got) != want || !errors.Is(err, errBroken) {
		t.Errorf("%q, %v, want %q, %v", got, err, want, errBroken)
	}
}
