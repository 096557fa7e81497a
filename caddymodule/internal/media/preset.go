package media

import (
	"fmt"
	"slices"
	"strings"
)

// preset is what is known of one app. It is data: a new app needs a value of
// this type in the list of presets, and no code.
type preset struct {
	name  string
	roots []presetRoot
	// noRewrite are requests whose answers hold URLs that go back into the
	// app's database: admin screens, editors and their APIs.
	noRewrite []requestRule
	// route is where else requests name a path.
	route queryRoute
	// mayWrite are GET requests that write or delete media.
	mayWrite []requestRule
	// uploads says where requests name the files they bring. Nothing: in any
	// place that is known of some app.
	uploads uploadNames
}

// presetRoot is a media root of an app.
type presetRoot struct {
	name string // the first part of keys, unless bare
	bare bool   // its keys have no such part, whatever other roots there are
	dir  string // slash path below the app's directory, and below its URL
	// spare: it is a plugin's, and gives way to a root that is given in its place.
	spare bool
	lists lists
	// beforehand: the app makes a file before it refers to it, never because it
	// is asked for by its URL.
	beforehand bool
}

// lists are the patterns of one root, matched against the path below it. They
// count in the order ignore and rotated, public, private, cache.
type lists struct {
	// subsite is the way to a further site's files within the root, as
	// "sites/*": the patterns fit below it as they do at the root.
	subsite string
	ignore  []string
	// rotated are ignored as well, with what rotation and packing append to their
	// names (see withoutRotation).
	rotated []string
	// public are exceptions from private and cache.
	public  []string
	private []string
	// cache names directories of things that the app makes again. Of them only
	// what a page can refer to (see isAsset) is kept: every server must have
	// that, since a page may come from another one than its pictures.
	cache []string
}

// presets are all apps known, in the order in which they are told to people.
func presets() []preset {
	return []preset{
		generic(), wordpress(), bedrock(), wordpressMSFiles(),
		joomla(), mediawiki(), drupal(), prestashop(), opencart(), phpbb(),
	}
}

// Presets returns the names of all presets.
func Presets() []string {
	all := presets()
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].name
	}
	return names
}

// presetByName returns a preset; the empty name is generic.
func presetByName(name string) (*preset, error) {
	if name == "" {
		name = "generic"
	}
	all := presets()
	i := slices.IndexFunc(all, func(p preset) bool { return p.name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown app %q: the known ones are %s; use generic and name the media roots for any other", name, strings.Join(Presets(), ", "))
	}
	return &all[i], nil
}

// generic knows no app: its roots are given by hand.
func generic() preset { return preset{name: "generic"} }

// compile turns the lists into rules. An error means that the preset is wrong.
func (l lists) compile() (*rules, error) {
	r := &rules{}
	if l.subsite != "" {
		r.subsite = strings.Split(l.subsite, "/")
	}
	for _, list := range []struct {
		texts    []string
		compiled *patterns
	}{
		{l.public, &r.public},
		{l.ignore, &r.ignore},
		{l.rotated, &r.rotated},
		{l.private, &r.private},
		{l.cache, &r.cache},
	} {
		var err error
		if *list.compiled, err = compilePatterns(list.texts); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// rules are a preset's lists for one root, compiled.
type rules struct {
	// subsite is the way to a further site's files within the root, as
	// "sites/*": the lists fit there as they do at the root.
	subsite []string
	ignore  patterns
	rotated patterns
	cache   patterns
	private patterns
	public  patterns
}

// class returns what the lists say of a lower-case path below the root, and why
// if that is Ignored.
func (r *rules) class(rel []byte) (Class, Reason) {
	rel = r.withoutSubsite(rel)
	switch {
	case r.ignored(rel):
		return Ignored, ByPreset
	case r.public.match(rel):
		return Public, 0
	case r.private.match(rel):
		return Private, 0
	case r.cache.match(rel) && !isAsset(rel):
		return Ignored, ByCache
	default:
		return Public, 0
	}
}

// ignored reports whether the lists of what stays on disk hold a path without its
// subsite.
func (r *rules) ignored(rel []byte) bool {
	return r.ignore.match(rel) || r.rotated.match(withoutRotation(rel))
}

// withoutSubsite cuts the way to a subsite from the front of rel.
func (r *rules) withoutSubsite(rel []byte) []byte {
	rest := rel
	for _, want := range r.subsite {
		segment, after := cutSegment(rest)
		if after == nil || want != "*" && want != string(segment) {
			return rel
		}
		rest = after
	}
	return rest
}
