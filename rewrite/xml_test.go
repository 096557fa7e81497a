package rewrite

import "testing"

func TestXML(t *testing.T) {
	p := sitePage
	p.Path = "/index.php?format=feed"
	runRows := func(ct, s string) {
		t.Helper()
		p.ContentType = ct
		runRows(t, newTest(t), p, rows(s))
	}
	runRows("application/rss+xml; charset=UTF-8", feedRows)
	runRows("text/html", `
<?xml version="1.0"?><rss><url>{U}a.jpg</url></rss> ==> <?xml version="1.0"?><rss><url>{C}a.jpg</url></rss>
<?xml version="1.0"?><html><url>{U}a.jpg</url></html>
`)
	runRows("image/svg+xml", svgRows)
}

const feedRows = `
<image><url>{U}a.jpg</url></image> ==> <image><url>{C}a.jpg</url></image>
<icon>{NL} {U}a.jpg {NL}</icon> ==> <icon>{NL} {C}a.jpg {NL}</icon>
<enclosure url="{U}a.mp3" length="1"/> ==> <enclosure url="{C}a.mp3" length="1"/>
<media:content url='{U}a.mp3?a=1&amp;b=2'/><atom:link href="{U}b"/> ==> <media:content url='{C}a.mp3?a=1&amp;b=2'/><atom:link href="{C}b"/>
<content:encoded><![CDATA[<p>{U}t.jpg</p><img src="{U}a.jpg" srcset="{U}a.jpg 1x">]]></content:encoded> ==> <content:encoded><![CDATA[<p>{U}t.jpg</p><img src="{C}a.jpg" srcset="{C}a.jpg 1x">]]></content:encoded>
<description>&lt;img src=&quot;{U}a.jpg&quot; alt="{U}a.jpg"&gt; {U}a.jpg</description> ==> <description>&lt;img src=&quot;{C}a.jpg&quot; alt="{U}a.jpg"&gt; {U}a.jpg</description>
<content type="html">&lt;img src="images/a.jpg" srcset="{U}a.jpg?x&amp;amp;y 1x"/&gt;</content> ==> <content type="html">&lt;img src="https://cdn.test/m1/a.jpg" srcset="{C}a.jpg?x&amp;amp;y 1x"/&gt;</content>
<entry xml:base="https://example.com/x/"><content>&lt;img src="images/a.jpg"/&gt;</content></entry>
<guid>{U}a.jpg</guid><title>{U}a.jpg</title><x>see {U}a.jpg</x><y/>{U}a.jpg
<loc>https://example.com//images/a.jpg</loc> ==> <loc>https://cdn.test/m1/a.jpg</loc>
<!-- <url>{U}a.jpg</url> --><?x <url>{U}a.jpg</url> ?><!DOCTYPE x [<!ENTITY y "<url>{U}a.jpg</url>">]><url><!-- x -->{U}a.jpg</url> ==> <!-- <url>{U}a.jpg</url> --><?x <url>{U}a.jpg</url> ?><!DOCTYPE x [<!ENTITY y "<url>{U}a.jpg</url>">]><url><!-- x -->{C}a.jpg</url>
<html>&lt;iframe src=&quot;{U}a.html&quot;&gt;&lt;/iframe&gt;</html><thumbnail_url>{U}t.jpg</thumbnail_url> ==> <html>&lt;iframe src=&quot;{C}a.html&quot;&gt;&lt;/iframe&gt;</html><thumbnail_url>{C}t.jpg</thumbnail_url>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><img src="{U}a.jpg" alt="{U}"/></div></content> ==> <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><img src="{C}a.jpg" alt="{U}"/></div></content>
`

const svgRows = `
<html><base href="{U}x/"/><img src="{U}a.jpg"/><img src="a.jpg"/></html> ==> <html><base href="{U}x/"/><img src="{C}a.jpg"/><img src="a.jpg"/></html>
<svg><image href="{U}a.jpg"/><text>{U}a.jpg</text><style><![CDATA[a{fill:url({U}a.svg#x)}]]></style></svg> ==> <svg><image href="{C}a.jpg"/><text>{U}a.jpg</text><style><![CDATA[a{fill:url({C}a.svg#x)}]]></style></svg>
`
