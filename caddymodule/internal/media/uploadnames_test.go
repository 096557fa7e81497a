package media

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	multiXX  = "multipart/form-data; boundary=XX"
	jsonType = "application/json; charset=utf-8"
)

// filePart is a part of a body with the boundary XX; disposition follows
// "form-data".
func filePart(disposition, content string) string {
	return "--XX\r\nContent-Disposition: form-data" + disposition + "\r\nContent-Type: image/jpeg\r\n\r\n" + content + "\r\n"
}

// scanNames scans a body in pieces whose sizes next tells.
func scanNames(site *Site, contentType, body string, next func() int) (names []string, over bool) {
	n := site.NewNameScanner(contentType, func(name string) { names = append(names, name) })
	if n == nil {
		return nil, false
	}
	for rest := []byte(body); len(rest) > 0; {
		size := min(next(), len(rest))
		piece := bytes.Clone(rest[:size])
		n.Scan(piece)
		clear(piece) // what it has kept of the piece would show
		rest = rest[size:]
	}
	return names, n.Over()
}

func whole() int  { return 1 << 30 }
func single() int { return 1 }

func presetSite(t testing.TB, name string) *Site {
	t.Helper()
	site, err := New(Config{Preset: name, DocRoot: "/var/www", Roots: []Root{{Name: "further", Dir: "/srv/further", URL: "/further/"}}})
	if err != nil {
		t.Fatal(err)
	}
	return site
}

