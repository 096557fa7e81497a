package media

import (
	"strings"
	"testing"
)

func TestHostName(t *testing.T) {
	for host, want := range map[string]string{
		"www.example.com":                 "www.example.com",
		"WWW.Example.COM:8443":            "www.example.com",
		"example.com.":                    "example.com",
		"xn--bcher-kva.example":           "xn--bcher-kva.example",
		"shop_1.example.com":              "shop_1.example.com",
		"localhost":                       "",
		"web:80":                          "",
		"127.0.0.1":                       "",
		"127.0.0.1:8080":                  "",
		"[2001:db8::1]:443":               "",
		"2001:db8::1":                     "",
		"*.example.com":                   "",
		"{env.HOST}.com":                  "",
		"bücher.example":                  "",
		".example.com":                    "",
		"example..com":                    "",
		"a.b/c":                           "",
		"a.b\nc":                          "",
		"":                                "",
		":80":                             "",
		".":                               "",
		strings.Repeat("a.", 127) + "com": "",
	} {
		name, ok := HostName(host)
		if name != want || ok != (want != "") {
			t.Errorf("HostName(%q) = %q, %v; want %q", host, name, ok, want)
		}
	}
}
