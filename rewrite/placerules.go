package rewrite

// The table of places. To add one is to add a line.

// context is the language that a place is part of.
type context uint8

const (
	inMarkup context = iota // HTML, XHTML, SVG
	inCSS
	inScript // scripts and JSON
	inFeed   // feeds, sitemaps and other XML
	inManifest
	inPlaylist
	inHeader
	numContexts
)

var contextNames = [numContexts]string{"HTML and SVG", "CSS", "scripts and JSON", "feeds and sitemaps", "web app manifests", "playlists", "headers"}

// placeRule is a row of the table: names between spaces ("*" is any), and how
// what stands there is fetched. Of the rows for an element and an attribute the
// first whose condition holds counts.
type placeRule struct {
	in                   context
	elements, attributes string
	when                 *condition // nil: always
	use                  use
	spec                 string
}

var (
	anywhere = use{}
	withCORS = use{least: WithCORS}
	atHome   = use{least: AtHome}
	referred = use{names: elementName}
	// takenUp is what only a script takes up: it may give a picture to an element, but
	// fetch it as well, mask something with it or draw it on a surface that is read back,
	// which no name tells. Nothing says that it is a URL, so it is one only with a host.
	takenUp = use{WithCORS, scriptName, true}
	// linked is what an attribute that holds a URL names, if only a script takes it up.
	linked = use{WithCORS, scriptName, false}
	// byLoader is what a lazy loader takes up.
	byLoader = use{names: loaderName}
)

