package media

// Admit is the one check of a file's key that comes from elsewhere than this
// disk: from a listing, the change log or an object's metadata, which whoever
// can write to the bucket may have made. It is let in if every store and file
// system reads it alike ([CheckKey]), it lies in a root, and the file may leave
// a disk at all: no web server runs or obeys what has such a name (see
// [Executable]), and neither the admin nor the preset ignores it. class is the
// most that may be believed of it; an .htaccess may say less.
func (s *Site) Admit(key string) (root int, rel string, class Class, ok bool) {
	root, rel, ok = s.Locate(key)
	if !ok {
		return 0, "", Ignored, false
	}
	if class = s.Class(key, nil); class == Ignored {
		return 0, "", Ignored, false
	}
	return root, rel, class, true
}

// AdmitDir is Admit for the key of a directory below a root.
func (s *Site) AdmitDir(key string) (root int, rel string, ok bool) {
	root, rel, ok = s.Locate(key)
	if !ok || rel == "" || CheckKey(key) != nil || s.SkipDir(root, rel) {
		return 0, "", false
	}
	return root, rel, true
}
