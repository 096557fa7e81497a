package media

import "bytes"

// commonLists are the lists of every root of every app.
func commonLists() lists {
	return lists{ignore: commonIgnored(), rotated: commonRotated(), cache: commonCaches()}
}

// with returns the lists with more patterns at the end of each.
func (l lists) with(more lists) lists {
	return lists{
		subsite: l.subsite + more.subsite,
		ignore:  append(l.ignore, more.ignore...),
		rotated: append(l.rotated, more.rotated...),
		private: append(l.private, more.private...),
		public:  append(l.public, more.public...),
		cache:   append(l.cache, more.cache...),
	}
}

// commonIgnored are files that no visitor is meant to get and no other server
// needs: unfinished, temporary and lock files. An extension is a name's last one:
// "plan.part.pdf" is a document.
func commonIgnored() []string {
	return []string{
		// Unfinished: browsers, download tools, upload libraries' chunks.
		"*.part", "*.partial", "*.crdownload", "*.filepart", "*.download", "*.opdownload",
		"*.aria2", "*.chunk", "*.upload", "*.uploading",
		// Temporary: PHP's and editors' files.
		"*.tmp", "*.temp", "*.swp", "*.swo", "*.swx", "*~", "~$*", "#*#", "*.bak", "*.orig", "*.rej",
		// Locks, sockets, processes.
		"*.lock", "*.lck", "*.pid", "*.sock",
		// What SQLite has beside its databases.
		"*.sqlite-wal", "*.sqlite-shm", "*.sqlite-journal", "*.sqlite3-wal", "*.sqlite3-shm", "*.sqlite3-journal",
		"*.db-wal", "*.db-shm", "*.db-journal",
		// Left by desktops and file systems.
		"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx/", "lost+found/",
	}
}

// commonRotated are logs and dumps of databases, whatever number, date or packing
// is appended to their names: "x.log.1" and "x.sql.gz", but not "x.log.png".
func commonRotated() []string {
	return []string{
		"*.log", "error_log", "php_errorlog",
		"*.sql", "*.sqlite", "*.sqlite3", "*.mysql", "*.dump",
	}
}

// commonCaches are directories of things that an app makes again.
func commonCaches() []string { return []string{"cache/"} }

// isAsset reports whether a page can refer to the file, whose path is in lower
// case: a picture, sound, film, style, script or font.
func isAsset(path []byte) bool {
	ext := path[bytes.LastIndexByte(path, '.')+1:]
	return assets[string(ext)]
}

var assets = set(
	"jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "webp", "avif", "heic", "heif", "jxl", "svg", "svgz", "ico", "bmp", "tif", "tiff",
	"mp3", "m4a", "aac", "ogg", "oga", "opus", "wav", "flac", "weba",
	"mp4", "m4v", "webm", "ogv", "mov", "m3u8", "ts", "m4s", "mpd", "vtt",
	"css", "js", "mjs", "map", "woff", "woff2", "ttf", "otf", "eot",
	"pdf",
)
