package offload

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// run are names that some web server runs or obeys.
var run = []string{
	"i.php", "I.PHP", "i.php5", "i.pHtMl", "i.phar", "i.pht", "i.phps", "i.php.jpg", "i.php.", "i.php ", "i.php;x.jpg", "i.php:x.jpg", "i.php%00.jpg",
	"i.phtml.jpg", "i.p\u00adhp", "i.ph\uff50", "i.\u017fhtml", "i.cgi", "i.shtml", "i.py", "i.asp", "i.jsp", "i.wsgi",
	".htaccess", ".HTACCESS", "\u200c.htaccess", ".htpasswd", ".user.ini", ".env", ".git", "..htaccess", "php.ini", "web.config", "user.ini",
	".media-offload-1-ABCDEFGH.aside", ".media-offload-1-ABCDEFGH.tmp",
}

// odd are names that stores or file systems treat differently.
var odd = []string{
	"..", ".", "", " ", `a\b.jpg`, "a\x00.jpg", "a\x01.jpg", "a\n.jpg", "\xff.jpg", "\ufffe.jpg", "a\u202egpj.exe",
	strings.Repeat("l", 251) + ".jpg", strings.Repeat("l", 252) + ".jpg", strings.Repeat("l", 1100), "con.jpg", "é.jpg", "e\u0301.jpg", "%2e%2e", "..%2f",
}

// plain are names of media.
var plain = []string{"photo.jpg", "photo-1.jpg", "PHOTO.jpg", "page.html", "x.svg", "style.css", "doc.pdf", "x.js", "2026", "fonts.woff2", "closed"}

// grammar makes names of objects, and what is in them.
type grammar struct {
	*rand.Rand
	// known are keys of the apps' files.
	known []string
}

func (g grammar) one(of []string) string { return of[g.IntN(len(of))] }

func (g grammar) segment() string {
	switch g.IntN(6) {
	case 0, 1:
		return g.one(run)
	case 2:
		return g.one(odd)
	}
	return g.one(plain)
}

// key is one of a file, or what looks like it.
func (g grammar) key() string {
	if len(g.known) > 0 && g.IntN(3) == 0 {
		return g.near(g.one(g.known))
	}
	dirs := []string{"cache", "2026/11", "closed", "a/b/c", "2026"}
	parts := []string{g.one(dirs)}
	if g.IntN(4) == 0 {
		parts = append(parts, g.segment())
	}
	return strings.Join(append(parts, g.segment()), "/")
}

// near is a key, or one that resembles it.
func (g grammar) near(key string) string {
	switch g.IntN(10) {
	case 0:
		return strings.ToUpper(key)
	case 1:
		return norm.NFD.String(key)
	case 2:
		return key + g.one([]string{" ", ".", "/", "\x00", "/y.jpg", "/i.php", ".php"})
	case 3:
		return path.Dir(key)
	case 4:
		return path.Dir(key) + "/../" + key
	case 5:
		return path.Join(path.Dir(key), g.segment())
	}
	return key
}

// name is one of an object.
func (g grammar) name(present []string) string {
	if len(present) > 0 && g.IntN(3) == 0 {
		return g.one(present)
	}
	switch g.IntN(20) {
	case 0, 1, 2, 3, 4, 5, 6, 7, 8:
		return "media/" + g.key()
	case 9, 10, 11:
		return "private/" + g.key()
	case 12, 13:
		return g.logName(present)
	case 14:
		return fmt.Sprintf("offload/lease/%04x", g.IntN(1<<16))
	case 15:
		return g.one([]string{"offload/trash/20270115T080000Z-outside/public/", "offload/trash/20200115T080000Z-accepted/private/", "offload/trash/", "offload/conflict/"}) + g.key()
	case 16:
		return "offload/" + g.one([]string{"yield", "lease", "log", "trash", "guest", "x", "sites"})
	case 17:
		return g.one([]string{"", "/", "media", "Media/", "media/../", "media//"}) + g.key()
	}
	return "media/cache/" + g.one(run)
}

// logName is one of an entry of the change log: mostly the next one.
func (g grammar) logName(present []string) string {
	last := uint64(0)
	for _, name := range present {
		var n uint64
		if _, err := fmt.Sscanf(name, "offload/log/%020d", &n); err == nil && n < 1<<40 {
			last = max(last, n)
		}
	}
	switch g.IntN(12) {
	case 0:
		last += g.Uint64N(1000)
	case 1:
		return "offload/log/" + g.one([]string{"x", "0", "00000000000000000000", "18446744073709551615", "99999999999999999999"})
	default:
		last++
	}
	return fmt.Sprintf("offload/log/%020d", last)
}

// content is what to write under a name.
func (g grammar) content(name string) []byte {
	switch {
	case g.IntN(4) == 0:
		return []byte(g.one([]string{"", "null", "{}", "[]", "\x00", `{"v":1}`, strings.Repeat("[", 100_000), strings.Repeat("x", 300<<10)}))
	case strings.HasPrefix(name, "offload/log/"):
		return g.entry()
	case strings.HasPrefix(name, "offload/lease/"):
		return g.lease()
	}
	return []byte(g.one([]string{"<?php evil();", "<script>evil()</script>", "Require all granted", strings.Repeat("evil ", 1<<g.IntN(18))}))
}

func (g grammar) entry() []byte {
	var changes []any
	for range 1 + g.IntN(4) {
		changes = append(changes, map[string]any{
			"op": g.one([]string{"put", "put", "delete", "delete_below", "run"}), "key": g.key(), "class": g.one([]string{"public", "private", ""}),
			"size": g.Int64N(1 << 50), "etag": g.one([]string{"x", "d41d8cd98f00b204e9800998ecf8427e", ""}),
		})
	}
	data, _ := json.Marshal(map[string]any{"v": 1, "w": "a-stranger-that-writes", "n": fmt.Sprintf("a-nonce-%020d", g.Uint64()), "changes": changes})
	return data
}

// told are the keys that an entry says are deleted, and the directories.
func told(entry []byte) (keys []string) {
	var e struct{ Changes []struct{ Op, Key string } }
	if json.Unmarshal(entry, &e) != nil {
		return nil
	}
	for _, c := range e.Changes {
		if strings.HasPrefix(c.Op, "delete") {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

func (g grammar) lease() []byte {
	data, _ := json.Marshal(map[string]any{
		"v": 1, "owner": "a-stranger-that-writes", "nonce": fmt.Sprintf("a-nonce-%020d", g.Uint64()),
		"state": g.one([]string{"held", "free"}), "ttl_ms": g.Int64N(9000), "next": g.Uint64() >> g.IntN(64),
	})
	return data
}

// ran is an independent opinion, of few words, on what a web server may run or obey.
var ran = regexp.MustCompile(`(?i)(^|/)[. ]*\.[^/]|(^|/)(php\d*|web|user)\.(ini|config)(/|$)|\.(php\d*|phps|phtml|phar|pht|cgi|shtml|py|asp|jsp|wsgi)([.;:% ][^/]*)?(/|$)`)

// mayRun reports whether a web server may run or obey a file of that name.
func mayRun(name string) bool {
	folded := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return unicode.ToLower(unicode.ToUpper(r)) // ſ is an s
	}, norm.NFKC.String(name))
	return ran.MatchString(folded)
}
