package web

import (
	"fmt"
	"strings"
	"testing"
)

// TestValidatorsAreBounded: whatever URLs clients ask for.
func TestValidatorsAreBounded(t *testing.T) {
	v := newValidators(func() uint64 { return 0 })
	for i := range 2 * maxValidators {
		v.add(validated{uri: fmt.Sprint("/", i)}, appValidators{tag: `"a"`})
	}
	long := validated{uri: "/" + strings.Repeat("a", maxValidated)}
	v.add(long, appValidators{})
	if _, ok := v.find(long); ok || v.seen.Len() != maxValidators {
		t.Errorf("%d answers, a long one: %v", v.seen.Len(), ok)
	}
}

func TestMarkedTag(t *testing.T) {
	for app, want := range map[string]string{
		`"v"`:                        `W/"v~mo00000000000000ff"`,
		`W/"v"`:                      `W/"v~mw00000000000000ff"`,
		`""`:                         `W/"~mo00000000000000ff"`,
		"":                           `W/"~mo00000000000000ff"`,
		`"v~mo00000000000000aa"`:     `W/"v~mo00000000000000aa~mo00000000000000ff"`,
		`v`:                          "",
		`"v`:                         "",
		`"a"b"`:                      "",
		`"`:                          "",
		`"` + repeat("v", 257) + `"`: "",
	} {
		got, ok := markedTag(app, 255)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %s, %v", app, got, ok)
		}
		if back, ok := unmarkedTag(got); ok && back != app && app != `""` || ok != (want != "") {
			t.Errorf("%s: back %s, %v", app, back, ok)
		}
	}
	for _, tag := range []string{`"v"`, `"v~mo00000000000000ff"`, `W/"v~mo0000000000000gff"`, `W/"v~mx00000000000000ff"`, `W/"ff"`, ``} {
		if app, ok := unmarkedTag(tag); ok {
			t.Errorf("%s is marked: %s", tag, app)
		}
	}
}

// FuzzTags: a mark is taken off again, and a list is read without a panic.
func FuzzTags(f *testing.F) {
	f.Add(`"v"`, uint64(1))
	f.Add(`W/"v", "x",,W/"~mo0123456789abcdef" y`, uint64(1)<<63)
	f.Fuzz(func(t *testing.T, text string, sum uint64) {
		if tag, ok := markedTag(text, sum); ok {
			if app, ok := unmarkedTag(tag); !ok || app != text && text != `""` {
				t.Errorf("%q became %q, and %q again", text, tag, app)
			}
		}
		eachTag([]string{text}, func(tag string) bool {
			if _, _, ok := parseTag(tag); !ok || !strings.Contains(text, tag) {
				t.Errorf("%q has %q", text, tag)
			}
			return true
		})
	})
}
