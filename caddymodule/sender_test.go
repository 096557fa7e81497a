package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// Header sets as they are sent; SITE stands for the site's origin.
const chrome = `
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36
Accept-Language: en-US,en;q=0.9
Sec-Ch-Ua-Mobile: ?0
Sec-Ch-Ua-Platform: "Linux"`

// senders are requests with a body that holds public URLs, and whether they are
// turned back.
var senders = []struct {
	name, path, contentType, header string
	turned                          bool
}{
	// Webhooks.
	{"Stripe", "/?wc-api=wc_stripe", "application/json; charset=utf-8", `
User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)
Cache-Control: no-cache
Stripe-Signature: t=1764470000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd`, false},
	{"GitHub", "/hook", "application/json", `
User-Agent: GitHub-Hookshot/044aadd
X-Github-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958
X-Github-Event: push
X-Hub-Signature: sha1=7d38cdd689735b008b3c702edd92eea23791c5f6
X-Hub-Signature-256: sha256=d57c68ca6f92289e6987922ff26938930f6e66a2d161ef06abdf1859230aa23c`, false},
	{"GitHub, a form", "/hook", formType, `
User-Agent: GitHub-Hookshot/044aadd
X-Hub-Signature-256: sha256=d57c68ca6f92289e6987922ff26938930f6e66a2d161ef06abdf1859230aa23c`, false},
	{"PayPal", "/?wc-api=paypal", "application/json", `
User-Agent: PayPal/AUHR-214.0-58843071
Paypal-Transmission-Id: 69cd13f0-d67a-11e5-baa3-778b53f4ae55
Paypal-Transmission-Time: 2026-11-30T20:01:35Z
Paypal-Transmission-Sig: lmI95Jx3Y9nhR5SJWlHVIWpg4AgFk7n9bCHSRxbrd8A9zrhdu2rMyFrmz
Paypal-Cert-Url: https://api.paypal.com/v1/notifications/certs/CERT-360caa42
Paypal-Auth-Algo: SHA256withRSA`, false},
	{"PayPal IPN, sent back to be verified", "/?wc-api=WC_Gateway_Paypal", formType, `
User-Agent: PayPal IPN ( https://www.paypal.com/ipn )`, false},
	{"SNS", "/sns", "application/json", `
User-Agent: Amazon Simple Notification Service Agent
X-Amz-Sns-Message-Type: Notification
X-Amz-Sns-Message-Id: 22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324
X-Amz-Sns-Topic-Arn: arn:aws:sns:us-west-2:123456789012:MyTopic`, false},
	{"Shopify", "/hook", "application/json", `
User-Agent: Shopify-Captain-Hook
X-Shopify-Topic: products/update
X-Shopify-Hmac-Sha256: XWmrwMey6OsLMeiZKwP4FppHH3cmAiiJJAweH5Jo4bM=
X-Shopify-Shop-Domain: some-shop.myshopify.com`, false},
	{"Mollie", "/?wc-api=mollie_wc_gateway", formType, `
User-Agent: Mollie HTTP client/1.0
Accept: */*`, false},
	{"WooCommerce", "/hook", "application/json", `
User-Agent: WooCommerce/10.3 Hookshot (WordPress/6.8)
X-Wc-Webhook-Source: https://shop.test/
X-Wc-Webhook-Topic: product.updated
X-Wc-Webhook-Signature: 7Yr1mPlJLpsIdAQGJgP3fkVN0tZ4QL5JIUk7wXBfyDo=
X-Wc-Webhook-Delivery-Id: 5c0a`, false},
	{"GitLab", "/hook", "application/json", "X-Gitlab-Token: secret\nX-Gitlab-Event: Push Hook", false},
	{"an API that signs", "/hook", "application/json", "X-Api-Sign: 00", false},
	{"an HMAC scheme", "/hook", "application/json", "Authorization: HMAC key:00", false},
	{"AWS", "/hook", "application/json", "Authorization: AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=00", false},
	{"OAuth 1.0a, which signs forms", "/api.php", formType, `Authorization: OAuth oauth_consumer_key="a", oauth_signature="00"`, false},
	{"a bank's page that posts a form back", "/?wc-api=redsys", formType, chrome + `
Origin: https://sis.redsys.es
Referer: https://sis.redsys.es/
Sec-Fetch-Site: cross-site
Sec-Fetch-Mode: navigate
Cookie: wp_woocommerce_session_0=1`, false},
	{"another page, of which only the Referer is told", "/", formType, "Origin: null\nReferer: https://other.test/\nCookie: a=b", false},
	{"another page that tells nothing", "/", formType, "Origin: null\nSec-Fetch-Site: cross-site\nCookie: a=b", false},

	// Digests, also of what would be turned otherwise.
	{"checksum", "/", "application/json", "Cookie: a=b\nX-Checksum: 00", false},
	{"payload hash", "/", "application/json", "Cookie: a=b\nX-Payload-Hash: 00", false},
	{"a script of a page that signs", "/", "application/json", "Origin: SITE\nSec-Fetch-Site: same-origin\nX-Sig: 00", false},
	{"RFC 1864", "/", "application/json", "Authorization: Bearer a\nContent-Md5: 00", false},
	{"RFC 9530", "/", "application/json", "Authorization: Bearer a\nContent-Digest: sha-256=:AA==:", false},
	{"RFC 9421", "/", "application/json", "Authorization: Bearer a\nSignature-Input: sig=()", false},
	{"upload checksum", "/", "application/json", "Authorization: Basic YTpi\nOc-Checksum: SHA1:00", false},

	// Editors.
	{"block editor", "/wp-json/wp/v2/posts/7?_locale=user", "application/json", chrome + `
Accept: application/json, */*;q=0.1
Origin: SITE
Referer: SITE/wp-admin/post.php?post=7&action=edit
Sec-Fetch-Dest: empty
Sec-Fetch-Mode: cors
Sec-Fetch-Site: same-origin
X-Http-Method-Override: PUT
X-Wp-Nonce: 0123456789
Cookie: wordpress_logged_in_0=editor%7C1764; wp-settings-1=editor%3Dtinymce`, true},
	{"classic editor", "/wp-admin/post.php", formType, chrome + `
Origin: SITE
Referer: SITE/wp-admin/post.php?post=7&action=edit&classic
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: same-origin
Sec-Fetch-User: ?1
Upgrade-Insecure-Requests: 1
Cookie: wordpress_0=editor%7C1764`, true},
	{"a site without Referer", "/wp-admin/post.php", formType, "Origin: null\nSec-Fetch-Site: same-origin\nCookie: a=b", true},
	{"a comment", "/wp-comments-post.php", formType, chrome + "\nOrigin: SITE\nReferer: SITE/hello/", true},
	{"a browser without Origin", "/", formType, "User-Agent: Mozilla/5.0\nReferer: SITE/contact/", true},
	{"behind a CDN that tells of the handshake", "/", formType, "Origin: SITE\nCf-Ray: 0\nCf-Ja3-Hash: 00\nX-Ssl-Client-Sha1: 00", true},
	{"an API client, application password", "/wp-json/wp/v2/posts", "application/json", "User-Agent: python-requests/2.32\nAuthorization: Basic ZWRpdG9yOmFiY2Q=", true},
	{"an editor on another origin", "/graphql", "application/json", chrome + "\nOrigin: https://editor.test\nSec-Fetch-Site: cross-site\nAuthorization: Bearer a.b.c", true},
	{"single sign-on of an intranet", "/", formType, "Authorization: Negotiate YII=\nOrigin: SITE", true},
	{"Joomla web services", "/api/index.php/v1/content/articles", "application/json", "User-Agent: curl/8.14\nAccept: application/vnd.api+json\nX-Joomla-Token: c2hhMjU2OjE6MDA=", true},
	{"Joomla web services, Bearer", "/api/index.php/v1/content/articles/1", "application/json", "Authorization: Bearer c2hhMjU2OjE6MDA=", true},
	{"MediaWiki API, a bot", "/w/api.php", formType, "User-Agent: Pywikibot/10.0 (User:Bot) requests/2.32\nCookie: wikiSession=0; wikiUserID=1; wikiUserName=Bot", true},
	{"MediaWiki API, OAuth 2", "/w/api.php", formType, "User-Agent: Tool/1.0\nAuthorization: Bearer eyJ0", true},
	{"XML-RPC", "/xmlrpc.php", "text/xml", "User-Agent: wp-android/26.4\nAccept: */*", true},
	{"XML-RPC, MarsEdit", "/xmlrpc.php", "text/xml; charset=utf-8", "User-Agent: MarsEdit/5.3 (Macintosh)", true},
	{"XML elsewhere", "/feed-hook", "text/xml", "User-Agent: FeedBurner", false},
	{"nobody", "/", formType, "User-Agent: curl/8.14", false},
}

// TestSenders posts bodies as webhooks, editors and their programs do.
//
// Promise 4: "public URLs that come back in a request body are turned back into
// local ones, so that the app's database never holds one."
func TestSenders(t *testing.T) {
	s := newReverseSite(t, echo)
	public, local := publicTestURL+"a.jpg", s.origin()+"/wp-content/uploads/a.jpg"
	for _, test := range senders {
		// What a body of any of the types may be.
		body, want := "a= "+public+" ", "a= "+public+" "
		if test.turned {
			want = "a= " + local + " "
		}
		header := []string{"Content-Type", test.contentType}
		for line := range strings.Lines(strings.ReplaceAll(test.header, "SITE", s.origin())) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
				header = append(header, name, value)
			}
		}
		if got := s.sent(http.MethodPost, test.path, strings.NewReader(body), int64(len(body)), header...); got.Body != want {
			t.Errorf("%s: %s, want %s", test.name, got.Body, want)
		}
	}
}
