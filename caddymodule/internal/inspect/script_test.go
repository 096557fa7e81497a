package inspect

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

// ownURLScripts are scripts that do other things at another URL, and others do not.
var ownURLScripts = []struct {
	script string
	want   bool
}{
	// webpack's publicPath "auto", of its versions 4 and 5.
	{`var e;(t.g.importScripts&&(e=t.g.location+""));var r=t.g.document;!e&&r&&(r.currentScript&&"SCRIPT"===r.currentScript.tagName.toUpperCase()&&(e=r.currentScript.src)`, true},
	{`if(!e){var n=r.getElementsByTagName("script");if(n.length)for(var o=n.length-1;o>-1&&!e;)e=n[o--].src}`, true},
	{`document.getElementsByTagName( 'script' )`, true},
	{"d.getElementsByTagName(`SCRIPT`)", true},
	{`document.querySelector("script[src*='player.js']").src`, true},
	{`jQuery('script').last().attr('src')`, true},
	{`$("script[data-x]")`, true},
	{`for (s of document.scripts) {}`, true},
	{`new URL("./a.wasm",import.meta.url)`, true},
	{`button.onclick=()=>import("./lazy.js")`, true},
	{`import{a}from"./a.js"`, true},
	{`import"./a.js"`, true},
	{`export{a as b}`, true},
	{"x;export default function(){}", true},
	{"export \n const a = 1", true},
	{`self.importScripts("a.js")`, true},
	{`new Worker(u)`, true},
	{`new window.SharedWorker(u)`, true},
	{"var cs = document['currentScript']", true},
	{"i\x00m\x00p\x00o\x00r\x00t\x00", true},

	{``, false},
	{`document.createElement("script").src="/wp-includes/js/a.js"`, false},
	{`p.getElementsByTagName("img");p.getElementsByTagName("scripture");p.querySelector(".script")`, false},
	{`a="important;@import url(x.css)";b=c.importance+exports.x+imported`, false},
	{`navigator.serviceWorker.register("/sw.js")`, false},
	{`x.export("a");f.$("a")`, false},
	{`o$import=1;_currentScript=2`, false},
}

// TestGoesByItsURL: a script that finds its neighbours by its own URL is told from one
// that does not.
//
// Promise 4: "never for a file whose own URLs would then lead elsewhere".
func TestGoesByItsURL(t *testing.T) {
	for _, test := range ownURLScripts {
		for _, before := range []int{0, scriptChunk - 9, scriptChunk - maxScriptSign, 3*scriptChunk + 1} {
			script := strings.Repeat(" ", before) + test.script + strings.Repeat("\n", before%100)
			got, err := goesByItsURL(iotest.HalfReader(strings.NewReader(script)))
			if err != nil || got != test.want {
				t.Errorf("%q after %d bytes: %v, %v", test.script, before, got, err)
			}
		}
	}
	broken := errors.New("broken")
	if _, err := goesByItsURL(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a script that cannot be read: %v", err)
	}
}

// FuzzGoesByItsURL: in pieces a script is what it is as a whole.
func FuzzGoesByItsURL(f *testing.F) {
	for _, test := range ownURLScripts {
		f.Add(test.script, uint16(0))
		f.Add(test.script, uint16(scriptChunk-len(test.script)/2))
	}
	f.Fuzz(func(t *testing.T, script string, before uint16) {
		script = strings.Repeat(" ", int(before)) + script
		got, err := goesByItsURL(strings.NewReader(script))
		if err != nil || got != hasScriptSign([]byte("\n"+script), true) {
			t.Errorf("%q: %v, %v", script, got, err)
		}
	})
}

func BenchmarkGoesByItsURL(b *testing.B) {
	script := strings.Repeat(`function f(e,t){return e.importance?t.$(e.querySelector(".x")):document.createElement("script")}`+"\n", 1000)
	b.SetBytes(int64(len(script)))
	for b.Loop() {
		if _, err := goesByItsURL(strings.NewReader(script)); err != nil {
			b.Fatal(err)
		}
	}
}
