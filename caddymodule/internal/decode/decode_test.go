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

// TestSloppyBodies: what browsers show of a body that an app compressed by itself, and
// not quite right, is decoded, too.
func TestSloppyBodies(t *testing.T) {
	const text = "<p>hello, hello, hello</p>"
	for _, encoding := range []string{"gzip", "br", "zstd"} {
		good := decodetest.Compress(t, encoding, text)
		bodies := map[string]string{
			"a newline behind it":  good + "\n",
			"a comment behind it":  good + "<!-- cached by a plugin, in a while -->",
			"zeros behind it":      good + strings.Repeat("\x00", 100),
			"its end is cut off":   good[:len(good)-3],
			"its middle and end":   good[:len(good)/2],
			"nothing but a letter": good[:1],
		}
		if encoding == "gzip" {
			trailer := len(good) - 8
			bodies["no trailer"] = good[:trailer]
			bodies["half a trailer"] = good[:trailer+4]
			bodies["a wrong checksum"] = good[:trailer] + "\x00\x00\x00\x00" + good[trailer+4:]
			bodies["a wrong length"] = good[:trailer+4] + "\x00\x00\x00\x00"
			bodies["two members"] = good + good
			bodies["two members and a newline"] = good + good + "\n"
		}
		for name, body := range bodies {
			t.Run(encoding+"/"+name, func(t *testing.T) {
				var got strings.Builder
				d := NewWriter(encoding, &got)
				for i := range len(body) { // in the smallest pieces
					if _, err := d.Write([]byte(body[i : i+1])); err != nil {
						t.Fatal(err)
					}
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				want := text
				switch {
				case strings.HasPrefix(name, "two members"):
					want = text + text
				case strings.HasPrefix(name, "its") || strings.HasPrefix(name, "nothing"):
					want = got.String()
					if !strings.HasPrefix(text, want) {
						t.Errorf("decoded to %q", want)
					}
				}
				if got.String() != want {
					t.Errorf("decoded to %q", got.String())
				}
			})
		}
	}
}
