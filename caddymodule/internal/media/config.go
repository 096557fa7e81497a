package media

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Root is a directory that the app writes media to and the URL it has.
type Root struct {
	// Name is the first part of the keys of a site with several roots, as
	// "images" in "images/a.jpg". A site's only root needs none and its keys
	// have none. Of several roots one may have no name: its keys are bare, as if
	// it were alone.
	Name string
	// Dir is the directory's absolute path.
	Dir string
	// URL is the URL path of Dir, decoded ("/my files/", not "/my%20files/"). It
	// begins with a slash; a slash at the end is added if missing.
	URL string
}

// Alias is a further URL of a root or of a directory in it. A WordPress network
// in subdirectories has one for each site.
type Alias struct {
	// URL is a decoded URL path, as Root.URL.
	URL string
	// Root is the root's name; of a site with one root it may be empty.
	Root string
	// Dir is the slash path below the root that the URL stands for, without
	// slashes at its ends. Empty: the root itself.
	Dir string
}

// Config says what a site's media are.
type Config struct {
	// Preset is the app: one of Presets(). Default: "generic".
	Preset string
	// DocRoot is the absolute path of the directory that the app's BasePath is
	// bound to, where its index.php lies. Every preset but generic needs it.
	DocRoot string
	// BasePath is the decoded URL path of an app in a subdirectory, as "/blog".
	// Default: "", the app has the whole host.
	BasePath string
	// Subsites are the URL paths of further sites of the same app, below
	// BasePath, as "/shop": the sites of a WordPress network in subdirectories.
	// Each root has a URL below each of them.
	Subsites []string

	// Roots are the roots of a generic site, or further ones of a preset. One
	// with the name of a preset's root takes that one's place, and its keys.
	Roots []Root
	// Aliases are further URLs of roots.
	Aliases []Alias

	// Public, Private and Ignore are patterns of keys (see CheckPattern for
	// the syntax) that win over the preset's lists; Class states the order.
	// None of them lets an executable file leave the disk.
	Public, Private, Ignore []string

	// NoRewrite are patterns of URL paths below BasePath whose answers are not
	// rewritten, besides the preset's.
	NoRewrite []string
	// MayWrite are patterns of URL paths below BasePath of GET requests that
	// may write or delete media, besides the preset's.
	MayWrite []string
}

// New checks the configuration and compiles it. Its errors say what to do.
func New(c Config) (*Site, error) {
	p, err := presetByName(c.Preset)
	if err != nil {
		return nil, err
	}
	s := &Site{uploads: p.uploads, route: p.route}
	if s.uploads.none() {
		s.uploads = anyUploadNames()
	}
	if s.base, err = basePath(c.BasePath); err != nil {
		return nil, err
	}
	if err := s.addRoots(p, c); err != nil {
		return nil, err
	}
	if err := s.addURLs(c); err != nil {
		return nil, err
	}
	for _, list := range []struct {
		option   string
		patterns []string
		compiled *patterns
	}{
		{"public", c.Public, &s.public},
		{"private", c.Private, &s.private},
		{"ignore", c.Ignore, &s.ignore},
	} {
		if *list.compiled, err = compilePatterns(list.patterns); err != nil {
			return nil, fmt.Errorf("%s: %w", list.option, err)
		}
	}
	if err := s.addRequestRules(p, c); err != nil {
		return nil, err
	}
	return s, nil
}