// bodyNames are bodies and the names in them.
var bodyNames = []struct {
	name, preset, contentType, body string
	want                            []string
	over                            bool
}{
	{"curl -F", "generic", multiXX, filePart(`; name="file"; filename="a.jpg"`, "x") + "--XX--\r\n", []string{"a.jpg"}, false},
	{"several", "wordpress", multiXX, filePart(`; name="a[]"; filename="a.jpg"`, "\r\n--X\r\n--XY") + filePart(`; name="a[]"; filename="b.jpg"`, "") + "--XX--", []string{"a.jpg", "b.jpg"}, false},
	{"preamble", "generic", multiXX, "preamble\r\n" + filePart(`; filename="a.jpg"`, "x"), []string{"a.jpg"}, false},
	{"after the end", "generic", multiXX, "--XX--\r\n" + filePart(`; filename="a.jpg"`, "x"), []string{"a.jpg"}, false},
	{"LF only", "generic", multiXX, strings.ReplaceAll(filePart(`; filename=a.jpg`, "x"), "\r\n", "\n"), []string{"a.jpg"}, false},
	{"padding", "generic", multiXX, "--XX \t\r\ncontent-disposition:form-data;filename=a.jpg\r\n\r\n", []string{"a.jpg"}, false},
	{"continued header", "generic", multiXX, "--XX\r\nX-A: b\r\nContent-Disposition: form-data;\r\n name=x;\r\n\tfilename=\"a b.jpg\"\r\nX-B: c\r\n filename=no\r\n\r\n", []string{"a b.jpg"}, false},
	{"no file chosen", "generic", multiXX, filePart(`; name="file"; filename=""`, ""), nil, false},
	{"quoted boundary", "generic", `Multipart/Form-Data; charset=x; BOUNDARY="X X"`, "--X X\r\nContent-Disposition: form-data; filename=a.jpg\r\n\r\n", []string{"a.jpg"}, false},
	{"browser's boundary", "generic", "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\nContent-Disposition: form-data; name=\"f\"; filename=\"ü \xf0\x9f\x98\x80.jpg\"\r\n\r\n", []string{"ü 😀.jpg"}, false},
	{"no boundary", "generic", "multipart/form-data", filePart(`; filename="a.jpg"`, "x"), nil, true},
	{"long boundary", "generic", "multipart/form-data; boundary=" + strings.Repeat("x", 71), "", nil, true},
	{"other boundary", "generic", multiXX, strings.ReplaceAll(filePart(`; filename="a.jpg"`, "x"), "XX", "XXX"), nil, false},
	{"long header", "generic", multiXX, filePart(`; name="`+strings.Repeat("x", maxPartHeader)+`"; filename="a.jpg"`, "x") + filePart(`; filename="b.jpg"`, "x"), []string{"b.jpg"}, true},
	{"long name", "generic", multiXX, filePart(`; filename="`+strings.Repeat("x", 252)+`.jpg"`, "x") + filePart(`; filename="`+strings.Repeat("x", 251)+`.jpg"`, "x"), []string{strings.Repeat("x", 251) + ".jpg"}, true},
	{"delimiter in a header", "generic", multiXX, "--XX\r\n--XX\r\nContent-Disposition: form-data; filename=a.jpg\r\n\r\n", []string{"a.jpg"}, false},
	{"content that looks like a header", "generic", multiXX, filePart(`; name="x"`, "\r\nContent-Disposition: form-data; filename=no.jpg\r\n\r\n"), nil, false},
	{"content with line feeds", "generic", multiXX, filePart(`; name="x"`, "\n\n--\n--X\n\n--\r\n--X") + filePart(`; filename="a.jpg"`, ""), []string{"a.jpg"}, false},
	{"both forms", "generic", multiXX, filePart(`; filename="EURO.jpg"; filename*=UTF-8''%e2%82%ac.jpg`, ""), []string{"EURO.jpg", "€.jpg"}, false},

	// WordPress' uploader sends the name as a field, and the file whole or in chunks.
	{"plupload", "wordpress", multiXX, filePart(`; name="name"`, "a.jpg") + filePart(`; name="async-upload"; filename="a.jpg"`, "x"), []string{"a.jpg", "a.jpg"}, false},
	{"chunk", "wordpress", multiXX, filePart(`; name="name"`, "a.jpg") + filePart(`; name="chunk"`, "0") + filePart(`; name="async-upload"; filename="blob"`, "x"), []string{"a.jpg"}, false},
	{"blob alone", "wordpress", multiXX, filePart(`; name="file"; filename="blob"`, "x"), []string{"blob"}, false},
	{"name without file", "wordpress", multiXX, filePart(`; name="name"`, "a.jpg") + "--XX--", nil, false},
	{"name of a person", "wordpress", multiXX, filePart(`; name="name"`, "John") + filePart(`; name="f"; filename="a.jpg"`, "x"), []string{"a.jpg"}, false},
	{"empty name", "wordpress", multiXX, filePart(`; name="name"`, "") + filePart(`; name="f"; filename="a.jpg"`, "x"), []string{"a.jpg"}, false},
	{"script", "wordpress", multiXX, filePart(`; name="name"`, "index.php") + filePart(`; name="f"; filename="a.jpg"`, "x"), []string{"a.jpg"}, false},
	{"long field", "wordpress", multiXX, filePart(`; name="name"`, strings.Repeat("x", 9000)+".jpg") + filePart(`; name="f"; filename="a.jpg"`, "x"), []string{"a.jpg"}, false},
	{"many fields", "wordpress", multiXX, strings.Repeat(filePart(`; name="name"`, "x.jpg"), 5) + filePart(`; name="f"; filename="a.jpg"`, "x"), []string{"x.jpg", "x.jpg", "x.jpg", "x.jpg", "a.jpg"}, true},
	{"MediaWiki", "mediawiki", multiXX, filePart(`; name="file"; filename="a.jpg"`, "x") + filePart(`; name="filename"`, "Target name.JPG") + "--XX--", []string{"a.jpg", "Target name.JPG"}, false},
	{"MediaWiki's name last", "mediawiki", multiXX, filePart(`; name="wpUploadFile"; filename="a.jpg"`, "x") + filePart(`; name="wpDestFile"`, "B.jpg\nx") + filePart(`; name="wpDestFile"`, "B.jpg") + "--XX--", []string{"a.jpg", "B.jpg"}, false},

	// Joomla.
	{"media manager", "joomla", jsonType, `{"0123abcd":"1","name":"x y.jpg","content":"/9j/4AAQ"}`, []string{"x y.jpg"}, false},
	{"web service", "joomla", jsonType, ` { "content" : "\/9j\/4AAQ\\", "path" : "local-images:\/sub\/x.jpg" } `, []string{"local-images:/sub/x.jpg"}, false},
	{"rename", "joomla", jsonType, `{"1":"1","newPath":"local-images:/y.png","move":1}`, []string{"local-images:/y.png"}, false},
	{"escapes", "joomla", jsonType, `{"na\u006de":"\u00dc\"\\\u0062.jpg"}`, []string{`Ü"\b.jpg`}, false},
	{"mkdir", "joomla", jsonType, `{"1":"1","name":"folder"}`, nil, false},
	{"nested", "joomla", jsonType, `{"a":{"name":"no.jpg"},"b":[{"name":"no.jpg"},"name","no.jpg"],"name":["no.jpg"],"name":"a.jpg","c":"name","d":"no.jpg"}`, []string{"a.jpg"}, false},
	{"other values", "joomla", jsonType, `{"name":null,"name":1,"name":true,"x":"no.jpg","name":{},"path":"a.jpg"}`, []string{"a.jpg"}, false},
	{"after the object", "joomla", jsonType, `{}{"name":"no.jpg"}`, nil, false},
	{"array", "joomla", jsonType, `["name","no.jpg"]`, nil, false},
	{"string", "joomla", jsonType, `"name":"no.jpg"`, nil, false},
	{"nonsense", "joomla", jsonType, `}{"name":"no.jpg"`, nil, false},
	{"number", "joomla", jsonType, `1{"name":"no.jpg"}`, nil, false},
	{"long key", "joomla", jsonType, `{"` + strings.Repeat("x", 9000) + `":"no.jpg","name":"a.jpg"}`, []string{"a.jpg"}, false},
	{"long value", "joomla", jsonType, `{"name":"` + strings.Repeat("x", 9000) + `.jpg","path":"a.jpg"}`, []string{"a.jpg"}, true},
	{"broken escape", "joomla", jsonType, `{"name":"\q.jpg","path":"a.jpg"}`, []string{"a.jpg"}, false},
	{"JSON in WordPress", "wordpress", jsonType, `{"name":"a.jpg"}`, nil, false},
	{"vnd.api+json", "generic", "application/vnd.api+json", `{"filename":"a.jpg"}`, []string{"a.jpg"}, false},

	// XML-RPC.
	{"wp.uploadFile", "wordpress", "text/xml", "<?xml version=\"1.0\"?>\n<methodCall><methodName>wp.uploadFile</methodName><params><param><value><int>1</int></value></param><param><value><struct>\n" +
		"<member><name>name</name><value><string>a&amp;b.jpg</string></value></member><member><name>type</name><value><string>no.jpg</string></value></member>" +
		"<member><name>bits</name><value><base64>AAAA</base64></value></member></struct></value></param></params></methodCall>", []string{"a&b.jpg"}, false},
	{"untyped value", "wordpress", "application/xml", "<struct><member><name> name </name><value>a.jpg</value></member></struct>", []string{"a.jpg"}, false},
	{"other values", "wordpress", "text/xml", "<name>name</name><value><int>1</int></value><value>no.jpg</value><name>name</name><value><struct><string>no.jpg</string>", nil, false},
	{"second value", "wordpress", "text/xml", "<name>name</name><value><string>a.jpg</string></value><value><string>no.jpg</string></value>", []string{"a.jpg"}, false},
	{"long", "wordpress", "text/xml", "<name>name</name><value>" + strings.Repeat("x", 9000) + ".jpg</value>", nil, true},

	{"form", "wordpress", "application/x-www-form-urlencoded", "name=a.jpg", nil, false},
	{"raw", "wordpress", "image/jpeg", filePart(`; filename="a.jpg"`, "x"), nil, false},
}

