package rewrite

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// checkPlain compares what plainBlocks passes over with what the exact scanner
// finds there.
func checkPlain(t *testing.T, text []byte) (done, seen int) {
	t.Helper()
	blocks := (len(text) - nameMargin) / blockSize
	if blocks <= 0 || !hasVectors {
		return 0, 0
	}
	done, seen = plainBlocks(&text[0], blocks, &plainNames)
	if done < 0 || done > seen || seen > blocks*blockSize || done == seen && seen < blocks*blockSize {
		t.Fatalf("%q: done %d, seen %d", text, done, seen)
	}
	for pos := 0; pos < done; {
		if text[pos] != '<' {
			pos++
			continue
		}
		name := pos + 1
		if text[name] == '/' {
			name++
		}
		nameEnd := tagNameEnd(text, name)
		end := skipAttributes(text, nameEnd)
		switch {
		case !is(text[name], isAlpha):
			t.Fatalf("%q: passed over what is not a tag, at %d", text, pos)
		case text[pos+1] != '/' && elementOf(text[name:nameEnd]) != elOther:
			t.Fatalf("%q: passed over a special element, at %d", text, pos)
		case end < 0 || end > done:
			t.Fatalf("%q: stopped at %d, in the tag from %d to %d", text, done, pos, end)
		}
		pos = end
	}
	return done, seen
}

// plainPieces are put together to markup, most of it plain.
var plainPieces = strings.Split(`<p>|</p>|<a href="x">|<a href="">|</a>|<img alt="x" />|text text text text text|"|'|it's|>|<|</|<!-- x -->|<br/>|<i a=b>|<i a = "b">|<i a='b'>|<i a="b ">|<i a="=">|<i a="'">|<i a=">">|<i a= ">">|<i a=b">|<i ">|<i a="<b>"|<i a=">|<i a= ">|<i a='>|<i |="|=| |/|é|<é|<3|<1="|`+"\n\n|<\x00>|<p\x00>", "|")

func plainPage(rnd *rand.Rand) []byte {
	var b []byte
	for n := rnd.IntN(600); len(b) < n; {
		if rnd.IntN(4) > 0 {
			b = append(b, plainPieces[rnd.IntN(8)]...)
			continue
		}
		b = append(b, plainPieces[rnd.IntN(len(plainPieces))]...)
		if rnd.IntN(8) == 0 {
			name := []byte(elementNames[elScript:][rnd.IntN(len(elementNames)-int(elScript))])
			for i := range name {
				name[i] ^= byte(rnd.IntN(2)) << 5
			}
			b = append(append(append(b, '<'), name...), '>')
		}
	}
	return b
}

func TestPlainBlocks(t *testing.T) {
	if !hasVectors {
		t.Log("nothing to test on this processor")
		return
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	passed := 0
	for range 100000 {
		done, _ := checkPlain(t, plainPage(rnd))
		passed += done
	}
	if passed < 2e6 {
		t.Errorf("only %d bytes are plain", passed)
	}
	page := []byte(generate(100e3, 60))
	passed = 0
	for pos := 0; len(page)-pos > blockSize+nameMargin; {
		done, seen := checkPlain(t, page[pos:])
		passed += done
		pos += seen
	}
	if passed < len(page)*9/10 {
		t.Errorf("%d of %d bytes of a page are plain", passed, len(page))
	}
}

// plainBlocks passes over none of these, wherever in a block it begins.
func TestPlainBlocksStop(t *testing.T) {
	if !hasVectors {
		t.Log("nothing to test on this processor")
		return
	}
	stops := []string{"<!-- ", "<!>", "<?x>", "</ ", "</>", "< ", "<é", "<3", "<p", "<p x",
		`<p a=">`, `<p a="x" b=">`, `<p a= ">`, "<p a=\n\t\">", `<p a='>`, `<p a="b" c='>`, `<p a="=">`, `</p a=">`}
	for _, name := range elementNames[elScript:] {
		stops = append(stops, "<"+name+">", "<"+strings.ToUpper(name)+" x>", "<"+name+"\n>")
	}
	for _, stop := range stops {
		for at := range 2*blockSize + 1 {
			text := bytes.Repeat([]byte("a"), 4*blockSize)
			copy(text[at:], stop)
			if done, _ := checkPlain(t, text); done > at {
				t.Fatalf("%q at %d was passed over", stop, at)
			}
		}
	}
}

func FuzzPlain(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(plainPage(rand.New(rand.NewPCG(seed, 0))))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkPlain(t, text) })
}

// BenchmarkPlain is plainBlocks on the tags of BenchmarkTags.
func BenchmarkPlain(b *testing.B) {
	if !hasVectors {
		b.Skip("nothing to measure on this processor")
	}
	pages, size := tagPages()
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, page := range pages {
			for pos := 0; pos+blockSize+nameMargin <= len(page); {
				_, pos = skipPlain(page, pos, len(page))
			}
		}
	}
}
