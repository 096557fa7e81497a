package rewrite

import "strings"

// lazyLists are the attributes by which lazy loaders, galleries and sliders in wide use
// are told of a picture, by what they make of it: the attribute src, srcset or poster, or
// a plain background. A name under which any software does more (fetches the picture,
// draws it, masks something with it) does not belong here.
var lazyLists = [...]struct{ becomes, names string }{
	{"src", "data-src data-lazy-src data-lazy data-lazyload data-original data-orig-src data-echo data-iesrc" +
		" data-wpfc-original-src data-flickity-lazyload data-flickity-lazyload-src data-splide-lazy" +
		" data-nectar-img-src data-at2x data-envira-src data-src-fg data-cfsrc data-ezsrc data-pagespeed-lazy-src" +
		" data-src-retina data-lazy-original ng-src"},
	{"srcset", "data-srcset data-lazy-srcset data-orig-srcset data-wpfc-original-srcset data-flickity-lazyload-srcset" +
		" data-splide-lazy-srcset data-nectar-img-srcset data-bgset data-pswp-srcset data-envira-srcset data-srcset-fg" +
		" data-ezsrcset ng-srcset"},
	{"poster", "data-poster"},
	{"background", "data-bg data-bg-hidpi data-bg-multi data-bg-multi-hidpi data-bg-image data-bg-img data-bg-url" +
		" data-background data-background-image data-lazy-bg data-lazy-background data-flickity-bg-lazyload" +
		" data-vc-parallax-image data-parallax-image data-image-src"},
	// What a gallery shows besides, or larger.
	{"", "data-thumb data-exthumbimage data-full data-full-url data-large_image data-large-file data-medium-file" +
		" data-orig-file data-zoom-image data-mfp-src data-pswp-src"},
}

// lazyAttributes are those of lazyLists, and lazyBecomes by their numbers what they become.
var lazyAttributes, lazyBecomes = func() (*names, []string) {
	n, becomes := newNames(""), []string{""}
	for _, l := range lazyLists {
		for name := range strings.FieldsSeq(l.names) {
			n.add(name)
			becomes = append(becomes, l.becomes)
		}
	}
	return n, becomes
}()
