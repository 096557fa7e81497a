package lease

import "testing"

// Whatever is in the bucket, a lease that is read is fit to be used, and is the same when
// it is written and read again.
func FuzzDecodeLease(f *testing.F) {
	f.Add([]byte(`{"v":1,"owner":"0123456789abcdef","nonce":"0123456789abcdef","state":"held","ttl_ms":10000}`))
	f.Add([]byte(`{"v":1,"owner":"0123456789abcdef","nonce":"0123456789abcdef","state":"free","ttl_ms":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := decodeRecord(data)
		if err != nil {
			return
		}
		if l.ttl() < minTTL || l.ttl() > maxTTL || l.State != stateHeld && l.State != stateFree {
			t.Fatalf("%+v", l)
		}
		again, err := decodeRecord(l.encode())
		if err != nil || again != l {
			t.Fatalf("%+v became %+v, %v", l, again, err)
		}
	})
}