// addRoots sets the roots: the preset's, in its order, then the config's.
func (s *Site) addRoots(p *preset, c Config) error {
	given := make(map[string]Root, len(c.Roots))
	for _, r := range c.Roots {
		if _, twice := given[r.Name]; twice {
			return fmt.Errorf("two roots have the name %q: give each root of a site its own name; one may have none", r.Name)
		}
		given[r.Name] = r
	}
	for _, pr := range p.roots {
		root, replaced := given[pr.name]
		if pr.spare && !replaced && givesWay(pr, c) {
			continue
		}
		if !replaced {
			if !filepath.IsAbs(c.DocRoot) {
				return fmt.Errorf("the preset %s needs the absolute path of the app's directory, as /var/www/html: got %q", p.name, c.DocRoot)
			}
			root = Root{Dir: filepath.Join(c.DocRoot, filepath.FromSlash(pr.dir)), URL: s.base + "/" + pr.dir + "/"}
		}
		delete(given, pr.name)
		root.Name = pr.name
		if err := s.addRoot(root, pr.lists); err != nil {
			return err
		}
		if pr.bare {
			s.roots[len(s.roots)-1].Name = ""
		}
		s.roots[len(s.roots)-1].beforehand = pr.beforehand
	}
	for _, r := range c.Roots {
		if _, further := given[r.Name]; !further {
			continue
		}
		if err := s.addRoot(r, commonLists()); err != nil {
			return err
		}
	}
	if len(s.roots) == 0 {
		return errors.New("no media root: name the app by a preset, or give at least one root (a directory and its URL)")
	}
	return s.checkRoots(c.DocRoot)
}

// givesWay reports whether a spare root has no place, or one that is given to
// another.
func givesWay(pr presetRoot, c Config) bool {
	if !filepath.IsAbs(c.DocRoot) {
		return true
	}
	dir := filepath.Join(c.DocRoot, filepath.FromSlash(pr.dir))
	for _, r := range c.Roots {
		if within(filepath.Clean(r.Dir), dir) || within(dir, filepath.Clean(r.Dir)) {
			return true
		}
	}
	return false
}

func (s *Site) addRoot(root Root, l lists) error {
	rules, err := l.compile()
	if err != nil {
		return err
	}
	s.roots = append(s.roots, siteRoot{Root: root, called: root.Name, rules: rules})
	return nil
}

func (s *Site) checkRoots(docRoot string) error {
	if err := s.findBare(); err != nil {
		return err
	}
	for i := range s.roots {
		r := &s.roots[i]
		if len(s.roots) > 1 {
			if err := s.checkRootName(r); err != nil {
				return err
			}
		}
		if !filepath.IsAbs(r.Dir) {
			return fmt.Errorf("root %s: %q is not an absolute path: write it from / on", r.label(), r.Dir)
		}
		r.Dir = filepath.Clean(r.Dir)
		if docRoot != "" && within(r.Dir, filepath.Clean(docRoot)) {
			return fmt.Errorf("root %s: %s holds the app itself, not only media: name the directory that the app writes uploads to", r.label(), r.Dir)
		}
		for j := range s.roots[:i] {
			other := &s.roots[j]
			if within(r.Dir, other.Dir) || within(other.Dir, r.Dir) {
				return fmt.Errorf("the roots %s (%s) and %s (%s) lie one in the other: keep the outer one, or make them separate", other.label(), other.Dir, r.label(), r.Dir)
			}
		}
		if err := checkURL(&r.URL); err != nil {
			return fmt.Errorf("root %s: %w", r.label(), err)
		}
	}
	if len(s.roots) == 1 {
		s.roots[0].Name = ""
	}
	return nil
}

// within reports whether inner is the clean path outer or lies below it.
func within(outer, inner string) bool {
	rel, err := filepath.Rel(outer, inner)
	return err == nil && filepath.IsLocal(rel)
}

// findBare finds the root without a name among several.
func (s *Site) findBare() error {
	s.bare = -1
	if len(s.roots) == 1 {
		return nil
	}
	for i := range s.roots {
		switch {
		case s.roots[i].Name != "":
		case s.bare >= 0:
			return fmt.Errorf("the roots %s and %s have no name: of several, one may have none; the name is the first part of a root's keys",
				s.roots[s.bare].label(), s.roots[i].label())
		default:
			s.bare = i
		}
	}
	return nil
}

