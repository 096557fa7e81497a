package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// CacheControlRule is the Cache-Control header of some public files.
type CacheControlRule struct {
	// The files: a pattern as in .gitignore, for example `*.css`. Required.
	Pattern string `json:"pattern,omitempty"`

	// Their Cache-Control header. Required.
	Value string `json:"value,omitempty"`
}

// cachePolicy says which Cache-Control header a file has.
type cachePolicy struct {
	public, private string
	rules           []cacheRule
}

type cacheRule struct {
	files *media.Matcher
	value string
}

// cachePolicy compiles the settings.
func (s *engineSettings) cachePolicy() (*cachePolicy, error) {
	p := &cachePolicy{public: s.CacheControl, private: s.CacheControlPrivate}
	for _, rule := range s.CacheControlRules {
		files, err := media.NewMatcher(rule.Pattern)
		if err != nil {
			return nil, fmt.Errorf("cache_control: %w", err)
		}
		p.rules = append(p.rules, cacheRule{files, rule.Value})
	}
	return p, nil
}

// value returns the header of a file; "": none. Of the rules, which are for
// public files only, the first that fits counts.
func (p *cachePolicy) value(key string, class media.Class) string {
	if class != media.Public {
		return p.private
	}
	for _, rule := range p.rules {
		if rule.files.Match(key) {
			return rule.value
		}
	}
	return p.public
}

// unmarshalCacheControl parses
//
//	cache_control <value>
//	cache_control public|private|<pattern> <value>
func (h *Handler) unmarshalCacheControl(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 1 {
		args = []string{media.Public.String(), args[0]}
	}
	if len(args) != 2 || args[0] == "" || args[1] == "" || strings.HasSuffix(args[0], ",") {
		return d.Errf("cache_control takes a value, in quotes if it has spaces, and before it perhaps public, private or a pattern, as `cache_control *.css \"public, max-age=60\"`")
	}
	var value *string
	switch args[0] {
	case media.Public.String():
		value = &h.CacheControl
	case media.Private.String():
		value = &h.CacheControlPrivate
	default:
		h.CacheControlRules = append(h.CacheControlRules, CacheControlRule{Pattern: args[0], Value: args[1]})
		return nil
	}
	if *value != "" {
		return d.Errf("cache_control is given twice for %s files", args[0])
	}
	*value = args[1]
	return nil
}
