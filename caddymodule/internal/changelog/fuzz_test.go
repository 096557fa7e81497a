package changelog

import (
	"reflect"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// Whatever is in the bucket, what comes out of an entry is fit to be used, and
// is the same when it is written and read again.
func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte(`{"v":1,"w":"0123456789abcdef","n":"0123456789abcdef","changes":[{"op":"put","key":"a/b.jpg","class":"public","size":5,"mtime":"2026-11-21T22:00:00.5Z","etag":"abc"},{"op":"delete_below","key":"a"}]}`))
	f.Add([]byte(`{"v":1,"w":"0123456789abcdef","n":"0123456789abcdef","changes":[{"op":"put","key":"../b.jpg","class":"public"}]}`))
	f.Add([]byte(`{"v":1,"w":"0123456789abcdef","n":"0123456789abcdef","changes":[{"op":"put","key":"b","class":"public","mtime":"0000-01-01T00:00:00+23:59","size":-1}]}`))
	f.Add([]byte(`{"v":1,"w":"0123456789abcdef","n":"0123456789abcdef","changes":[{"op":"put","key":"b","class":"public","mtime":"0000-01-01T00:00:00Z"},{"op":"put","key":"b","class":"public","mtime":"9999-12-31T23:59:59-01:00"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, _, err := decodeEntry(data)
		if err != nil {
			return
		}
		calls, err := splitChanges(e.Changes)
		if err != nil {
			t.Fatalf("a change that was read cannot be written: %v", err)
		}
		var again []Change
		for _, call := range calls {
			encoded, err := encodeEntry(e.Writer, e.Nonce, call.changes)
			if err != nil || len(encoded) > maxEntry {
				t.Fatalf("%d bytes, %v", len(encoded), err)
			}
			part, refused, err := decodeEntry(encoded)
			if err != nil || refused != nil {
				t.Fatal(err, refused)
			}
			again = append(again, part.Changes...)
		}
		if len(again) != len(e.Changes) || len(again) > 0 && !reflect.DeepEqual(again, e.Changes) {
			t.Fatalf("%+v became %+v", e.Changes, again)
		}
		for _, c := range e.Changes {
			if media.CheckKey(c.Key) != nil || c.Size < 0 || c.Op < Put || c.Op > DeleteBelow {
				t.Fatalf("%+v", c)
			}
		}
	})
}

func FuzzEntryNumber(f *testing.F) {
	f.Add("00000000000000000001")
	f.Add("99999999999999999999")
	f.Fuzz(func(t *testing.T, name string) {
		if number, ok := entryNumber(name); ok && (entryName(number) != name || number == 0 || number > maxNumber) {
			t.Fatalf("%q is %d", name, number)
		}
	})
}
