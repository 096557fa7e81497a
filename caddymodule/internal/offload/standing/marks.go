package standing

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"sync"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// Marks says what stands on committed files.
type Marks struct {
	bucket string // the bucket's id
	rules  string // by which files that name others are looked through
	log    func() *slog.Logger

	none sync.Once // the log line that files cannot be marked
}

// NewMarks returns the marks of one bucket. rules names what it is that files which name
// others are looked through by: what a mark says by other rules is not known.
func NewMarks(bucket, rules string, log func() *slog.Logger) *Marks {
	return &Marks{bucket: bucket, rules: rules, log: log}
}

// Binding binds a mark to this key in this bucket.
func (m *Marks) Binding(key string) string {
	sum := sha256.Sum256([]byte(m.bucket + "\x00" + key))
	return hex.EncodeToString(sum[:8])
}

// Put notes on a file that it is committed. Without marks everything works,
// only a start has more to compare.
func (m *Marks) Put(key string, now index.Entry, f *os.File) {
	mark := m.Of(key, now)
	if old, ok := local.ReadMark(f); ok && old == mark {
		return
	}
	err := local.WriteMark(f, mark)
	if err == nil {
		return
	}
	if errors.Is(err, local.ErrNoAttributes) {
		m.none.Do(func() {
			m.log().Info("files cannot be marked as committed, so each start compares them with the bucket by content; "+
				"to avoid that, use a file system with extended attributes and let Caddy write to the media files",
				"key", key, "error", err)
		})
		return
	}
	m.log().Debug("marking a file as committed", "key", key, "error", err)
}

// Of is the mark of a file that is committed as now says.
func (m *Marks) Of(key string, now index.Entry) local.Mark {
	mark := local.Mark{
		Size: now.Size, ModTime: now.ModTime, ETag: now.ETag,
		Class: now.Letter(), Binding: m.Binding(key),
	}
	if MayBeMoved(key, now) && now.Found.Known {
		mark.Place, mark.Rules = now.Found.Place, m.rules
	}
	return mark
}

// Fits reports whether a mark says that the file described by now is committed.
func (m *Marks) Fits(mark local.Mark, key string, now index.Entry) bool {
	return mark.Size == now.Size && mark.ModTime == now.ModTime && mark.Class == now.Letter() && mark.Binding == m.Binding(key)
}

// Found is what a mark tells of the place of a file that may name others.
func (m *Marks) Found(mark local.Mark) index.Finding {
	return index.Finding{Place: mark.Place, Known: mark.Rules == m.rules}
}

// MayBeMoved reports whether it makes a difference from where a file may be used.
func MayBeMoved(key string, x index.Entry) bool {
	return x.Class == media.Public && media.NamingType(key) != ""
}
