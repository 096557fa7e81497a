package offload

import "bytes"

// noteFile is a file in a media root by which this process tells the next one something.
type noteFile struct {
	recalled bool   // what an earlier process left was read
	written  []byte // what stands there; nil: there is no file
	moved    bool   // another directory is at the root now: what stands there is not known
}

// recall reads what an earlier process left, once there is the directory; ok is false
// if it was read before.
func (n *noteFile) recall(read func(limit int64) ([]byte, error)) (data []byte, ok bool) {
	if n.recalled {
		return nil, false
	}
	data, err := read(maxNoteFile)
	if err != nil {
		return nil, false // no such directory yet
	}
	n.recalled, n.written = true, data
	return data, true
}

// write brings the file up to date; nil removes it.
func (n *noteFile) write(text []byte, set func([]byte) error) error {
	if !n.moved && (text == nil) == (n.written == nil) && bytes.Equal(text, n.written) {
		return nil
	}
	if err := set(text); err != nil {
		return err
	}
	n.written, n.moved = text, false
	return nil
}
