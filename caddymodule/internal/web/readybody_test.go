package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
)

// TestHeldBody: nothing of a body's last bytes comes before pass was asked, and
// it is asked when all has been read; then the body is whole.
func TestHeldBody(t *testing.T) {
	content := []byte(repeat("0123456789", 100_000))
	for _, size := range []int{1, 2, heldBack - 1, heldBack, heldBack + 1, 2 * heldBack, 4096, 32<<10 + 1, 100_000} {
		for _, length := range []int64{int64(size), -1} {
			for name, wrap := range map[string]func(io.Reader) io.Reader{
				"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "data and EOF": iotest.DataErrReader,
			} {
				for _, chunk := range []int{1, 7, heldBack, 32 << 10} {
					source := bytes.NewReader(content[:size])
					passed, ended := false, false
					var got []byte
					body := newHeldBody(wrap(source), length, func() error {
						if passed || source.Len() > 0 {
							t.Errorf("asked twice (%v), or with %d bytes to come", passed, source.Len())
						}
						passed = true
						return nil
					}, func() {
						if ended = true; !passed {
							t.Error("it has ended before the gate was asked")
						}
					})
					buf := make([]byte, chunk)
					var err error
					for err == nil {
						var n int
						n, err = body.Read(buf)
						if !ended && n > 0 && len(got)+n > size-heldBack {
							t.Fatalf("%d of %d bytes before the gate was asked", len(got)+n, size)
						}
						got = append(got, buf[:n]...)
					}
					if err != io.EOF || !passed || !bytes.Equal(got, content[:size]) {
						t.Fatalf("%d bytes, length %d, %s, by %d: %d bytes, %v", size, length, name, chunk, len(got), err)
					}
					if n, err := body.Read(buf); n != 0 || err != io.EOF {
						t.Errorf("after the end: %d, %v", n, err)
					}
				}
			}
		}
	}
}

// TestHeldBodyThatFails: an error of the client's reaches the app where it
// happened, without the gate; one of the gate's in place of the last bytes.
func TestHeldBodyThatFails(t *testing.T) {
	const size = 1000
	gone, closed := errors.New("client gone"), errors.New("gate closed")
	for _, length := range []int64{size, -1} {
		ends := 0
		source := io.MultiReader(strings.NewReader(repeat("x", size/2)), failingReader{gone})
		body := newHeldBody(source, length, func() error { t.Error("asked"); return nil }, func() { ends++ })
		if got, err := io.ReadAll(body); len(got) != size/2 || !errors.Is(err, gone) {
			t.Errorf("length %d: %d bytes, %v", length, len(got), err)
		}
		body = newHeldBody(strings.NewReader(repeat("x", size)), length, func() error { return closed }, func() { ends++ })
		for range 2 {
			if got, err := io.ReadAll(body); len(got) > size-heldBack || !errors.Is(err, closed) {
				t.Errorf("length %d: %d bytes, %v", length, len(got), err)
			}
		}
		if ends != 2 {
			t.Errorf("length %d: two bodies have ended %d times", length, ends)
		}
	}
}

// FuzzHeldBody: a body comes through whole, however it is read.
func FuzzHeldBody(f *testing.F) {
	f.Add([]byte("--XX--\r\n"), uint64(1), false)
	f.Add(bytes.Repeat([]byte("x"), 1000), uint64(2), true)
	f.Fuzz(func(t *testing.T, content []byte, seed uint64, known bool) {
		length := int64(-1)
		if known {
			length = int64(len(content))
		}
		random := rand.New(rand.NewPCG(seed, 0))
		asked := 0
		body := newHeldBody(iotest.HalfReader(bytes.NewReader(content)), length, func() error { asked++; return nil }, func() {})
		var got []byte
		for {
			buf := make([]byte, random.IntN(300))
			n, err := body.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil {
				break
			}
		}
		if asked != 1 || !bytes.Equal(got, content) {
			t.Errorf("%d of %d bytes, asked %d times", len(got), len(content), asked)
		}
	})
}

// BenchmarkBody is the speed of a body that passes, as it is and with its names
// read and its end kept back.
func BenchmarkBody(b *testing.B) {
	content := make([]byte, 16<<20)
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	buf := make([]byte, 32<<10)
	site, err := media.New(media.Config{Preset: "wordpress", DocRoot: "/var/www"})
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"plain", "of known length", "of unknown length"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				var body io.Reader = bytes.NewReader(content)
				if name != "plain" {
					scanner := site.NewNameScanner("multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", func(string) {})
					length := int64(len(content))
					if name != "of known length" {
						length = -1
					}
					body = newHeldBody(&scannedBody{src: body, scanner: scanner}, length, func() error { return nil }, func() {})
				}
				if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, buf); n != int64(len(content)) || err != nil {
					b.Fatal(fmt.Errorf("%d bytes: %w", n, err))
				}
			}
		})
	}
}
