package media

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestHtaccess: what is said of a picture without any directory above.
func TestHtaccess(t *testing.T) {
	tests := []struct {
		name, text string
		want       bool // closed
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
		{"for a variable", "Deny from env=bad", true},

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
		{"none of", "<RequireNone>\nRequire all denied\n</RequireNone>", true}, // that lets nobody in,
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
		{"closed but for pictures", "Options -Indexes\ndeny from all\n<FilesMatch '\\.(jpg|jpeg|png|gif|mp3|ogg|webp)$'>\n    Order Allow,Deny\n    Allow from all\n</FilesMatch>", false},
		{"closed but for pictures, 2.4", "Require all denied\n<Files ~ \"\\.(png|gif)$\">\nRequire all granted\n</Files>", true},
		{"no scripts run", "<Files *>\nSetHandler none\nSetHandler default-handler\nOptions -ExecCGI\nRemoveHandler .php .pl\n</Files>\n<IfModule mod_php5.c>\nphp_flag engine off\n</IfModule>", false},
		{"GET only", "<Limit GET POST>\nDeny from all\n</Limit>", true},
		{"other methods", "<LimitExcept GET POST>\nDeny from all\n</LimitExcept>", false},
		{"some requests", "<If \"%{HTTP_USER_AGENT} == 'x'\">\nRequire all denied\n</If>", true},

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
		{"too deep", strings.Repeat("<IfModule x>\n", 100) + "Deny from all\n" + strings.Repeat("</IfModule>\n", 100), true},
		{"after too deep", strings.Repeat("<IfModule x>\n", 100) + strings.Repeat("</IfModule>\n", 100) + "Deny from all", true},
		{"MediaWiki", "Deny from all\n", true},
		{"Drupal", "# Turn off all options we don't need.\nOptions -Indexes -ExecCGI -Includes -MultiViews\n\n# Set the catch-all handler to prevent scripts from being executed.\nSetHandler Drupal_Security_Do_Not_Remove_See_SA_2006_006\n<Files *>\n  # Override the handler again if we're run later in the evaluation list.\n  SetHandler Drupal_Security_Do_Not_Remove_See_SA_2013_003\n</Files>\n", false},
		{"Drupal, private", "# Deny all requests from Apache 2.4+.\n<IfModule mod_authz_core.c>\n  Require all denied\n</IfModule>\n\n# Deny all requests from Apache 2.0-2.2.\n<IfModule !mod_authz_core.c>\n  Deny from all\n</IfModule>\n", true},
	}
	for _, tt := range tests {
		if got := closesPicture([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: closed is %v\n%s", tt.name, got, tt.text)
		}
	}
}

func closesPicture(text []byte) bool { return closesFile(text, "picture.jpg") }

func closesFile(text []byte, name string) bool {
	return !anyoneMayRead([]*Htaccess{ParseHtaccess(text)}, name)
}

// shopPictures is the shape of PrestaShop's img/.htaccess.
const shopPictures = `<IfModule mod_php5.c>
    php_flag engine off
</IfModule>

# Apache 2.2
<IfModule !mod_authz_core.c>
    Order deny,allow
    Deny from all
    <Files ~ "(?i)^.*\.(jpg|jpeg|gif|png|bmp|tiff|svg|pdf|mov|mpeg|mp4|avi|mpg|wma|flv|webm|ico|webp|woff|woff2|ttf|otf|eot|css|js)$">
        Allow from all
    </Files>
</IfModule>

# Apache 2.4
<IfModule mod_authz_core.c>
    Require all denied
    <Files ~ "(?i)^.*\.(jpg|jpeg|gif|png|bmp|tiff|svg|pdf|mov|mpeg|mp4|avi|mpg|wma|flv|webm|ico|webp|woff|woff2|ttf|otf|eot|css|js)$">
        Require all granted
    </Files>
</IfModule>
`

// shopDownloads is that of its upload/.htaccess and download/.htaccess.
const shopDownloads = `# Apache 2.2
<IfModule !mod_authz_core.c>
    Order deny,allow
    Deny from all
</IfModule>
# Apache 2.4
<IfModule mod_authz_core.c>
    Require all denied
</IfModule>
`

// TestHtaccessForNames: as Apache decides for each name.
func TestHtaccessForNames(t *testing.T) {
	for _, tt := range []struct {
		name, text   string
		open, closed string
	}{
		{"PrestaShop's pictures", shopPictures, "1.jpg 1-home_default.JPG a.b.webp x.svg", "a.zip index.php jpg a.jpg.txt .jpg~"},
		{"PrestaShop's downloads", shopDownloads, "", "a.jpg 5f3a"},
		{"closed but for pictures", "deny from all\n<FilesMatch '\\.(jpg|png)$'>\nOrder Allow,Deny\nAllow from all\n</FilesMatch>", "a.jpg a.php.png", "a.pdf a.JPG png"},
		{"closed but for one", "Require all denied\n<Files logo.png>\nRequire all granted\n</Files>", "logo.png", "Logo.png logo.pngx"},
		{"wildcards", "<Files \"*.p?f\">\nRequire all denied\n</Files>\n<Files [!a-m]*.txt>\nRequire all denied\n</Files>", "a.jpg a.pf a.txt", "a.pdf b.pxf n.txt"},
		{"the last section wins", "<Files *>\nRequire all denied\n</Files>\n<FilesMatch jpg$>\nRequire all granted\n</FilesMatch>\n<Files x*>\nRequire all denied\n</Files>", "a.jpg", "x.jpg a.png"},
		{"a section without access says nothing", "Require all denied\n<Files *>\nHeader set X y\n</Files>", "", "a.jpg"},
		{"one server opens, the other does not", "<IfModule mod_authz_core.c>\nRequire all granted\n</IfModule>\n<IfModule !mod_authz_core.c>\nDeny from all\n</IfModule>", "", "a.jpg"},
		{"only one means opens", "Order deny,allow\nDeny from all\n<Files *.jpg>\nRequire all granted\n</Files>", "", "a.jpg a.pdf"},
		{"if a module is there", "<IfModule mod_x.c>\nRequire all denied\n<Files *.jpg>\nRequire all granted\n</Files>\n</IfModule>", "a.jpg", "a.pdf"},
		{"if it is not", "<IfModule !mod_x.c>\nRequire all denied\n</IfModule>", "", "a.jpg"},
		{"either way", "<IfModule mod_x.c>\nRequire all granted\n</IfModule>\n<IfModule !mod_x.c>\nRequire all granted\n</IfModule>", "a.jpg", ""},
		{"versions", "<IfVersion < 2.4>\nAllow from all\n</IfVersion>\n<IfVersion >= 2.4>\nRequire all granted\n</IfVersion>\n<IfVersion > 2.6>\nRequire all denied\n</IfVersion>", "a.jpg", ""},
		{"look ahead", "<FilesMatch \"^(?!index).*\\.php$\">\nRequire all denied\n</FilesMatch>", "a.jpg", "x.php index.php"},
		{"look behind, opening", "Require all denied\n<FilesMatch \"(?<!x)\\.jpg$\">\nRequire all granted\n</FilesMatch>", "", "a.jpg x.jpg a.pdf"},
		{"atomic", "<FilesMatch \"^(?>a|b)++\\.pdf$\">\nRequire all denied\n</FilesMatch>", "a.jpg", "a.pdf"},
		{"repeats what came", "<FilesMatch \"(a)\\1\">\nRequire all denied\n</FilesMatch>", "", "b.jpg"},
		{"for the environment", "Order deny,allow\nDeny from all\nAllow from env=ours", "", "a.jpg"},
		{"an expression", "Require expr %{REQUEST_URI} =~ m#jpg#", "", "a.jpg"},
		{"not the environment", "<RequireAll>\nRequire all granted\nRequire not env bad\n</RequireAll>", "", "a.jpg"},
		{"not an address", "<RequireAll>\nRequire all granted\nRequire not ip 192.0.2.0/24\n</RequireAll>", "a.jpg", ""},
		{"none of some", "<RequireAll>\nRequire all granted\n<RequireNone>\nRequire ip 192.0.2.1\nRequire user x\n</RequireNone>\n</RequireAll>", "a.jpg", ""},
		{"bytes, not letters", "<FilesMatch \"^..\\.jpg$\">\nRequire all denied\n</FilesMatch>", "u.jpg", "ü.jpg uu.jpg"},
		{"Limit to others", "<Limit PUT DELETE>\nRequire all denied\n</Limit>", "a.jpg", ""},
		{"merging", "AuthMerging And\nRequire all granted", "", "a.jpg"},
	} {
		for _, name := range strings.Fields(tt.open) {
			if closesFile([]byte(tt.text), name) {
				t.Errorf("%s: %s is closed", tt.name, name)
			}
		}
		for _, name := range strings.Fields(tt.closed) {
			if !closesFile([]byte(tt.text), name) {
				t.Errorf("%s: %s is open", tt.name, name)
			}
		}
	}
}

// TestHtaccessOfDirectories: the inner one takes the place of the outer one, and
// sections for files come after all directories.
func TestHtaccessOfDirectories(t *testing.T) {
	const closed, open = "Require all denied", "Require all granted"
	for _, tt := range []struct {
		name  string
		texts []string
		want  bool
	}{
		{"inherited", []string{closed, "Options -Indexes"}, false},
		{"opened again", []string{closed, open}, true},
		{"closed below", []string{open, closed}, false},
		{"by the other means", []string{closed, "Allow from all"}, false},
		{"both opened", []string{shopDownloads, "Order allow,deny\nAllow from all\n" + open}, true},
		{"an outer section over an inner directory", []string{"<Files *.jpg>\n" + closed + "\n</Files>", open}, false},
		{"an inner section over an outer one", []string{"<Files *.jpg>\n" + closed + "\n</Files>", "<Files *.jpg>\n" + open + "\n</Files>"}, true},
		{"a picture below PrestaShop's", []string{shopPictures, "Options -Indexes"}, true},
		{"rewritten", []string{"RewriteRule .* - [F]", open}, false},
	} {
		var chain []*Htaccess
		for _, text := range tt.texts {
			chain = append(chain, ParseHtaccess([]byte(text)))
		}
		if got := anyoneMayRead(chain, "a.jpg"); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestHtaccessUndecided(t *testing.T) {
	for text, want := range map[string]string{
		shopPictures:                 "",
		"Options -Indexes":           "",
		"# x\n\nAllow from env=ours": "3: Allow from env=ours",
		"Require all granted\n<FilesMatch \"(a)\\1\">\nRequire all denied\n</FilesMatch>": "2: <FilesMatch \"(a)\\1\">",
		"<If \"%{X} == 'y'\">\nDeny from all\n</If>":                                      "1: <If \"%{X} == 'y'\">",
		"<If \"%{X} == 'y'\">\nHeader set X y\n</If>":                                     "",
	} {
		got := ""
		h := ParseHtaccess([]byte(text))
		for _, p := range h.Undecided() {
			got += fmt.Sprintf("%d: %s", p.Line, p.Text)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if plain := !strings.Contains(text, "all") && !strings.Contains(text, "Allow"); h.Plain() != plain {
			t.Errorf("%q: plain is %v", text, h.Plain())
		}
	}
}

// FuzzHtaccess: no input panics or takes long, and what cannot matter does not:
// comments, line ends, a section for other files. A denial of all by both means
// at the end closes all but what a section opens.
func FuzzHtaccess(f *testing.F) {
	for _, seed := range []string{
		"deny from all", "Require all denied", "<Files *>\nDeny from all\n</Files>", "Order allow,deny\\\nx", "<If", "</", "<>", "\"", "' '",
		"RewriteRule .* - [F]", "<RequireAll>\nRequire local\n</RequireAll>", "Require all granted", shopPictures, shopDownloads,
		"<FilesMatch \"(?!x)[[:alpha:]\\]]*+(?>a)\">\nRequire env x\n</FilesMatch>", "<IfVersion !>= 2.4.1>\nRequire not method POST\n</IfVersion>",
	} {
		f.Add([]byte(seed), "a.jpg")
	}
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		text = bytes.TrimPrefix(text, []byte("\uFEFF"))
		got := closesFile(text, name)
		h := ParseHtaccess(text)
		if h.Plain() && (got || len(h.Undecided()) > 0) {
			t.Errorf("plain, but closed: %v, %v", got, h.Undecided())
		}
		if framed := append([]byte("# x\n<Files \"\x01\">\nRequire all denied\n</Files>\n"), text...); name != "\x01" && closesFile(framed, name) != got {
			t.Errorf("a comment and a section for another file change %v", got)
		}
		if crlf := bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")); !bytes.Contains(text, []byte("\r")) && closesFile(crlf, name) != got {
			t.Errorf("CRLF changes %v", got)
		}
		sections := bytes.ContainsAny(text, "<\\")
		if last := append(bytes.Clone(text), "\nOrder allow,deny\nDeny from all\nRequire all denied\n"...); !sections && !bytes.Contains(bytes.ToLower(text), []byte("granted")) &&
			!bytes.Contains(bytes.ToLower(text), []byte("method")) && !closesFile(last, name) {
			t.Error("a denial at the end is lost")
		}
	})
}
