package rewrite

// How what a declaration of CSS names is fetched.
var (
	// importUse is for the sheet of @import: no-cors (CSS Cascade 5, 2.1; CSS
	// Syntax 3, "fetch a style resource").
	importUse = use{}
	// fontUse is for the src of @font-face: always CORS (CSS Fonts 4, 4.8.2).
	fontUse = use{least: WithCORS}
	// unknownUse is for custom properties, since nobody knows where they are used,
	// and for properties whose name is escaped.
	unknownUse = use{least: WithCORS, names: elementName}
)

var (
	// corsProperties take images that are fetched with CORS (CSS Masking 1, 6.2
	// and 7.1; CSS Shapes 1, 3.2), or name a mask of another document.
	corsProperties = newNames("mask mask-image mask-border mask-border-source" +
		" -webkit-mask -webkit-mask-image -webkit-mask-box-image -webkit-mask-box-image-source" +
		" shape-outside -webkit-shape-outside")
	// homeProperties name elements of another document, which is fetched from the
	// same origin only (SVG 2, 13.4.1 and linked.html#processingURL; Filter Effects 1, 4.1 and 9; CSS
	// Masking 1, 5.1; Motion 1, 2.1), or bindings.
	homeProperties = newNames("fill stroke marker marker-start marker-mid marker-end filter backdrop-filter" +
		" -webkit-filter -webkit-backdrop-filter clip-path -webkit-clip-path offset-path behavior -moz-binding")
)

// propertyUse is how what a declaration of this property names is fetched.
func propertyUse(name []byte) use {
	switch {
	case corsProperties.has(name):
		return use{least: WithCORS, names: elementName}
	case homeProperties.has(name):
		return use{least: AtHome}
	case len(name) > 1 && name[0] == '-' && name[1] == '-':
		return unknownUse
	}
	return use{}
}