// In markup an attribute of a lazy loader (lazyAttributes) counts as what it will become
// (data-src as src), if the element has that, else it has the rows of data-src.
var placeRules = []placeRule{
	// The text of scripts.
	{inMarkup, "script", "text", typed("importmap"), atHome, "HTML: import maps, module map; a module is one for each URL"},
	{inMarkup, "script", "text", typed("speculationrules"), atHome, "Speculation Rules: prerendering is same-origin"},
	{inMarkup, "script", "text", typed("application/ld+json"), anywhere, "JSON-LD; search engines read it"},
	{inMarkup, "script", "text", nil, takenUp, "HTML: workers and service workers are same-origin; Fetch: request mode"},

	// Only at home, with or without crossorigin. A module that is named by two URLs is
	// two modules, and what it names itself stands in it as it is: it has one URL
	// wherever it is named, in scripts too.
	{inMarkup, "script", "src href xlink:href", typed("module"), atHome, "HTML: module map, resolve a module specifier, import.meta.url"},
	{inMarkup, "link", "*", rel("modulepreload"), atHome, "HTML: link type modulepreload, module map"},
	{inMarkup, "link", "*", preloads("json"), atHome, "HTML: link type preload; a module of JSON, module map"},
	{inMarkup, "link", "*", rel("manifest"), atHome, "Web App Manifest: processing; start_url and scope are relative to it"},
	{inMarkup, "link", "*", rel("serviceworker"), atHome, "Service Workers: Start Register"},
	{inMarkup, "link", "*", preloads("worker", "sharedworker", "serviceworker", "document", "frame", "iframe", "embed", "object"), atHome, "HTML: link type preload"},
	// A crossorigin attribute. What is to be fetched with credentials needs more
	// than a public host can say to all.
	{inMarkup, "img video audio link script image feimage", "*", credentials, atHome, "HTML: CORS settings attributes; Fetch: CORS protocol and credentials"},
	{inMarkup, "link script", "*", unreadable, atHome, "Subresource Integrity: is response eligible for integrity validation"},
	{inMarkup, "img video audio link script image feimage", "*", crossorigin, withCORS, "HTML: CORS settings attributes; SVG 2: crossorigin"},
	{inMarkup, "img video audio", "*", inAssets, withCORS, "A-Frame gives them crossorigin; WebGL: origin restrictions"},

	// Links and scripts.
	{inMarkup, "link", "*", preloads("font", "fetch"), withCORS, "HTML: link type preload; CSS Fonts: font fetching requirements"},
	{inMarkup, "link", "*", preloads("track"), atHome, "HTML: start the track processing model"},
	{inMarkup, "link", "*", rel("compression-dictionary"), withCORS, "Compression Dictionary Transport: link type"},
	{inMarkup, "link", "*", ofLinkType, anywhere, "HTML: link types stylesheet, icon, preload, alternate, …; Microdata and RDFa"},
	{inMarkup, "link", "*", nil, linked, "HTML: link types; one that nobody knows is for a script, as stylesheet/less"},
	{inMarkup, "script", "src href xlink:href", classic, anywhere, "HTML: fetch a classic script"},
	{inMarkup, "script", "src href xlink:href", nil, linked, "HTML: script, data blocks; a script fetches it, or makes it a script"},
	{inMarkup, "a area", "href xlink:href", has("download"), atHome, "HTML: downloading resources"},
	{inMarkup, "a", "href", ofClass("pdfemb-viewer"), withCORS, "PDF Embedder makes a viewer of the link; Fetch: request mode"},
	{inMarkup, "a area", "href xlink:href", nil, use{names: linkName}, "HTML: following hyperlinks; the visitor goes there"},
	{inMarkup, "base", "href", nil, atHome, "HTML: base; it is never replaced"},

	// Pictures, sound and video.
	{inMarkup, "img input bgsound", "src srcset", nil, anywhere, "HTML: updating the image data"},
	{inMarkup, "source", "srcset", imgCredentials, atHome, "HTML: updating the image data, CORS settings attributes"},
	{inMarkup, "source", "srcset", imgCrossorigin, withCORS, "HTML: updating the image data, CORS settings attributes"},
	{inMarkup, "source", "srcset", nil, anywhere, "HTML: updating the image data"},
	{inMarkup, "video", "poster", nil, anywhere, "HTML: poster frame"},
	{inMarkup, "source track", "*", mediaCredentials, atHome, "HTML: CORS settings attributes; Fetch: CORS protocol and credentials"},
	{inMarkup, "source track", "*", mediaCrossorigin, withCORS, "HTML: resource fetch algorithm, start the track processing model"},
	{inMarkup, "track", "*", nil, atHome, "HTML: start the track processing model, same-origin fallback"},
	{inMarkup, "video audio source", "src", nil, use{names: filmName}, "HTML: resource fetch algorithm; a playlist is fetched by a script"},

	// What is embedded as a document, and what submits or reports to a URL.
	{inMarkup, "*", "cite longdesc profile", nil, anywhere, "HTML: following hyperlinks; the visitor goes there"},
	{inMarkup, "*", "action formaction ping attributionsrc", nil, atHome, "HTML: form submission, hyperlink auditing"},
	{inMarkup, "*", "manifest codebase classid archive", nil, atHome, "HTML: obsolete features"},
	{inMarkup, "fencedframe portal", "src", nil, atHome, "Fenced Frame, Portals"},
	{inMarkup, "iframe frame object embed", "*", nil, atHome, "HTML: iframe, embed, object; same origin, print; Permissions Policy: default allowlists"},

	// SVG.
	{inMarkup, "image", "href xlink:href src", nil, anywhere, "SVG 2: image"},
	{inMarkup, "feimage", "href xlink:href", nil, referred, "Filter Effects: feImage"},
	{inMarkup, "font-face-uri", "href xlink:href", nil, withCORS, "CSS Fonts: font fetching requirements"},
	{inMarkup, "use lineargradient radialgradient pattern filter textpath mpath tref glyphref altglyph cursor" +
		" set animate animatecolor animatemotion animatetransform discard", "href xlink:href", nil, atHome, "SVG 2: fetching the document of a URL reference"},

	// The rest.
	{inMarkup, "body table thead tbody tfoot tr td th", "background", nil, anywhere, "HTML: rendering, obsolete features"},
	{inMarkup, "img input", "lowsrc dynsrc", nil, anywhere, "HTML: obsolete features"},
	{inMarkup, "meta", "content", nil, anywhere, "Open Graph, Twitter cards, shared declarative refresh steps"},
	{inMarkup, "amp-img amp-anim amp-video", "src srcset poster", nil, byLoader, "AMP: amp-img, amp-anim, amp-video"},
	{inMarkup, "canvas", "data-src", nil, use{least: WithCORS, names: loaderName}, "HTML: canvas, origin-clean; a loader draws it there"},
	{inMarkup, "*", "data-src", nil, byLoader, "lazy loaders, galleries and sliders: an image or a background"},
	{inMarkup, "*", "src srcset href xlink:href poster background icon data imagesrcset", nil, linked, "custom elements: a script takes it up, as a URL; Fetch: request mode"},
	{inMarkup, "*", "*", nil, takenUp, "data attributes and frameworks: a script takes it up; Fetch: request mode"},

	{inCSS, "@import", "*", nil, anywhere, "CSS Cascade: @import; CSS Values: fetch a style resource"},
	{inCSS, "@font-face", "*", nil, withCORS, "CSS Fonts: font fetching requirements"},
	{inCSS, "*", "mask mask-image mask-border mask-border-source -webkit-mask -webkit-mask-image" +
		" -webkit-mask-box-image -webkit-mask-box-image-source", nil, use{least: WithCORS, names: elementName}, "CSS Masking: mask-image, mask-border-source"},
	{inCSS, "*", "shape-outside -webkit-shape-outside", nil, withCORS, "CSS Shapes: shapes from image"},
	{inCSS, "*", "fill stroke marker marker-start marker-mid marker-end", nil, atHome, "SVG 2: fetching the document of a URL reference"},
	{inCSS, "*", "filter backdrop-filter -webkit-filter -webkit-backdrop-filter", nil, atHome, "Filter Effects: filter"},
	{inCSS, "*", "clip-path -webkit-clip-path", nil, atHome, "CSS Masking: clip-path"},
	{inCSS, "*", "offset-path offset", nil, atHome, "Motion Path: offset-path"},
	{inCSS, "*", "behavior -moz-binding", nil, atHome, "of old browsers"},
	{inCSS, "*", "--*", nil, use{least: WithCORS, names: elementName}, "CSS Variables; nobody knows where it is used"},
	{inCSS, "*", "*", nil, anywhere, "CSS Images: image values; CSS Values: fetch a style resource"},

	{inScript, "import", "*", nil, atHome, "ECMAScript: imports; HTML: module map"},
	{inScript, "*", "*", nil, takenUp, "HTML: workers and service workers are same-origin; Fetch: request mode"},

	{inFeed, "loc", "text", nil, atHome, "Sitemaps: loc is below the sitemap's own place"},
	{inFeed, "image:loc video:loc", "text", nil, anywhere, "Sitemaps: extensions for images and video"},
	{inFeed, "xhtml:link", "href", nil, atHome, "Sitemaps: the page's other languages"},
	{inFeed, "*", "*", nil, anywhere, "RSS, Atom, oEmbed; a reader fetches it"},

	{inManifest, "*", "start_url scope url action new_note_url", nil, atHome, "Web App Manifest: start_url, scope, shortcuts, share_target"},
	{inManifest, "*", "src", nil, anywhere, "Image Resource: fetching image resources"},

	{inPlaylist, "*", "*", nil, withCORS, "RFC 8216, ISO/IEC 23009-1; players that are scripts fetch it"},

	{inHeader, "location content-location refresh", "*", nil, anywhere, "RFC 9110; the visitor goes there"},
}

