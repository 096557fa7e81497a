package identity

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// Whatever stands in an identity, hosts are names, few, and each once; what an older or
// newer program writes is read.
func TestIdentityHosts(t *testing.T) {
	t.Parallel()
	many, err := json.Marshal(slices.Repeat([]string{"a.example"}, 5*maxHosts))
	if err != nil {
		t.Fatal(err)
	}
	var distinct []string
	for i := range 5 * maxHosts {
		distinct = append(distinct, fmt.Sprintf("h%d.example", i))
	}
	lots, err := json.Marshal(distinct)
	if err != nil {
		t.Fatal(err)
	}
	for hosts, want := range map[string][]string{
		``:                                 nil,
		`,"hosts":null`:                    nil,
		`,"hosts":[]`:                      nil,
		`,"hosts":"a.example"`:             nil,
		`,"hosts":{"a.example":1}`:         nil,
		`,"hosts":["a.example"],"new":[1]`: {"a.example"},
		`,"hosts":["a.example",1,null,"127.0.0.1","localhost","*.example","A.example","b.example","b.example","a/b.c","x.\n"]`: {"a.example", "b.example"},
		`,"hosts":` + string(many): {"a.example"},
		`,"hosts":` + string(lots): distinct[:maxHosts],
	} {
		f, err := ParseFile([]byte(`{"v":1,"id":"` + adoptedEra + `","era":"` + adoptedEra + `"` + hosts + `}`))
		if err != nil || !slices.Equal(f.Hosts, want) {
			t.Errorf("%.80s: %d hosts %.80q, %v", hosts, len(f.Hosts), f.Hosts, err)
		}
	}
}

func FuzzSiteFile(f *testing.F) {
	f.Add([]byte(`{"v":1,"id":"` + adoptedEra + `","era":"` + adoptedEra + `","hosts":["www.example.com"]}`))
	f.Add([]byte(`{"v":1,"id":"` + adoptedEra + `","era":"` + adoptedEra + `","hosts":["www.example.com","b.example"],"forgotten":["a.example","b.example"],` +
		`"added":{"www.example.com":{"t":"2026-11-30T00:00:00Z","by":"web1"},"x.example":1,"b.example":{"by":"\u001b[2J"}}}`))
	f.Add([]byte(`{"v":1,"hosts":[[]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		site, err := ParseFile(data)
		if err != nil {
			return
		}
		for _, list := range [][]string{site.Hosts, site.Forgotten} {
			if len(list) > maxHosts || !slices.Equal(list, checkedHosts(list)) {
				t.Errorf("hosts %q", list)
			}
		}
		for host, note := range site.Added {
			if !slices.Contains(site.Hosts, host) || !isMachineName(note.By) {
				t.Errorf("a note of %q: %+v", host, note)
			}
		}
		for _, host := range site.Forgotten {
			if slices.Contains(site.Hosts, host) {
				t.Errorf("%s is forgotten, and is not", host)
			}
		}
		text, err := json.Marshal(site)
		if err != nil || len(text) > maxFile {
			t.Errorf("%d bytes, %v", len(text), err)
		}
		again, err := ParseFile(text)
		if err != nil || again.ID != site.ID || again.Era != site.Era || !slices.Equal(again.Hosts, site.Hosts) ||
			!slices.Equal(again.Forgotten, site.Forgotten) || len(again.Added) != len(site.Added) {
			t.Errorf("read again: %+v, %v", again, err)
		}
	})
}
