package media

import (
	"bytes"
	"strings"
	"testing"
)

func TestDeniesAll(t *testing.T) {
	tests := []struct {
		name, text string
		want       bool
	}{
		// Apache 2.2.
		{"plain", "deny from all", true},
		{"capitals, tabs, CRLF", "\r\n\tDENY\tFrom  ALL  \r\n", true},
		{"no newline, byte order mark", "\uFEFFDeny from all", true},
		{"WooCommerce", "deny from all\n", true},
		{"order deny,allow", "Order deny,allow\nDeny from all\n", true},
		{"order allow,deny", "Order Allow,Deny\nDeny from all\n", true},
		{"order with a space", "Order allow, deny\nAllow from all\nDeny from all", true},
		{"order alone", "Order allow,deny", true}, // Apache's default state is then to deny
		{"allowed last", "Order deny,allow\nDeny from all\nAllow from all", false},
		{"denied last", "Order allow,deny\nAllow from all\nDeny from all", true},
		{"open", "Order allow,deny\nAllow from all", false},
		{"order deny,allow alone", "Order deny,allow", false},
		{"some let in", "Order deny,allow\nDeny from all\nAllow from 10.0.0.0/8 ::1", true},
		{"only some let in", "Order allow,deny\nAllow from 10.0.0.0/8", true},
		{"some kept out", "Order allow,deny\nAllow from all\nDeny from 192.0.2.1", false},
		{"deny some", "Deny from 192.0.2.1", false},
		{"not from", "Deny all", false},
		{"for a variable", "Deny from env=bad", false},

		// Apache 2.4.
		{"require denied", "Require all denied", true},
		{"quoted", `require "all" 'denied'`, true},
		{"require granted", "Require all granted", false},
		{"require not some", "<RequireAll>\nRequire all granted\nRequire not ip 192.0.2.1\n</RequireAll>", false},
		{"granted is enough", "Require all denied\nRequire all granted", false},
		{"only some addresses", "Require ip 10.0.0.0/8", true},
		{"only this machine", "Require local", true},
		{"password", "AuthType Basic\nAuthName x\nAuthUserFile /x/.htpasswd\nRequire valid-user", true},
		{"all of: granted and local", "<RequireAll>\nRequire all granted\nRequire local\n</RequireAll>", true},
		{"any of: granted and local", "<RequireAny>\nRequire all granted\nRequire local\n</RequireAny>", false},
		{"any of: local and user", "<RequireAny>\nRequire local\nRequire user x\n</RequireAny>", true},
		{"nested", "<RequireAny>\n<RequireAll>\nRequire all denied\n</RequireAll>\n</RequireAny>", true},
		{"any within all", "<RequireAll>\n<RequireAny>\nRequire all granted\nRequire local\n</RequireAny>\n</RequireAll>", false},
		{"none of", "<RequireNone>\nRequire all denied\n</RequireNone>", false},
		{"for a method", "Require method GET", false},
		{"empty require", "Require", false},

		// Both, as plugins write them.
		{"both branches", "<IfModule mod_authz_core.c>\n  Require all denied\n</IfModule>\n<IfModule !mod_authz_core.c>\n  Order deny,allow\n  Deny from all\n</IfModule>\n", true},
		{"nested branches", "<IfModule mod_authz_core.c>\n<IfModule mod_x.c>\nRequire all denied\n</IfModule>\n</IfModule>", true},
		{"version", "<IfVersion >= 2.4>\nRequire all denied\n</IfVersion>", true},
		{"granted in both", "<IfModule mod_authz_core.c>\nRequire all granted\n</IfModule>\n<IfModule !mod_authz_core.c>\nOrder allow,deny\nAllow from all\n</IfModule>", false},

		// Sections for files.
		{"scripts only", "<Files *.php>\ndeny from all\n</Files>", false},
		{"scripts only, expression", "<FilesMatch \"\\.(php|phtml)$\">\nOrder allow,deny\nDeny from all\n</FilesMatch>", false},
		{"scripts only, 2.4", "<FilesMatch \"(?i)\\.php$\">\n  <IfModule mod_authz_core.c>\n    Require all denied\n  </IfModule>\n</FilesMatch>", false},
		{"all files", "<Files *>\nDeny from all\n</Files>", true},
		{"all files with a dot", "<Files \"*.*\">\nRequire all denied\n</Files>", true},
		{"all files, expression", "<FilesMatch \".*\">\nRequire all denied\n</FilesMatch>", true},
		{"all files, anchored", "<FilesMatch '^.*$'>\nDeny from all\n</FilesMatch>", true},
		{"all files, tilde", "<Files ~ \".*\">\nDeny from all\n</Files>", true},
		{"one file, tilde", "<Files ~ \"^x\\.jpg$\">\nDeny from all\n</Files>", false},
		{"closed but for pictures", "Options -Indexes\ndeny from all\n<FilesMatch '\\.(jpg|jpeg|png|gif|mp3|ogg|webp)$'>\n    Order Allow,Deny\n    Allow from all\n</FilesMatch>", true},
		{"closed but for pictures, 2.4", "Require all denied\n<Files ~ \"\\.(png|gif)$\">\nRequire all granted\n</Files>", true},
		{"no scripts run", "<Files *>\nSetHandler none\nSetHandler default-handler\nOptions -ExecCGI\nRemoveHandler .php .pl\n</Files>\n<IfModule mod_php5.c>\nphp_flag engine off\n</IfModule>", false},
		{"GET only", "<Limit GET POST>\nDeny from all\n</Limit>", true},
		{"other methods", "<LimitExcept GET POST>\nDeny from all\n</LimitExcept>", false},
		{"some requests", "<If \"%{HTTP_USER_AGENT} == 'x'\">\nRequire all denied\n</If>", false},

		// Rewriting.
		{"rewrite", "RewriteEngine On\nRewriteRule .* - [F,L]", true},
		{"rewrite, anchored", "RewriteRule ^ - [R=404,L]", true},
		{"rewrite, grouped", "RewriteRule ^(.*)$ - [forbidden]", true},
		{"rewrite on condition", "RewriteCond %{HTTP_REFERER} !example\nRewriteRule .* - [F]", false},
		{"rewrite after a condition's rule", "RewriteCond %{X} y\nRewriteRule a b\nRewriteRule .* - [F]", true},
		{"rewrite scripts", "RewriteRule \\.php$ - [F]", false},
		{"rewrite to a page", "RewriteRule .* index.php [L]", false},
		{"redirect", "RedirectMatch 403 ^.*$", true},
		{"redirect hidden files", "RedirectMatch 404 /\\..*$", false},

		// Comments, lines and nonsense.
		{"empty", "", false},
		{"comment", "# deny from all\n", false},
		{"indented comment", "   # Require all denied", false},
		{"continued comment", "# \\\ndeny from all", false},
		{"continued line", "Require \\\nall \\\n  denied", true},
		{"continued line, CRLF", "deny from \\\r\nall\r\n", true},
		{"continued to the end", "deny from all \\", true},
		{"not a comment", "deny from all # no comment at the end of a line", true},
		{"other words", "denyfrom all\nRequired all denied", false},
		{"in an open section", "<FilesMatch php>\nDeny from all", false},
		{"after an open IfModule", "<IfModule x>\nDeny from all", true},
		{"wrong end", "</Files>\nDeny from all\n</IfModule>", true},
		{"ends cross", "<IfModule x>\n<Files a>\n</IfModule>\nDeny from all", false},
		{"section without a name", "<>\nDeny from all", true},
		{"section without an end", "<Files *\nDeny from all", true},
		{"too deep", strings.Repeat("<IfModule x>\n", 100) + "Deny from all\n" + strings.Repeat("</IfModule>\n", 100), false},
		{"after too deep", strings.Repeat("<IfModule x>\n", 100) + strings.Repeat("</IfModule>\n", 100) + "Deny from all", true},
		{"MediaWiki", "Deny from all\n", true},
		{"Drupal", "# Turn off all options we don't need.\nOptions -Indexes -ExecCGI -Includes -MultiViews\n\n# Set the catch-all handler to prevent scripts from being executed.\nSetHandler Drupal_Security_Do_Not_Remove_See_SA_2006_006\n<Files *>\n  # Override the handler again if we're run later in the evaluation list.\n  SetHandler Drupal_Security_Do_Not_Remove_See_SA_2013_003\n</Files>\n", false},
		{"Drupal, private", "# Deny all requests from Apache 2.4+.\n<IfModule mod_authz_core.c>\n  Require all denied\n</IfModule>\n\n# Deny all requests from Apache 2.0-2.2.\n<IfModule !mod_authz_core.c>\n  Deny from all\n</IfModule>\n", true},
	}
	for _, tt := range tests {
		if got := DeniesAll([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: DeniesAll = %v\n%s", tt.name, got, tt.text)
		}
	}
}

// FuzzDeniesAll: no input panics, and what cannot matter does not: comments,
// letters' case, line ends, a section for scripts only. A denial put in front
// of all else closes any file that does not open itself to all.
func FuzzDeniesAll(f *testing.F) {
	for _, seed := range []string{
		"deny from all", "Require all denied", "<Files *>\nDeny from all\n</Files>", "Order allow,deny\\\nx", "<If", "</", "<>", "\"", "' '",
		"RewriteRule .* - [F]", "<RequireAll>\nRequire local\n</RequireAll>", "Require all granted",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		text = bytes.TrimPrefix(text, []byte("\uFEFF"))
		got := DeniesAll(text)
		if framed := append([]byte("# x\n<Files *.php>\nRequire all denied\n</Files>\n"), text...); DeniesAll(framed) != got {
			t.Errorf("a comment and a section for scripts change %v", got)
		}
		upper := bytes.ToUpper(text)
		if bytes.Equal(bytes.ToLower(upper), bytes.ToLower(text)) && DeniesAll(upper) != got {
			t.Errorf("capitals change %v", got)
		}
		if crlf := bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")); !bytes.Contains(text, []byte("\r")) && DeniesAll(crlf) != got {
			t.Errorf("CRLF changes %v", got)
		}
		opens := bytes.Contains(upper, []byte("GRANTED")) || bytes.Contains(upper, []byte("ALLOW")) || bytes.Contains(upper, []byte("MUTUAL"))
		if closed := append([]byte("Require all denied\nDeny from all\n"), text...); !opens && !DeniesAll(closed) {
			t.Errorf("a denial in front is lost")
		}
	})
}