// PlaceRule is a row of the table of places, for people.
type PlaceRule struct {
	// Context is the language: "HTML and SVG", "CSS", "scripts and JSON", "feeds
	// and sitemaps", "web app manifests", "playlists", "headers". A Link header
	// counts as a link element.
	Context string
	// Elements and Attributes are names between spaces, "*" for all others. In CSS
	// they are at-rules and properties; "text" is what an element holds.
	Elements, Attributes string
	// When is a condition in words, empty for always.
	When string
	// Place is how what stands there is fetched, and Name, if not empty, says in
	// words when the name of the file makes that a greater one.
	Place Place
	Name  string
	// Whole says that only a URL with a host counts as one, since a script may put a base
	// before a path.
	Whole bool
	// Spec names the standards that say so, with the titles of their sections.
	Spec string
}

// Places is the table of places. Of the rows for an element and an attribute the
// first one whose condition holds counts.
func Places() []PlaceRule {
	rules := make([]PlaceRule, 0, len(placeRules))
	for _, r := range placeRules {
		row := PlaceRule{contextNames[r.in], r.elements, r.attributes, "", r.use.least, r.use.names.text(), r.use.whole, r.spec}
		if r.when != nil {
			row.When = r.when.text
		}
		rules = append(rules, row)
	}
	return rules
}
