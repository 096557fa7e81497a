package rewrite

import "testing"

func TestCSS(t *testing.T) {
	p := sitePage
	p.ContentType = "text/css"
	p.Path = "/wp-content/themes/x/style.css"
	runRows(t, newTest(t), p, rows(cssRows))
}

const cssRows = `
a{background:url({U}a.jpg)} ==> a{background:url({C}a.jpg)}
a{background:url( "{U}a.jpg" )} ==> a{background:url( "{C}a.jpg" )}
a{background:URL('/images/a(1).jpg')} ==> a{background:URL('https://cdn.test/m1/a%281%29.jpg')}
a{background:url(//example.com/images/a.jpg?x#y) no-repeat, url({U}b.jpg)} ==> a{background:url(https://cdn.test/m1/a.jpg?x#y) no-repeat, url({C}b.jpg)}
a{background:url(../../uploads/a.jpg)}
a{background:url(../../../wp-content/uploads/a.jpg)} ==> a{background:url({C}a.jpg)}
a{background:url(https\:\/\/example.com\/wp-content\/uploads\/a.jpg)} ==> a{background:url(https:\/\/cdn.test\/m0\/a.jpg)}
a{background:url({U}a\ b.jpg)} ==> a{background:url({C}a%20b.jpg)}
a{background:url(/ima\67 es/a.jpg)} b{background:url({U}a\.jpg)} ==> a{background:url(/ima\67 es/a.jpg)} b{background:url({C}a.jpg)}
@import "{U}a.css"; @import url({U}b.css) screen; ==> @import "{C}a.css"; @import url({C}b.css) screen;
a{background:image-set("{U}a.png" 1x, url({U}b.png) 2x, "{U}c.png" type("{U}d.png") 3x)} ==> a{background:image-set("{C}a.png" 1x, url({C}b.png) 2x, "{C}c.png" type("{U}d.png") 3x)}
a{content:"{U}a.jpg";--x:"{U}a.jpg"}
/* url({U}a.jpg) */ a{} /* " */ b{background:url({U}a.jpg)} ==> /* url({U}a.jpg) */ a{} /* " */ b{background:url({C}a.jpg)}
a{content:"url({U}a.jpg)"} b{content:"\" url("}
a{background:myurl({U}a.jpg)}
a{content:"{NL}background:url({U}a.jpg)} ==> a{content:"{NL}background:url({C}a.jpg)}
@font-face{src:url("{U}f.woff2") format("woff2")} ==> @font-face{src:url("{C}f.woff2") format("woff2")}
`
