package env

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Bucket is what a test sees of a bucket, past the module.
type Bucket interface {
	// Caddyfile is the bucket option of the media_offload directive.
	Caddyfile() string
	// Objects lists all objects: key, for example "media/2026/11/a.jpg", to a
	// text that changes whenever the content does.
	Objects(ctx context.Context) (map[string]string, error)
	// Read opens an object; the caller closes its body.
	Read(ctx context.Context, key string) (*Object, error)
	// Uploads lists what is left of unfinished uploads: keys of multipart
	// uploads, names of temporary files.
	Uploads(ctx context.Context) ([]string, error)
}

// Object is an open object.
type Object struct {
	Body io.ReadCloser
	// ContentType is empty where the bucket has no way to tell it.
	ContentType string
}

// DirBucket is a file:// bucket.
type DirBucket struct{ Dir string }

// DirBucket makes a folder for a file:// bucket.
func (e *Env) DirBucket(name string) (*DirBucket, error) {
	dir, err := e.Folder(name, nil)
	if err != nil {
		return nil, err
	}
	return &DirBucket{Dir: dir}, nil
}

// Caddyfile is the bucket option of the media_offload directive.
func (b *DirBucket) Caddyfile() string { return "bucket file://" + b.Dir + "\n" }

// ServeMedia is a site of a Caddyfile that serves the public objects.
func (b *DirBucket) ServeMedia(address string, directives ...string) string {
	return block(address, "bind 127.0.0.1", "root * "+filepath.Join(b.Dir, "media"), strings.Join(directives, "\n"), "file_server")
}

// The names that a file:// bucket keeps for itself.
const (
	dirMeta = ".meta" // what is known of each object, as KEY.json
	dirTemp = ".tmp"  // objects being written
)

// Objects lists the plain files of the folder. What the store notes beside
// them has names that begin with a dot.
func (b *DirBucket) Objects(context.Context) (map[string]string, error) {
	keys, err := walk(b.Dir, func(name string) bool { return !strings.HasPrefix(name, ".") })
	if err != nil {
		return nil, err
	}
	objects := make(map[string]string, len(keys))
	for _, key := range keys {
		info, err := os.Stat(filepath.Join(b.Dir, filepath.FromSlash(key)))
		if os.IsNotExist(err) {
			continue // removed while we look
		}
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", b.Dir, err)
		}
		objects[key] = Version(info)
	}
	return objects, nil
}

// Version is a text that changes whenever the file's content does.
func Version(info fs.FileInfo) string {
	inode := uint64(0)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	return fmt.Sprintf("%d %d %d", inode, info.Size(), info.ModTime().UnixNano())
}

// Uploads lists temporary files.
func (b *DirBucket) Uploads(context.Context) ([]string, error) {
	return walk(filepath.Join(b.Dir, dirTemp), func(string) bool { return true })
}

// Hidden lists files whose own name, or a folder's, begins with a dot, below
// any folder.
func Hidden(dir string) ([]string, error) {
	all, err := walk(dir, func(string) bool { return true })
	return slices.DeleteFunc(all, func(key string) bool {
		return !strings.HasPrefix(key, ".") && !strings.Contains(key, "/.")
	}), err
}

// walk lists the files below dir, slash-separated, whose own name and whose
// folders' names satisfy want. A folder that does not exist has none.
func walk(dir string, want func(name string) bool) ([]string, error) {
	var keys []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil // also: removed while we look
		case err != nil:
			return err
		case path == dir:
			return nil
		case !want(entry.Name()) && entry.IsDir():
			return filepath.SkipDir
		case want(entry.Name()) && entry.Type().IsRegular():
			keys = append(keys, filepath.ToSlash(path[len(dir)+1:]))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", dir, err)
	}
	return keys, nil
}

// Read opens an object.
func (b *DirBucket) Read(_ context.Context, key string) (*Object, error) {
	var record struct {
		ContentType string `json:"content_type"`
	}
	// A file put there by hand has no record, and no type.
	noted, err := os.ReadFile(filepath.Join(b.Dir, dirMeta, filepath.FromSlash(key)+".json"))
	if err == nil {
		err = json.Unmarshal(noted, &record)
	}
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("reading what is noted of object %s: %w", key, err)
	}
	f, err := os.Open(filepath.Join(b.Dir, filepath.FromSlash(key)))
	if err != nil {
		return nil, fmt.Errorf("reading object %s: %w", key, err)
	}
	return &Object{Body: f, ContentType: record.ContentType}, nil
}
