package offload

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/local"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/index"
)

// binding binds a mark to this key in this bucket.
func (e *Engine) binding(key string) string {
	sum := sha256.Sum256([]byte(e.bucketID + "\x00" + key))
	return hex.EncodeToString(sum[:8])
}

// mark notes on the file that it is committed. Without marks everything works,
// only a start has more to compare.
func (e *Engine) mark(key string, now index.Entry, f *os.File) {
	m := e.markOf(key, now)
	if old, ok := local.ReadMark(f); ok && old == m {
		return
	}
	err := local.WriteMark(f, m)
	if err == nil {
		return
	}
	if errors.Is(err, local.ErrNoAttributes) {
		e.count.noMarks.Do(func() {
			e.log().Info("files cannot be marked as committed, so each start compares them with the bucket by content; "+
				"to avoid that, use a file system with extended attributes and let Caddy write to the media files",
				keyKey, key, keyError, err)
		})
		return
	}
	e.log().Debug("marking a file as committed", keyKey, key, keyError, err)
}

// markOf is the mark of a file that is committed as now says.
func (e *Engine) markOf(key string, now index.Entry) local.Mark {
	m := local.Mark{
		Size: now.Size, ModTime: now.ModTime, ETag: now.ETag,
		Class: now.Letter(), Binding: e.binding(key),
	}
	if mayBeMoved(key, now) && now.Found.Known {
		m.Place, m.Rules = now.Found.Place, e.cfg.Inspector.Rules
	}
	return m
}

// markFits reports whether m says that the file described by now is committed.
func (e *Engine) markFits(m local.Mark, key string, now index.Entry) bool {
	return m.Size == now.Size && m.ModTime == now.ModTime && m.Class == now.Letter() && m.Binding == e.binding(key)
}