// TestBodyNames scans each body whole, byte by byte, and in random pieces.
func TestBodyNames(t *testing.T) {
	for _, test := range bodyNames {
		t.Run(test.preset+"/"+test.name, func(t *testing.T) {
			site := presetSite(t, test.preset)
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 0))
			for cut, next := range map[string]func() int{
				"whole": whole, "byte by byte": single,
				fmt.Sprint("random ", seed): func() int { return 1 + random.IntN(9) },
			} {
				if got, over := scanNames(site, test.contentType, test.body, next); !slices.Equal(got, test.want) || over != test.over {
					t.Errorf("%s: %.300q, over %v; want %.300q, %v", cut, got, over, test.want, test.over)
				}
			}
		})
	}
}

// TestDispositions: names in all the quotes that clients use.
func TestDispositions(t *testing.T) {
	for value, want := range map[string]disposition{
		`form-data; name="f"; filename="a.jpg"`:                     {"f", "a.jpg", ""},
		`form-data;name=f;filename=a.jpg`:                           {"f", "a.jpg", ""},
		`form-data; filename='a.jpg'`:                               {"", "a.jpg", ""},
		`form-data; filename="a;b=c.jpg"; name="f;g"`:               {"f;g", "a;b=c.jpg", ""},
		`form-data; filename="a\"b\\c.jpg"`:                         {"", `a"b\c.jpg`, ""},         // curl
		`form-data; filename="a%22b.jpg"`:                           {"", `a%22b.jpg`, ""},         // browsers
		`form-data; filename="C:\fakepath\a.jpg"`:                   {"", `C:\fakepath\a.jpg`, ""}, // browsers of old
		`form-data; filename="it's.jpg"; name="f"`:                  {"f", "it's.jpg", ""},         //
		`form-data; filename=it's.jpg; name=f`:                      {"f", "it's.jpg", ""},         //
		`attachment; FileName = "a.jpg"`:                            {"", "a.jpg", ""},             //
		`attachment; filename=`:                                     {"", "", ""},                  //
		`attachment; filename="a.jpg`:                               {"", "a.jpg", ""},             //
		`attachment; filename="`:                                    {"", "", ""},                  //
		`attachment; filename="a\`:                                  {"", `a\`, ""},                //
		`attachment; filename="'a'.jpg"`:                            {"", "'a'.jpg", ""},           //
		`attachment; filename*=UTF-8''%c3%9c%20a.jpg`:               {"", "", "Ü a.jpg"},           // RFC 8187
		`attachment; filename*=iso-8859-1'en'%DC.jpg`:               {"", "", "\xdc.jpg"},          //
		`attachment; filename*="UTF-8''a.jpg"`:                      {"", "", "a.jpg"},             //
		`attachment; filename*=a.jpg; filename=b.jpg`:               {"", "b.jpg", ""},             //
		`attachment; filename*=UTF-8''%zz.jpg`:                      {"", "", "%zz.jpg"},           //
		`a.jpg`:                                                     {"", "", ""},                  //
		``:                                                          {"", "", ""},                  //
		`form-data; name=a; name=b; filename="x.jpg"; filename="y"`: {"b", "y", ""},                // as PHP
	} {
		if got := parseDisposition(value); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

// TestRequestNames: names in URL and header.
func TestRequestNames(t *testing.T) {
	for _, test := range []struct {
		preset, method, path, query, disposition string
		want                                     []string
	}{
		{"wordpress", "POST", "/wp-json/wp/v2/media", "", `attachment; filename="a b.jpg"`, []string{"a b.jpg"}},
		{"wordpress", "POST", "/wp-json/wp/v2/media", "name=no.jpg", `attachment; filename=a.jpg; filename*=UTF-8''%c3%9c.jpg`, []string{"a.jpg", "Ü.jpg"}},
		{"wordpress", "POST", "/wp-admin/async-upload.php", "", "", nil},
		{"wordpress", "DELETE", "/wp-json/wp/v2/media/12", "force=true", "", nil},
		{"wordpress", "PUT", "/wp-content/uploads/a.jpg", "", "", []string{"/wp-content/uploads/a.jpg"}},
		{"wordpress", "GET", "/wp-content/uploads/a.jpg", "name=a.jpg", "", nil},
		{"joomla", "DELETE", "/api/index.php/v1/media/files/local-images:/x.jpg", "", "", []string{"/api/index.php/v1/media/files/local-images:/x.jpg"}},
		{"joomla", "PUT", "/administrator/index.php", "task=api.files&path=local-images%3A%2Fx%20y.jpg&name=no.jpg", "", []string{"local-images:/x y.jpg"}},
		{"joomla", "POST", "/administrator/index.php", "path=local-images:/", "", nil},
		{"mediawiki", "POST", "/api.php", "action=upload&filename=A_b.jpg", "", []string{"A_b.jpg"}},
		{"generic", "POST", "/upload", "filename=a.jpg&name=a.jpg&path=%zz.jpg&x", "", []string{"a.jpg", "%zz.jpg"}},
	} {
		r := RequestInfo{Method: test.method, Path: test.path, Query: test.query, Header: http.Header{}}
		if test.disposition != "" {
			r.Header.Set("Content-Disposition", test.disposition)
		}
		if got := presetSite(t, test.preset).RequestNames(r); !slices.Equal(got, test.want) {
			t.Errorf("%s %s?%s: %q, want %q", test.method, test.path, test.query, got, test.want)
		}
	}
}

// TestNamesBounded: of more names than a request may have the rest is left.
func TestNamesBounded(t *testing.T) {
	site := presetSite(t, "generic")
	var body strings.Builder
	for i := range maxUploadNames + 1 {
		body.WriteString(filePart(fmt.Sprintf(`; filename="%d.jpg"`, i), "x"))
		if names, over := scanNames(site, multiXX, body.String(), whole); len(names) != min(i+1, maxUploadNames) || over != (i >= maxUploadNames) {
			t.Errorf("%d files: %d names, over %v", i+1, len(names), over)
		}
	}
}

// TestMultipartWriter: what Go's writer writes is found.
func TestMultipartWriter(t *testing.T) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, err := range []error{w.WriteField("name", "a.jpg"), w.WriteField("x", strings.Repeat("\n--", 1000))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"a.jpg", `we"ird\.jpg`, "b.jpg"}
	for _, name := range want[1:] {
		part, err := w.CreateFormFile("f", name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(bytes.Repeat([]byte("\r\n--"+w.Boundary()[:20]), 100)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if got, _ := scanNames(presetSite(t, "wordpress"), w.FormDataContentType(), body.String(), single); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestScanAllocates nothing while there is nothing to find.
func TestScanAllocates(t *testing.T) {
	random := make([]byte, 64<<10)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	base64 := bytes.Repeat([]byte("iVBORw0KGgoAAAANSUhEUgAA\\/9j"), 2000)
	for _, test := range []struct {
		contentType, begin string
		piece              []byte
	}{
		{multiXX, filePart(`; name="f"; filename="a.jpg"`, ""), random},
		{jsonType, `{"name":"a.jpg","content":"`, base64},
		{"text/xml", "<member><name>bits</name><value><base64>", base64},
	} {
		n := presetSite(t, "generic").NewNameScanner(test.contentType, func(string) {})
		n.Scan([]byte(test.begin))
		if allocs := testing.AllocsPerRun(10, func() { n.Scan(test.piece) }); allocs != 0 {
			t.Errorf("%s: %v allocations for a piece", test.contentType, allocs)
		}
	}
}

// FuzzBodyNames: however a body is cut, the names are the same; those in JSON
// are what encoding/json finds.
func FuzzBodyNames(f *testing.F) {
	for _, test := range bodyNames {
		if len(test.body) < 1000 {
			f.Add(test.contentType, test.body, uint64(1))
		}
	}
	site := presetSite(f, "generic")
	f.Fuzz(func(t *testing.T, contentType, body string, seed uint64) {
		want, wantOver := scanNames(site, contentType, body, whole)
		random := rand.New(rand.NewPCG(seed, 0))
		for _, next := range []func() int{single, func() int { return 1 + random.IntN(20) }} {
			if got, over := scanNames(site, contentType, body, next); !slices.Equal(got, want) || over != wantOver {
				t.Errorf("%q, %v; in one piece %q, %v", got, over, want, wantOver)
			}
		}
		var object map[string]any
		if json.Unmarshal([]byte(body), &object) != nil || len(object) > 8 {
			return
		}
		found, over := scanNames(site, "application/json", body, single)
		for _, member := range site.uploads.members {
			if name, ok := object[member].(string); ok && !over && isFileName(name) && !slices.Contains(found, name) {
				t.Errorf("%s is %q, found %q", member, name, found)
			}
		}
	})
}

// FuzzDisposition: no header makes the parser fail, and what a client writes
// with proper quotes is read.
func FuzzDisposition(f *testing.F) {
	f.Add(`form-data; name="f"; filename="a.jpg"`, "a\"b.jpg")
	f.Add(`attachment; filename*=UTF-8''%c3%9c.jpg;filename='`, `\\`)
	f.Fuzz(func(t *testing.T, value, name string) {
		parseDisposition(value)
		quoted := `form-data; filename="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"; name=f`
		if d := parseDisposition(quoted); d.filename != name || d.field != "f" {
			t.Errorf("%s: %q", quoted, d)
		}
	})
}

// BenchmarkScan is the speed of a body that streams by: alone, and compared
// with looking for one byte.
func BenchmarkScan(b *testing.B) {
	random := make([]byte, 32<<10)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	base64 := bytes.Repeat([]byte("iVBORw0KGgoAAAANSUhEUgAA+/9j"), 1200)
	run := func(name string, piece []byte, scan func([]byte)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(piece)))
			b.ReportAllocs()
			for b.Loop() {
				scan(piece)
			}
		})
	}
	scanner := func(contentType, begin string) func([]byte) {
		n := presetSite(b, "generic").NewNameScanner(contentType, func(string) {})
		n.Scan([]byte(begin))
		return n.Scan
	}
	const webkit = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
	run("memchr", random, func(p []byte) { bytes.IndexByte(p[:0], 0); bytes.Count(p, []byte{'"'}) })
	run("multipart, random", random, scanner("multipart/form-data; boundary="+webkit, "--"+webkit+"\r\nContent-Disposition: form-data; filename=a.jpg\r\n\r\n"))
	run("multipart, line feeds", bytes.Repeat([]byte("\n-"), 16<<10), scanner("multipart/form-data; boundary="+webkit, ""))
	run("JSON, base64", base64, scanner(jsonType, `{"content":"`))
	run("XML-RPC, base64", base64, scanner("text/xml", "<base64>"))
}
