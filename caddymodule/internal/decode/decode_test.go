package decode

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/decode/decodetest"
)

// TestDecoderBomb: an answer that grows out of proportion ends early and costs
// no memory.
func TestDecoderBomb(t *testing.T) {
	for _, encoding := range []string{"gzip", "br", "zstd"} {
		t.Run(encoding, func(t *testing.T) {
			bomb := decodetest.Compress(t, encoding, strings.Repeat("\x00", maxDecoded+1<<20))
			written := 0
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d := NewWriter(encoding, writerFunc(func(p []byte) (int, error) {
				written += len(p)
				return len(p), nil
			}))
			_, err := io.Copy(d, strings.NewReader(bomb))
			if closeErr := d.Close(); err == nil {
				err = closeErr
			}
			runtime.ReadMemStats(&after)
			if !errors.Is(err, errBomb) {
				t.Errorf("error %v", err)
			}
			if written > maxDecoded+maxRatio*len(bomb) {
				t.Errorf("%d bytes came out of %d", written, len(bomb))
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("%d bytes allocated", grown)
			}
		})
	}
}

// FuzzDecoder: no input hangs, panics, or gets more out than is allowed.
func FuzzDecoder(f *testing.F) {
	for i, encoding := range []string{"gzip", "br", "zstd"} {
		f.Add(byte(i), []byte(decodetest.Compress(f, encoding, "hello")), 3)
		f.Add(byte(i), []byte(decodetest.Compress(f, encoding, decodetest.Noise(5000))), 100)
	}
	f.Fuzz(func(t *testing.T, kind byte, input []byte, cut int) {
		written := 0
		d := NewWriter([]string{"gzip", "br", "zstd"}[kind%3], writerFunc(func(p []byte) (int, error) {
			written += len(p)
			return len(p), nil
		}))
		cut = max(0, min(cut, len(input)))
		for _, p := range [][]byte{input[:cut], input[cut:]} {
			if _, err := d.Write(p); err != nil {
				break
			}
		}
		_ = d.Close()
		d.Abort()
		if written > maxDecoded+maxRatio*(len(input)+1) {
			t.Errorf("%d bytes came out of %d", written, len(input))
		}
	})
}
