package media

// contentTypes are media types by extension in lower case, as IANA registers
// them, or as browsers know them where it does not.
var contentTypes = map[string]string{
	// Pictures.
	"jpg": "image/jpeg", "jpeg": "image/jpeg", "jpe": "image/jpeg", "jfif": "image/jpeg",
	"png": "image/png", "apng": "image/apng", "gif": "image/gif", "webp": "image/webp",
	"avif": "image/avif", "avifs": "image/avif", "heic": "image/heic", "heics": "image/heic-sequence",
	"heif": "image/heif", "heifs": "image/heif-sequence", "jxl": "image/jxl", "jp2": "image/jp2",
	"svg": "image/svg+xml", "ico": "image/x-icon", "cur": "image/x-icon", "bmp": "image/bmp",
	"tif": "image/tiff", "tiff": "image/tiff", "psd": "image/vnd.adobe.photoshop", "djvu": "image/vnd.djvu",

	// Sound.
	"mp3": "audio/mpeg", "m4a": "audio/mp4", "m4b": "audio/mp4", "aac": "audio/aac", "ogg": "audio/ogg", "oga": "audio/ogg",
	"opus": "audio/ogg", "wav": "audio/wav", "flac": "audio/flac", "weba": "audio/webm",
	"mid": "audio/midi", "midi": "audio/midi", "wma": "audio/x-ms-wma", "aif": "audio/aiff", "aiff": "audio/aiff",
	"ra": "audio/x-realaudio", "mka": "audio/x-matroska",

	// Films, and the playlists and subtitles of streams.
	"mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "ogv": "video/ogg", "mov": "video/quicktime",
	"qt": "video/quicktime", "avi": "video/x-msvideo", "mkv": "video/x-matroska", "wmv": "video/x-ms-wmv",
	"mpg": "video/mpeg", "mpeg": "video/mpeg", "3gp": "video/3gpp", "3g2": "video/3gpp2", "flv": "video/x-flv",
	"ts": "video/mp2t", "m4s": "video/iso.segment", "m3u8": "application/vnd.apple.mpegurl", "m3u": "audio/mpegurl", "mpd": "application/dash+xml",
	"vtt": "text/vtt", "srt": "application/x-subrip",

	// Parts of pages.
	"html": "text/html", "htm": "text/html", "css": "text/css",
	"js": "text/javascript", "mjs": "text/javascript", "cjs": "text/javascript",
	"json": "application/json", "map": "application/json", "geojson": "application/geo+json",
	"jsonld": "application/ld+json", "webmanifest": "application/manifest+json",
	"xml": "application/xml", "rss": "application/rss+xml", "atom": "application/atom+xml",
	"xhtml": "application/xhtml+xml", "xht": "application/xhtml+xml", "xsl": "application/xslt+xml", "xslt": "application/xslt+xml",
	"kml": "application/vnd.google-earth.kml+xml", "kmz": "application/vnd.google-earth.kmz", "gpx": "application/gpx+xml",
	"wasm": "application/wasm", "lottie": "application/zip+dotlottie", "swf": "application/x-shockwave-flash",
	"woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf", "ttc": "font/collection",
	"eot": "application/vnd.ms-fontobject",

	// Text.
	"txt": "text/plain", "text": "text/plain", "asc": "text/plain", "csv": "text/csv", "tsv": "text/tab-separated-values",
	"md": "text/markdown", "markdown": "text/markdown", "ics": "text/calendar", "vcf": "text/vcard",
	"rtf": "application/rtf", "rtx": "text/richtext", "po": "text/plain", "yml": "application/yaml", "yaml": "application/yaml",

	// Documents.
	"pdf": "application/pdf", "ps": "application/postscript", "eps": "application/postscript", "ai": "application/pdf",
	"epub": "application/epub+zip", "mobi": "application/x-mobipocket-ebook", "azw3": "application/vnd.amazon.mobi8-ebook",
	"doc": "application/msword", "dot": "application/msword",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"dotx": "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
	"docm": "application/vnd.ms-word.document.macroenabled.12",
	"xls":  "application/vnd.ms-excel", "xla": "application/vnd.ms-excel", "xlt": "application/vnd.ms-excel",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"xltx": "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
	"xlsm": "application/vnd.ms-excel.sheet.macroenabled.12", "xlsb": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
	"ppt": "application/vnd.ms-powerpoint", "pps": "application/vnd.ms-powerpoint", "pot": "application/vnd.ms-powerpoint",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"ppsx": "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
	"potx": "application/vnd.openxmlformats-officedocument.presentationml.template",
	"pptm": "application/vnd.ms-powerpoint.presentation.macroenabled.12",
	"odt":  "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
	"odp": "application/vnd.oasis.opendocument.presentation", "odg": "application/vnd.oasis.opendocument.graphics",
	"pages": "application/vnd.apple.pages", "numbers": "application/vnd.apple.numbers", "key": "application/vnd.apple.keynote",

	// Archives and programs, to be saved.
	"zip": "application/zip", "gz": "application/gzip", "tgz": "application/gzip", "svgz": "application/gzip",
	"bz2": "application/x-bzip2", "xz": "application/x-xz", "zst": "application/zstd", "7z": "application/x-7z-compressed",
	"rar": "application/vnd.rar", "tar": "application/x-tar", "jar": "application/java-archive",
	"apk": "application/vnd.android.package-archive", "ipa": octetStream, "dmg": "application/x-apple-diskimage",
	"exe": "application/vnd.microsoft.portable-executable", "msi": "application/x-msi", "deb": "application/vnd.debian.binary-package",
	"rpm": "application/x-rpm", "iso": octetStream, "bin": octetStream, "dat": octetStream,

	// Models.
	"gltf": "model/gltf+json", "glb": "model/gltf-binary", "usdz": "model/vnd.usdz+zip", "stl": "model/stl", "obj": "model/obj",
	"dwg": "image/vnd.dwg", "dxf": "image/vnd.dxf",
}
