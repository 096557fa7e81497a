package csp

import (
	"net/http"
	"testing"
)

// TestHashed: which inline text a policy names by its hash.
func TestHashed(t *testing.T) {
	for _, test := range []struct {
		policy          string
		styles, scripts bool
	}{
		{"", false, false},
		{"default-src 'self'; style-src 'unsafe-inline'; script-src 'nonce-sha256-AA' 'unsafe-hashes' 'report-sha256' sha256-AA.test", false, false},
		{"style-src 'sha256-AA=='", true, false},
		{"STYLE-SRC\t'self' 'SHA384-aa-_+/=' ; x", true, false},
		{"script-src 'self' 'sha512-AA=='", false, true},
		{"style-src-elem 'sha256-AA=='", true, false},
		{"style-src-attr 'unsafe-hashes' 'sha256-AA=='", true, false},
		{"script-src-elem 'sha256-AA=='; script-src-attr 'none'", false, true},
		{"script-src-attr 'sha256-AA=='; script-src 'self'", false, true},
		// What stands for others counts where there is none of them.
		{"default-src 'sha256-AA=='", true, true},
		{"default-src 'sha256-AA=='; script-src 'self'", true, false},
		{"default-src 'sha256-AA=='; style-src-elem 'self'; script-src 'self'", true, false},
		{"style-src 'sha256-AA=='; style-src-elem 'self'; style-src-attr 'self'", false, false},
		{"style-src 'self'; style-src 'sha256-AA=='", false, false}, // a second one does not count
		{"img-src 'sha256-AA=='; object-src 'sha256-AA=='", false, false},
	} {
		if styles, scripts := Hashed(test.policy); styles != test.styles || scripts != test.scripts {
			t.Errorf("%s: styles %v, scripts %v", test.policy, styles, scripts)
		}
	}
}

// TestHashedHeader: one of all policies is enough, also one that only reports.
func TestHashedHeader(t *testing.T) {
	const style, script = "style-src 'sha256-AA=='", "script-src 'sha256-AA=='"
	for name, test := range map[string]struct {
		hdr             http.Header
		styles, scripts bool
	}{
		"none":               {http.Header{"Content-Security-Policy": {"img-src *"}, "X-Other": {style}}, false, false},
		"a second field":     {http.Header{"Content-Security-Policy": {"img-src *", style}}, true, false},
		"policies in one":    {http.Header{"Content-Security-Policy": {"style-src *, " + script + ",img-src *"}}, false, true},
		"one that reports":   {http.Header{"Content-Security-Policy-Report-Only": {script}}, false, true},
		"one and one":        {http.Header{"Content-Security-Policy": {style}, "Content-Security-Policy-Report-Only": {script}}, true, true},
		"directives of each": {http.Header{"Content-Security-Policy": {"style-src *; default-src *, " + style}}, true, false},
	} {
		if styles, scripts := HashedHeader(test.hdr); styles != test.styles || scripts != test.scripts {
			t.Errorf("%s: styles %v, scripts %v", name, styles, scripts)
		}
	}
}

// FuzzHashed: a hash in front of any policy, and in one behind it, counts.
func FuzzHashed(f *testing.F) {
	f.Add("default-src 'self'; style-src 'sha256-AA=='")
	f.Add("; ,;script-src-attr")
	f.Fuzz(func(t *testing.T, policy string) {
		if styles, _ := Hashed("style-src-attr 'sha256-AA=='; " + policy); !styles {
			t.Errorf("%q hides a hash", policy)
		}
		if _, scripts := HashedHeader(http.Header{"Content-Security-Policy": {policy + ",script-src-elem 'sha256-AA=='"}}); !scripts {
			t.Errorf("%q hides a policy", policy)
		}
	})
}
