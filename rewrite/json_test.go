package rewrite

import "testing"

func TestJSON(t *testing.T) {
	p := sitePage
	p.ContentType = "application/json"
	r := rows(jsonRows)
	runRows(t, newTest(t), p, r)
	// "apps send JSON as text/html and text/plain"
	for _, ct := range []string{"text/html", "text/plain; charset=UTF-8", "application/vnd.api+json"} {
		p.ContentType = ct
		runRows(t, newTest(t), p, r)
	}
}

const jsonRows = `
{"source_url":"{UJ}a.jpg","n":1} ==> {"source_url":"{CJ}a.jpg","n":1}
["{U}a.jpg","{UU}b.jpg"] ==> ["{C}a.jpg","{CU}b.jpg"]
{"{U}a.jpg" : "{U}b.jpg", "/wp-content/uploads/c.jpg": 1} ==> {"{C}a.jpg" : "{C}b.jpg", "/wp-content/uploads/c.jpg": 1}
{"meta":"a:1:{i:0;s:9:\"<img src='{U}a.jpg'>\";}","x":"s:12:\"<a href='{U}a.jpg'>\";"} ==> {"meta":"a:1:{i:0;s:9:\"<img src='{U}a.jpg'>\";}","x":"s:12:\"<a href='{U}a.jpg'>\";"}
{"rendered":"<p>{UJ}t.jpg<\/p><img src=\"{UJ}a.jpg\" srcset=\"{UJ}a.jpg 1x, {UJ}b.jpg 2x\" alt=\"{UJ}a.jpg\" \/>"} ==> {"rendered":"<p>{UJ}t.jpg<\/p><img src=\"{CJ}a.jpg\" srcset=\"{CJ}a.jpg 1x, {CJ}b.jpg 2x\" alt=\"{UJ}a.jpg\" \/>"}
{"r":"\u003Cimg src=\u0022{UU}a.jpg\u0022\u003E"} ==> {"r":"\u003Cimg src=\u0022{CU}a.jpg\u0022\u003E"}
{"srcset":"{UJ}a.jpg 300w, {UJ}b.jpg 1024w"} ==> {"srcset":"{CJ}a.jpg 300w, {CJ}b.jpg 1024w"}
{"t":"see {UJ}a.jpg","u":"{UJ}a.jpg is nice","v":"{U}a b.jpg"}
{"css":".a{background:url({UJ}a.jpg)}"} ==> {"css":".a{background:url({CJ}a.jpg)}"}
{"j":"{\"a\":\"{U}a.jpg\",\"b\":\"https:\\\/\\\/example.com\\\/wp-content\\\/uploads\\\/b.jpg\"}"} ==> {"j":"{\"a\":\"{C}a.jpg\",\"b\":\"https:\\\/\\\/cdn.test\\\/m0\\\/b.jpg\"}"}
{"i":"http:\/\/example.com\/images\/hero%20image.jpg#joomlaImage:\/\/local-images\/hero image.jpg?width=4000&height=3000"} ==> {"i":"https:\/\/cdn.test\/m1\/hero%20image.jpg#joomlaImage:\/\/local-images\/hero image.jpg?width=4000&height=3000"}
{"a":"x\\","b":"{UJ}a.jpg"} ==> {"a":"x\\","b":"{CJ}a.jpg"}
{"a":"images\/x.jpg","b":"local-images:\/x.jpg","c":"\/images\/x.jpg","d":"\/\/example.com\/images\/x.jpg"} ==> {"a":"images\/x.jpg","b":"local-images:\/x.jpg","c":"\/images\/x.jpg","d":"https:\/\/cdn.test\/m1\/x.jpg"}
{"a":"{UJ}a.jpg
`

// "A body in PHP's serialize format is not touched": each string in it tells its length.
func TestSerializedBody(t *testing.T) {
	r := newTest(t)
	for _, contentType := range []string{"text/html", "text/plain", "application/json"} {
		p := sitePage
		p.ContentType = contentType
		runRows(t, r, p, rows(`
a:1:{s:1:"u";s:48:"<img src="{U}a.jpg">";}
 O:8:"stdClass":1:{s:1:"u";s:48:"<img src="{U}a.jpg">";}
s:48:"<img src="{U}a.jpg">";
`))
	}
	runRows(t, r, sitePage, rows(`
a:1 is a number <img src="{U}a.jpg"> ==> a:1 is a number <img src="{C}a.jpg">
see <img src="{U}a.jpg"> ==> see <img src="{C}a.jpg">
s: <img src="{U}a.jpg"> ==> s: <img src="{C}a.jpg">
`))
}
