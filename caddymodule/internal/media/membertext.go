package media

// memberText is the text that is being read of a structure's members: their
// names, and the values of those that hold names of files.
type memberText struct {
	names   *NameScanner
	members []string // those that hold names

	wanted  bool // what comes is the value of one of them
	capture bool // text is being read
	text    []byte
}

// maxMemberText is the longest spelling of a name or a path that is read: six
// bytes for each of the name's (JSON's \u0061).
const maxMemberText = 6 * maxKey

// keep adds to the text that is being read, and gives up on one that is too
// long.
func (m *memberText) keep(text []byte) {
	switch {
	case !m.capture:
	case len(m.text)+len(text) > maxMemberText:
		m.capture = false
		m.names.over = m.names.over || m.wanted
	default:
		m.text = append(m.text, text...)
	}
}
