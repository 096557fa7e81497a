package offload

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/cluster"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// converge deals with a key as Engine.converge does; false: again.
func (n *simNode) converge(ctx context.Context, key string, it *simItem) bool {
	n.mu.Lock()
	gen, look, why, told, deleted := it.gen, it.look, it.why, it.told, it.deleted
	f, there := n.disk[key]
	n.mu.Unlock()
	file := f.state(there)
	object, info := unseenObject, bucket.Info{}
	if look || !there || told {
		var err error
		info, err = n.link.Head(ctx, "media/"+key)
		switch {
		case errors.Is(err, bucket.ErrNotFound):
			object = noObject
		case err != nil:
			return false
		case there && info.ETag == etagOf(f.content):
			object = sameObject
		case there && f.base == info.ETag && !f.strange:
			object = baseObject
		case there && info.Meta[metaNode] == n.id && file != cleanFile:
			object = heldObject
		default:
			object = otherObject
		}
	}
	if !there && deleted != "" {
		return n.finishDelete(ctx, key, it, gen, object, info, deleted)
	}
	change := cluster.Change{Op: cluster.Put, Key: key, Class: media.Public, Size: int64(len(f.content)), ETag: etagOf(f.content)}
	switch decide(file, object, why) {
	case agreed:
		if told && n.node.Append(ctx, change) != nil {
			return false
		}
	case adopt:
		if info.Meta[metaNode] == n.id && file != cleanFile && n.node.Append(ctx, change) != nil {
			return false
		}
		n.replace(key, f, simFile{content: f.content, base: info.ETag})
	case putNew, putOver, putKeeping:
		if object == heldObject {
			old := n.w.store.content("media/" + key)
			if _, err := n.link.Put(ctx, conflictName("offload/", key, etagOf(old)), strings.NewReader(old), int64(len(old)), bucket.PutOptions{}); err != nil {
				return false
			}
		}
		opts := bucket.PutOptions{Info: bucket.Info{Meta: map[string]string{metaNode: n.id}}, IfNoneMatch: true}
		if decide(file, object, why) != putNew {
			opts.IfNoneMatch, opts.IfMatch = false, f.base
			if object == heldObject {
				opts.IfMatch = info.ETag
			}
		}
		_, err := n.link.Put(ctx, "media/"+key, strings.NewReader(f.content), int64(len(f.content)), opts)
		n.mu.Lock()
		it.look, it.told = true, it.told || err == nil
		if err != nil {
			it.gen++ // what is known is old
		}
		n.mu.Unlock()
		if err != nil || n.node.Append(ctx, change) != nil {
			return false
		}
		n.replace(key, f, simFile{content: f.content, base: etagOf(f.content)})
	case keepBoth:
		name := conflictName("offload/", key, etagOf(f.content))
		if _, err := n.link.Put(ctx, name, strings.NewReader(f.content), int64(len(f.content)), bucket.PutOptions{}); err != nil {
			return false
		}
		fallthrough
	case fetch:
		o, err := n.link.Get(ctx, "media/"+key, bucket.GetOptions{})
		if err != nil {
			return false
		}
		data, err := io.ReadAll(o.Body)
		if err != nil || !n.swap(key, f, there, simFile{content: string(data), base: o.ETag}) {
			return false
		}
	case removeFile:
		if !n.remove(key, f) {
			return false
		}
	}
	return n.settle(key, it, gen)
}

func (n *simNode) finishDelete(ctx context.Context, key string, it *simItem, gen int, object objectState, info bucket.Info, deleted string) bool {
	if object != noObject && info.ETag != deleted {
		n.mu.Lock()
		it.deleted, it.look, it.why = "", true, putElsewhere
		n.mu.Unlock()
		return false // another version: it is to be fetched
	}
	if object != noObject && n.link.Delete(ctx, "media/"+key) != nil {
		return false
	}
	if n.node.Append(ctx, cluster.Change{Op: cluster.Delete, Key: key, ETag: deleted}) != nil {
		return false
	}
	return n.settle(key, it, gen)
}

// settle ends the work if nothing new was heard since.
func (n *simNode) settle(key string, it *simItem, gen int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	it.told = false
	if it.gen != gen {
		return false
	}
	delete(n.pending, key)
	n.signal()
	return true
}

// replace notes a mark, if the file is still the one that was seen.
func (n *simNode) replace(key string, was, now simFile) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f, ok := n.disk[key]; ok && f == was {
		n.disk[key] = now
	}
}

func (n *simNode) swap(key string, was simFile, there bool, now simFile) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f, ok := n.disk[key]; ok != there || f != was {
		return false
	}
	n.disk[key] = now
	return true
}

func (n *simNode) remove(key string, was simFile) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f, ok := n.disk[key]; ok && f != was {
		return false
	}
	delete(n.disk, key)
	return true
}
