package dir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
)

// maxRecordBytes is more than any record that we write: the key and the
// metadata of two versions, each byte escaped.
const maxRecordBytes = 64 << 10

// record is what is known of an object beside its content, kept as indented
// JSON in .meta under the object's own path.
//
// It says by inode, size and time which file it describes. A Put writes the
// record, with the version it replaces inside, before it puts the new content
// in place: whichever of the two is there after a crash, its record is too. A
// file that no record describes was put there by hand, and is hashed; so an
// ETag is never that of other content.
type record struct {
	Key          string            `json:"key"`
	Size         int64             `json:"size"`
	MD5          string            `json:"md5"`
	ContentType  string            `json:"content_type,omitempty"`
	CacheControl string            `json:"cache_control,omitempty"`
	ModTime      time.Time         `json:"mtime,omitzero"`
	Stored       time.Time         `json:"stored"`
	Meta         map[string]string `json:"meta,omitempty"`
	File         fileID            `json:"file"`
	// Replaces is the version before; it has none itself.
	Replaces *record `json:"replaces,omitempty"`
}

// fileID tells one file from another without reading them.
type fileID struct {
	Inode uint64 `json:"inode"`
	// ModTime in decimal Unix seconds with nanoseconds: any time that a file
	// system holds can be written so.
	ModTime string `json:"mtime"`
}

func identify(info fs.FileInfo) fileID {
	return fileID{Inode: inode(info), ModTime: bucket.FormatUnix(info.ModTime())}
}

// describes reports whether r is about the file that info is of.
func (r *record) describes(key string, info fs.FileInfo) bool {
	return r.Key == key && r.Size == info.Size() && r.File == identify(info)
}

// of returns the version in r that describes the file, or nil.
func (r *record) of(key string, info fs.FileInfo) *record {
	for v := r; v != nil; v = v.Replaces {
		if v.describes(key, info) {
			return v
		}
	}
	return nil
}

// withContent returns the version in r that has the given content, or nil.
func (r *record) withContent(key string, size int64, md5 string) *record {
	for v := r; v != nil; v = v.Replaces {
		if v.Key == key && v.Size == size && v.MD5 == md5 {
			return v
		}
	}
	return nil
}

func (r *record) info() bucket.Info {
	return bucket.Info{
		Key: r.Key, Size: r.Size, ETag: r.MD5, MD5: r.MD5, Stored: r.Stored,
		ContentType: r.ContentType, CacheControl: r.CacheControl, ModTime: r.ModTime,
		Meta: maps.Clone(r.Meta),
	}
}

func encodeRecord(r *record) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// decodeRecord reads a record that anyone may have written.
func decodeRecord(data []byte) (*record, error) {
	if len(data) > maxRecordBytes {
		return nil, errors.New("too long for a record")
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	if r.Replaces != nil {
		r.Replaces.Replaces = nil
	}
	for v := &r; v != nil; v = v.Replaces {
		if err := v.check(); err != nil {
			return nil, err
		}
	}
	return &r, nil
}

func (r *record) check() error {
	if !bucket.IsMD5(r.MD5) {
		return fmt.Errorf("%.40q is no MD5", r.MD5)
	}
	if fault := bucket.KeyFault(r.Key); fault != "" {
		return errors.New("its key is none: " + fault)
	}
	// What goes into headers later must be fit for them.
	opts := bucket.PutOptions{Info: bucket.Info{ContentType: r.ContentType, CacheControl: r.CacheControl, Meta: r.Meta}}
	if fault := bucket.PutFault(r.Size, &opts); fault != "" {
		return errors.New(fault)
	}
	return nil
}

// readRecord returns the record at the path name in root, or nil if there is
// none that can be read as one.
func readRecord(root *os.Root, name string) (*record, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if isAbsent(err) || isNoFile(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	var buf [4096]byte
	data, err := readUpTo(f, buf[:0], maxRecordBytes+1)
	if err != nil {
		return nil, err
	}
	// A damaged record is as good as none: the file is hashed, and the next
	// Put or read writes the record anew.
	r, _ := decodeRecord(data)
	return r, nil
}

// isNoFile reports whether err says that something else than a file has the name: a
// symbolic link out of the bucket or to itself, a directory, or a socket.
func isNoFile(err error) bool {
	return escapesRoot(err) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENXIO)
}

// isNoRecord reports whether something is in a record's place that is none.
func isNoRecord(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	return isNoFile(err) || err == nil && !info.Mode().IsRegular()
}

// readUpTo is io.ReadAll into buf with a limit.
func readUpTo(r io.Reader, buf []byte, limit int) ([]byte, error) {
	for len(buf) < limit {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// metaDirName returns the path in .meta for the directory dir ("" is the top)
// of objects.
func metaDirName(dir string) string {
	name := dirMeta
	if dir == "" {
		return name
	}
	for segment := range strings.SplitSeq(dir, "/") {
		name = path.Join(name, metaSegment(segment))
	}
	return name
}

// metaSegment returns the name in .meta of a directory of objects. It differs
// from the directory's own only where that would be the name of a record: the
// objects "a" and "a.json/b" have the records "a.json" and "a.json.d/b.json".
func metaSegment(segment string) string {
	if needsHash(segment) {
		return hashName(segment)
	}
	base := segment
	for strings.HasSuffix(base, ".d") {
		base = strings.TrimSuffix(base, ".d")
	}
	if strings.HasSuffix(base, ".json") {
		return segment + ".d"
	}
	return segment
}

// metaFileName returns the name of the record of an object named name in its
// directory.
func metaFileName(name string) string {
	if needsHash(name) {
		name = hashName(name)
	}
	return name + ".json"
}

// metaName returns the path of an object's record.
func metaName(key string) string {
	dir, name := bucket.SplitKey(key)
	return path.Join(metaDirName(dir), metaFileName(name))
}

// needsHash reports whether a name is too long to take a suffix, or looks like
// the hash of one that is.
func needsHash(name string) bool {
	const longest = bucket.MaxSegmentBytes - len(".json")
	return len(name) > longest || (len(name) == 1+2*sha256.Size && name[0] == '~')
}

func hashName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "~" + hex.EncodeToString(sum[:])
}
