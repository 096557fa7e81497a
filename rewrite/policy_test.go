package rewrite

import (
	"strings"
	"testing"
)

// extendTest lets a policy load from the test's public host too. One with a hash has
// it for styles and scripts, but where it names one of them.
func extendTest(policy string, p Page) (is string, hashed Context) {
	if strings.Contains(policy, "'sha256-") {
		hashed = ContextStyle | ContextScript
		if strings.HasPrefix(policy, "style-src") {
			hashed = ContextStyle
		} else if strings.HasPrefix(policy, "script-src") {
			hashed = ContextScript
		}
	}
	if p.Host != sitePage.Host || !strings.Contains(policy, "'self'") || strings.Contains(policy, "cdn.test") {
		return policy, hashed
	}
	return strings.ReplaceAll(policy, "'self'", "'self' https://cdn.test/?<&\"'"), hashed
}

func withPolicy(c *Config) { c.Policy = extendTest }

const policyRows = `
<meta http-equiv="Content-Security-Policy" content="img-src 'self'; x"><img src="{U}a.jpg"> ==> <meta http-equiv="Content-Security-Policy" content="img-src 'self' https://cdn.test/?&lt;&amp;&quot;'; x"><img src="{C}a.jpg">
<META HTTP-EQUIV=content-security-policy CONTENT = "img-src 'self'"/> ==> <META HTTP-EQUIV=content-security-policy CONTENT = "img-src 'self' https://cdn.test/?&lt;&amp;&quot;'"/>
<meta http-equiv='CONTENT-SECURITY-POLICY' content='img-src &#39;self&apos;'> ==> <meta http-equiv='CONTENT-SECURITY-POLICY' content='img-src &#39;self&#39; https://cdn.test/?&lt;&amp;"&#39;'>
<noscript><meta http-equiv="Content-Security-Policy" content="'self'" content="'self'"></noscript> ==> <noscript><meta http-equiv="Content-Security-Policy" content="'self' https://cdn.test/?&lt;&amp;&quot;'" content="'self'"></noscript>
// what the policy of a page is not
<meta http-equiv="Content-Security-Policy" content="img-src 'none'">
<meta http-equiv="Content-Security-Policy-Report-Only" content="img-src 'self'">
<meta http-equiv="X-Content-Security-Policy" content="img-src 'self'">
<meta name="Content-Security-Policy" content="img-src 'self'">
<meta http-equiv="x" http-equiv="Content-Security-Policy" content="img-src 'self'">
<meta data-http-equiv="Content-Security-Policy" content="img-src 'self'">
<meta http-equiv="Content-Security-Policy" data-content="img-src 'self'">
<meta http-equiv="Content-Security-Policy">
<p http-equiv="Content-Security-Policy" content="img-src 'self'">
<!-- <meta http-equiv="Content-Security-Policy" content="img-src 'self'"> -->
<iframe srcdoc="<meta http-equiv='Content-Security-Policy' content='self'>">
<p>Content-Security-Policy: img-src 'self'</p>
// left alone: the content may be written before the policy is seen
<meta content="img-src 'self'" http-equiv="Content-Security-Policy">
<meta http-equiv=Content-Security-Policy content=x'self'>
<meta http-equiv="Content-Security-Policy" content='self'
`

func TestPolicy(t *testing.T) {
	const both = `<meta http-equiv="Content-Security-Policy" content="img-src 'self'; x"><img src="{U}a.jpg">`
	r := newTest(t, withPolicy)
	runRows(t, r, sitePage, rows(policyRows))

	long := `<meta http-equiv="Content-Security-Policy" content="'self' ` + strings.Repeat("x", DefaultMaxToken) + `">`
	for _, size := range []int{len(long), 1000} {
		if got := rewriteIn(t, r, sitePage, long, func() int { return size }, true); got != long {
			t.Errorf("a policy over the limit changes, in pieces of %d bytes", size)
		}
	}
	in := expand.Replace(both)
	for name, edit := range map[string]func(*Config){
		"no Policy": func(*Config) {},
		"skipped":   func(c *Config) { withPolicy(c); c.Skip = ContextMeta },
	} {
		if got := rewriteAll(t, newTest(t, edit), sitePage, in); strings.Count(got, "cdn.test") != 1 {
			t.Errorf("%s: %s", name, got)
		}
	}
	p := sitePage
	p.ContentType = "application/xhtml+xml"
	if got := rewriteAll(t, r, p, in); strings.Count(got, "cdn.test") != 2 {
		t.Errorf("XHTML: %s", got)
	}
}
