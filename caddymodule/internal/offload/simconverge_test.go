package offload

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/bucket"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/changelog"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/verdict"
)

// converge deals with a key as Engine.converge does; false: again.
func (n *simNode) converge(ctx context.Context, key string, it *simItem) bool {
	n.mu.Lock()
	seen := *it
	f, there := n.disk[key]
	n.mu.Unlock()
	object, info, err := n.see(ctx, key, f, there, seen)
	if err != nil {
		return false
	}
	if !there && seen.gone {
		return n.finishDelete(ctx, key, it, seen, object, info)
	}
	file := f.state(there)
	must := verdict.Of(file, object, seen.why, false)
	n.w.note(n.id, key, "file %d %q, object %d %s, cause %d: verdict %d", file, f.content, object, info.ETag, seen.why, must)
	switch must {
	case verdict.Agreed:
		if seen.untold && n.tell(ctx, changelog.Put, key, f.content) != nil {
			return false
		}
	case verdict.Adopt:
		own := info.Meta[metaNode] == n.id && file != verdict.CleanFile
		if (own || seen.mayTell()) && n.tell(ctx, changelog.Put, key, f.content) != nil {
			return false
		}
		n.replace(key, f, simFile{content: f.content, base: info.ETag})
	case verdict.PutNew:
		if !n.put(ctx, key, it, f, bucket.PutOptions{IfNoneMatch: true}) {
			return false
		}
	case verdict.PutOver:
		if !n.put(ctx, key, it, f, bucket.PutOptions{IfMatch: f.base}) {
			return false
		}
	case verdict.PutKeeping:
		if n.aside(ctx, key, n.w.content(key)) != nil || !n.put(ctx, key, it, f, bucket.PutOptions{IfMatch: info.ETag}) {
			return false
		}
	case verdict.KeepBoth:
		if n.aside(ctx, key, f.content) != nil || !n.fetch(ctx, key, it, f, there, true) {
			return false
		}
	case verdict.Fetch:
		if !n.fetch(ctx, key, it, f, there, seen.mayTell()) {
			return false
		}
	case verdict.RemoveFile, verdict.RemoveKeeping: // the trash is no part of this
		if !n.remove(key, f) {
			return false
		}
	}
	return n.settle(key, it, seen.gen)
}

// see looks at the bucket.
func (n *simNode) see(ctx context.Context, key string, f simFile, there bool, seen simItem) (verdict.ObjectState, bucket.Info, error) {
	if !seen.look && there && !seen.untold {
		return verdict.UnseenObject, bucket.Info{}, nil
	}
	info, err := n.link.Head(ctx, "media/"+key)
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return verdict.NoObject, info, nil
	case err != nil:
		return 0, info, err
	case there && info.ETag == etagOf(f.content):
		return verdict.SameObject, info, nil
	case there && f.base == info.ETag && !f.strange:
		return verdict.BaseObject, info, nil
	case there && info.Meta[metaNode] == n.id && f.state(there) != verdict.CleanFile:
		return verdict.HeldObject, info, nil
	}
	return verdict.OtherObject, info, nil
}

func (n *simNode) tell(ctx context.Context, op changelog.Op, key, content string) error {
	return n.log.Append(ctx, changelog.Change{Op: op, Key: key, Class: media.Public, Size: int64(len(content)), ETag: etagOf(content)})
}

func (n *simNode) aside(ctx context.Context, key, content string) error {
	name := conflictName("offload/", key, etagOf(content))
	_, err := n.link.Put(ctx, name, strings.NewReader(content), int64(len(content)), bucket.PutOptions{})
	return err
}

func (n *simNode) put(ctx context.Context, key string, it *simItem, f simFile, opts bucket.PutOptions) bool {
	opts.Info.Meta = map[string]string{metaNode: n.id, metaNonce: it.nonce}
	_, err := n.link.Put(ctx, "media/"+key, strings.NewReader(f.content), int64(len(f.content)), opts)
	n.mu.Lock()
	it.look, it.untold = true, it.untold || mayHaveStored(err)
	if err != nil {
		it.gen++ // what is known is old
	}
	n.mu.Unlock()
	if err != nil || n.tell(ctx, changelog.Put, key, f.content) != nil {
		return false
	}
	n.replace(key, f, simFile{content: f.content, base: etagOf(f.content)})
	return true
}

func (n *simNode) fetch(ctx context.Context, key string, it *simItem, f simFile, there, tell bool) bool {
	o, err := n.link.Get(ctx, "media/"+key, bucket.GetOptions{})
	if err != nil {
		return false
	}
	data, err := io.ReadAll(o.Body)
	if err != nil || !n.swap(key, f, there, simFile{content: string(data), base: o.ETag}) {
		return false
	}
	if tell && n.tell(ctx, changelog.Put, key, string(data)) != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		it.untold = true
		return false
	}
	return true
}

// finishDelete deletes what was on this disk.
func (n *simNode) finishDelete(ctx context.Context, key string, it *simItem, seen simItem, object verdict.ObjectState, info bucket.Info) bool {
	n.w.note(n.id, key, "deleted as %s, object %d %s", seen.deleted, object, info.ETag)
	if object != verdict.NoObject && info.ETag != seen.deleted && info.Meta[metaNonce] != it.nonce {
		n.mu.Lock()
		it.gone, it.look, it.why = false, true, verdict.PutElsewhere
		n.mu.Unlock()
		return false // another version: it is to be fetched
	}
	if object != verdict.NoObject && n.link.Delete(ctx, "media/"+key) != nil {
		return false
	}
	if n.log.Append(ctx, changelog.Change{Op: changelog.Delete, Key: key, ETag: seen.deleted}) != nil {
		return false
	}
	return n.settle(key, it, seen.gen)
}

// settle ends the work if nothing new was heard since.
func (n *simNode) settle(key string, it *simItem, gen int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	it.untold = false
	if it.gen != gen {
		return false
	}
	delete(n.pending, key)
	n.signal()
	n.w.note(n.id, key, "done")
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
