// Package check compares what is on an app's disk with what is in the bucket.
//
// It decides for itself which files belong there, so that it can disagree with
// the module.
package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

// Where the module keeps public objects, private ones, and its own.
const (
	publicPrefix  = "media/"
	privatePrefix = "private/"
	controlPrefix = "offload/"
)

// BucketOnly begins the lines of Compare about objects that are not on disk.
const BucketOnly = "in the bucket, not on disk: "

// types are the content types that objects must have, by extension.
var types = map[string]string{
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp",
	".pdf": "application/pdf", ".mp4": "video/mp4", ".css": "text/css", ".txt": "text/plain",
}

// Public reports whether the file of that key is one that the public may have:
// an ordinary file name, in no hidden folder.
func Public(key string) bool {
	for segment := range strings.SplitSeq(key, "/") {
		if strings.HasPrefix(segment, ".") {
			return false
		}
	}
	switch strings.ToLower(path.Ext(key)) {
	case ".php", ".phtml", ".phar", ".log", ".sql", ".tmp":
		return false
	}
	return true
}

// Files lists the public files below root, as keys.
func Files(root string) ([]string, error) {
	var keys []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // removed while we look
			}
			return err
		}
		if name == root || !entry.Type().IsRegular() {
			return nil
		}
		if key := filepath.ToSlash(name[len(root)+1:]); Public(key) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", root, err)
	}
	slices.Sort(keys)
	return keys, nil
}

// Checker compares an app's media with one bucket. What it has found equal it
// does not read again until one of the two changes.
type Checker struct {
	// Root is the media root of an app that has one.
	Root string
	// Roots are those of an app that has several, by the names that its keys
	// begin with.
	Roots  map[string]string
	Bucket env.Bucket
	// Private and Ignored are folders, as keys with a slash at the end: what is
	// in them must be a private object, or none.
	Private, Ignored []string

	equal map[string]string // object to the versions of file and object
}

// Objects lists the files that must be in the bucket, by the keys of their
// objects.
func (c *Checker) Objects() (map[string]string, error) {
	roots := c.Roots
	if roots == nil {
		roots = map[string]string{"": c.Root}
	}
	objects := map[string]string{}
	for name, root := range roots {
		keys, err := Files(root)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			file := filepath.Join(root, filepath.FromSlash(key))
			key = path.Join(name, key)
			switch {
			case within(key, c.Ignored):
			case within(key, c.Private):
				objects[privatePrefix+key] = file
			default:
				objects[publicPrefix+key] = file
			}
		}
	}
	return objects, nil
}

// within reports whether the key lies in one of the folders.
func within(key string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(key, folder) })
}

// Compare returns one line for each difference between the files and the
// bucket: missing, surplus, other bytes, wrong type.
func (c *Checker) Compare(ctx context.Context) ([]string, error) {
	files, err := c.Objects()
	if err != nil {
		return nil, err
	}
	objects, err := c.Bucket.Objects(ctx)
	if err != nil {
		return nil, err
	}
	var problems []string
	for object := range objects {
		key, public := strings.CutPrefix(object, publicPrefix)
		_, found := files[object]
		switch {
		case found, strings.HasPrefix(object, controlPrefix):
		case public:
			problems = append(problems, BucketOnly+key)
		default:
			problems = append(problems, "unexpected object: "+object)
		}
	}
	for object, file := range files {
		version, stored := objects[object]
		if !stored {
			problems = append(problems, "on disk, not in the bucket: "+strings.TrimPrefix(object, publicPrefix))
			continue
		}
		problem, err := c.compareOne(ctx, file, object, version)
		if err != nil {
			return nil, err
		}
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	slices.Sort(problems)
	return problems, nil
}

func (c *Checker) compareOne(ctx context.Context, file, key, version string) (string, error) {
	local, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("comparing %s: %w", key, err)
	}
	defer local.Close()
	info, err := local.Stat()
	if err != nil {
		return "", fmt.Errorf("comparing %s: %w", key, err)
	}
	versions := env.Version(info) + " / " + version
	if c.equal[key] == versions {
		return "", nil
	}
	object, err := c.Bucket.Read(ctx, key)
	if err != nil {
		return "", err
	}
	defer object.Body.Close()
	if want := types[strings.ToLower(path.Ext(key))]; want != "" {
		if got, _, err := mime.ParseMediaType(object.ContentType); err != nil || got != want {
			return fmt.Sprintf("type of %s: %q, not %q", key, object.ContentType, want), nil
		}
	}
	same, err := sameContent(local, object.Body)
	if err != nil {
		return "", fmt.Errorf("comparing %s: %w", key, err)
	}
	if !same {
		return "other bytes in the bucket: " + key, nil
	}
	if c.equal == nil {
		c.equal = map[string]string{}
	}
	c.equal[key] = versions
	return "", nil
}

func sameContent(a, b io.Reader) (bool, error) {
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		endA := errors.Is(errA, io.EOF) || errors.Is(errA, io.ErrUnexpectedEOF)
		endB := errors.Is(errB, io.EOF) || errors.Is(errB, io.ErrUnexpectedEOF)
		switch {
		case endA && endB:
			return true, nil
		case errA != nil && !endA:
			return false, errA
		case errB != nil && !endB:
			return false, errB
		case endA != endB:
			return false, nil
		}
	}
}

// Eventually compares until there is no difference, for at most within. It
// returns the time that took, or the last differences as an error.
func (c *Checker) Eventually(ctx context.Context, within time.Duration) (time.Duration, error) {
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		problems, err := c.Compare(ctx)
		took := time.Since(start)
		if err == nil && len(problems) == 0 {
			return took, nil
		}
		if took > within {
			return took, errors.Join(err, fmt.Errorf("disk and bucket differ after %s:\n%s", took.Round(time.Millisecond), strings.Join(problems, "\n")))
		}
		select {
		case <-ctx.Done():
			return took, ctx.Err()
		case <-tick.C:
		}
	}
}