func (s *Site) checkRootName(r *siteRoot) error {
	name := r.Name
	if name == "" {
		return nil
	}
	if err := CheckKey(name); err != nil {
		return fmt.Errorf("the root's name %q cannot begin a key: %w", name, err)
	}
	if strings.Contains(name, "/") || Executable(name) {
		return fmt.Errorf("the root's name %q cannot begin a key: use a plain word, as images", name)
	}
	if s.bare < 0 {
		return nil
	}
	// A directory of this name in the root without one has no keys, so nothing
	// may have to be known of its files.
	bare := &s.roots[s.bare]
	if class, _ := bare.rules.class(appendLower(nil, name+"/a")); class != Public || bare.rules.private.match(appendLower(nil, name)) {
		return fmt.Errorf("the root's name %q is that of a directory of the root %s: choose another", name, bare.label())
	}
	return nil
}

// addURLs sets the URL prefixes: the roots' in their order, then the aliases
// and what they are for each subsite.
func (s *Site) addURLs(c Config) error {
	for i := range s.roots {
		if err := s.addPrefix(s.roots[i].URL, i, ""); err != nil {
			return err
		}
	}
	for _, a := range c.Aliases {
		root, ok := s.rootByName(a.Root)
		if !ok {
			return fmt.Errorf("alias %s: there is no root %q: the roots are %s", a.URL, a.Root, s.rootNames())
		}
		if err := checkURL(&a.URL); err != nil {
			return fmt.Errorf("alias: %w", err)
		}
		if a.Dir != "" {
			if err := CheckKey(a.Dir); err != nil {
				return fmt.Errorf("alias %s: the directory %q is no slash path below a root: %w", a.URL, a.Dir, err)
			}
		}
		if err := s.addPrefix(a.URL, root, a.Dir); err != nil {
			return err
		}
	}
	for _, path := range c.Subsites {
		sub, err := basePath(path)
		if err != nil || sub == "" {
			return fmt.Errorf("subsite %q: write its URL path below the app's, as /shop", path)
		}
		s.subsites = append(s.subsites, sub)
		for i := range s.roots {
			below, ok := strings.CutPrefix(s.roots[i].URL, s.base+"/")
			if !ok {
				continue
			}
			if err := s.addPrefix(s.base+sub+"/"+below, i, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Site) addPrefix(url string, root int, dir string) error {
	for i := range s.prefixes {
		if other := s.prefixes[i].url; strings.HasPrefix(url, other) || strings.HasPrefix(other, url) {
			if url == other {
				return fmt.Errorf("the URL %s is given twice: each root and alias needs its own", url)
			}
			return fmt.Errorf("the URLs %s and %s lie one in the other: a path would have two keys", other, url)
		}
	}
	key := s.Key(root, dir)
	if key != "" {
		key += "/"
	}
	s.prefixes = append(s.prefixes, prefix{url: url, key: key, bare: root == s.bare && dir == ""})
	return nil
}

// checkURL checks a decoded URL path and makes it end in a slash.
func checkURL(url *string) error {
	u := *url
	if !strings.HasPrefix(u, "/") {
		return fmt.Errorf("the URL %q must be a path that begins with a slash, as /images/ (without scheme and host)", u)
	}
	if !strings.HasSuffix(u, "/") {
		u += "/"
	}
	*url = u
	if u == "/" {
		return nil
	}
	if err := CheckKey(u[1 : len(u)-1]); err != nil {
		return fmt.Errorf("the URL %q cannot be a media URL: in it, %w", u, err)
	}
	if i := strings.IndexByte(u, '%'); i >= 0 && i+2 < len(u) && isHex(u[i+1]) && isHex(u[i+2]) {
		return fmt.Errorf("the URL %q is percent-encoded: write it decoded, as a directory's name", u)
	}
	return nil
}

// basePath checks the URL path of an app and returns it without a slash at
// its end: "" or "/blog".
func basePath(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if err := checkURL(&path); err != nil {
		return "", fmt.Errorf("base path: %w", err)
	}
	return strings.TrimSuffix(path, "/"), nil
}
