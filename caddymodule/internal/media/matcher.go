package media

// Matcher is a list of patterns of keys.
type Matcher struct{ patterns patterns }

// NewMatcher compiles patterns in the syntax that [CheckPattern] describes.
func NewMatcher(texts ...string) (*Matcher, error) {
	compiled, err := compilePatterns(texts)
	if err != nil {
		return nil, err
	}
	return &Matcher{compiled}, nil
}

// Match reports whether one of the patterns fits the key or a directory on the
// way to it.
func (m *Matcher) Match(key string) bool {
	var buf [maxKey]byte
	return m.patterns.match(appendLower(buf[:0], key))
}
