package media

import "bytes"

// Executable reports whether a web server might execute the file with this
// key or use it as configuration, so that it must not leave the disk, nor come to
// one. Case is ignored, and so is what servers and file systems were seen to
// ignore: dots and spaces at the end, all from a ';', ':' or '%' on, and what
// twin folds.
//
// The rules, for each part of the key between slashes (nginx with PHP's
// cgi.fix_pathinfo looks for scripts in directories' names too):
//
//   - It begins with a dot: .htaccess, .user.ini, .env, .git/.
//   - It is the name of a server's configuration: web.config, php.ini.
//   - Its last extension is one that some server executes by default or by a
//     common recipe: .php and all that begin so, .phtml, .cgi, .pl, .jsp, …
//   - Any extension is one that Apache's mod_mime executes wherever it stands in
//     a name: with "AddHandler … .php", x.php.jpg runs. That is PHP with and
//     without a version, .phtml and the like, .cgi and the files of server-side
//     includes. The rest counts at the end only: "report.pl.pdf" is a Polish
//     report, "guide.phpstorm.png" a picture.
func Executable(key string) bool {
	var buf [maxKey]byte
	return executable(appendLower(buf[:0], key))
}

// executable is Executable for a key in lower case.
func executable(key []byte) bool {
	if !isASCII(key) {
		key = twin(key)
	}
	for key != nil {
		var segment []byte
		segment, key = cutSegment(key)
		if executableName(segment) {
			return true
		}
	}
	return false
}

func executableName(name []byte) bool {
	if len(name) > 0 && name[0] == '.' {
		return true
	}
	name = bytes.TrimRight(name, ". ")
	if serverConfig[string(name)] || isPHPIni(name) {
		return true
	}
	_, rest, ok := bytes.Cut(name, dot)
	for ok {
		var ext []byte
		ext, rest, ok = bytes.Cut(rest, dot)
		if executableExt(ext, !ok) {
			return true
		}
	}
	return false
}

var dot, space = []byte{'.'}, []byte{' '}

// executableExt tells about one extension of a name, the last or an inner one.
func executableExt(ext []byte, last bool) bool {
	if last && bytes.HasPrefix(ext, php) {
		return true
	}
	// Some servers take what follows these for no part of the name: a path
	// parameter, a stream of NTFS, a character that was encoded twice.
	if i := bytes.IndexAny(ext, ";:%"); i >= 0 {
		ext, last = ext[:i], true
	}
	ext, _, _ = bytes.Cut(ext, space)
	return last && executableLast[string(ext)] || executableAnywhere[string(ext)] || isPHPVersion(ext)
}

var php = []byte("php")

// isPHPVersion reports whether ext is "php", with or without a version, or
// "phps". WordPress disarms an inner extension by an underscore (x.php_.jpg), which
// no server maps to PHP.
func isPHPVersion(ext []byte) bool {
	version, ok := bytes.CutPrefix(ext, php)
	return ok && (string(version) == "s" || len(bytes.Trim(version, "0123456789")) == 0)
}

// isPHPIni reports whether name is php.ini or that of one version: php8.ini.
func isPHPIni(name []byte) bool {
	version, ok := bytes.CutPrefix(name, php)
	if !ok {
		return false
	}
	version, ok = bytes.CutSuffix(version, []byte(".ini"))
	return ok && len(bytes.Trim(version, "0123456789")) == 0
}

// serverConfig are names of files that configure a web server, an application
// server or PHP, other than dotfiles.
var serverConfig = set(
	"web.config", "user.ini", "nginx.conf", "httpd.conf", "apache.conf", "apache2.conf", "lighttpd.conf",
	"httpd_config.conf", "vhconf.conf", // LiteSpeed
	"caddyfile", "config.ru",
)

// executableAnywhere are extensions that count at any place in a name.
var executableAnywhere = set(
	"phtml", "phtm", "phar", "pht", "hphp", "hhvm",
	"cgi", "fcgi", "shtml", "shtm", "stm",
)

// executableLast are extensions that count at the end of a name. They are those
// of the handlers of Apache, IIS, nginx, lighttpd and LiteSpeed, of CGI, FastCGI
// and the application servers behind them.
var executableLast = set(
	"inc", "module", "pgif", "ctp", // PHP by recipe
	"pl", "plx", "pm", "perl", "psgi", "fpl", "epl", // mod_perl, mod_fcgid, PerlEx, Embperl
	"py", "pyc", "pyo", "pyw", "wsgi", "psp", // mod_python, mod_wsgi
	"rb", "rbx", "rhtml", "erb", "lua", "lp", "tcl", // mod_ruby, mod_lua, CGILua
	"sh", "bash", "zsh", "ksh", "csh", "bat", "cmd", "fcg", "scgi", // CGI
	"asis", "var", // Apache's send-as-is and type-map: the file is the header
	// IIS, those of old versions as well; .cer was one of ASP's.
	"asp", "aspx", "asa", "asax", "ascx", "ashx", "asmx", "axd", "cdx", "cer", "cshtm", "cshtml", "vbhtm", "vbhtml", "idc", "shtx",
	"htr", "htw", "ida", "idq", "svc", "svcx", "xamlx", "rem", "soap", "dll", "isapi",
	"jsp", "jspx", "jspf", "jspa", "jsw", "jsv", "jhtml", "jws", "jsf", "gsp", "groovy", "xsp",
	"cfm", "cfml", "cfc", "cfr", "dbm", "lasso", "war", "ear",
	"htaccess", "htpasswd", "htgroup", "htdigest",
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
