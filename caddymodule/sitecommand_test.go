package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// runSite runs `media-offload site` with arguments.
func runSite(t *testing.T, address string, args ...string) (int, error) {
	t.Helper()
	command, rest, err := siteCommand().Find(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := command.ParseFlags(append(rest, "--address", address)); err != nil {
		t.Fatal(err)
	}
	flags := caddycmd.Flags{FlagSet: command.Flags()}
	if command.Name() == "site" {
		return cmdSite(flags)
	}
	return cmdChangeSite(command.Name(), "done")(flags)
}

// A staging copy that was given production's name in `site_hosts` by mistake is found
// and undone by the command.
//
// Promise 8: "A bucket that is away, empty or another's is never taken for a new
// one."
func TestSiteCommand(t *testing.T) {
	prod, staging := newStagingBeside(t)
	prod.admin = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	prod.start()
	prod.uploadAt(productionHost, "a.jpg", "production's picture")
	mistake := func(on bool) {
		t.Helper()
		delete(staging.handler, "site_hosts")
		if on {
			staging.handler["site_hosts"] = []string{productionHost}
		}
		prod.server["routes"] = []any{prod.route(productionHost), staging.route(stagingHost)}
		if err := prod.load(); err != nil {
			t.Fatal(err)
		}
	}
	names := func(host string) bool {
		for _, e := range allEngines() {
			if id := e.identity(t.Context()); id.Site == prod.docRoot {
				return slices.ContainsFunc(id.Hosts, func(h siteHost) bool { return h.Name == host })
			}
		}
		return false
	}
	mistake(true)
	staging.untilState("running")
	eventually(t, "staging's host in the identity", func() bool { return names(stagingHost) })
	if code, err := runSite(t, prod.admin); code != caddy.ExitCodeSuccess || err != nil {
		t.Errorf("site: %d, %v", code, err)
	}
	if code, err := runSite(t, prod.admin, "forget", stagingHost); code == caddy.ExitCodeSuccess || err == nil || !strings.Contains(err.Error(), "several sites") {
		t.Errorf("without a site: %d, %v", code, err)
	}
	prod.server["routes"] = []any{prod.route(productionHost)} // staging is stopped
	if err := prod.load(); err != nil {
		t.Fatal(err)
	}
	if code, err := runSite(t, prod.admin, "forget", "nobody.example"); code == caddy.ExitCodeSuccess || err == nil || !strings.Contains(err.Error(), "not one of the site's") {
		t.Errorf("a host that it has not: %d, %v", code, err)
	}
	if code, err := runSite(t, prod.admin, "forget", stagingHost); code != caddy.ExitCodeSuccess || err != nil {
		t.Errorf("forget: %d, %v", code, err)
	}
	if names(stagingHost) {
		t.Error("it is the site's yet")
	}
	mistake(false)
	staging.untilState("guest")
	if code, err := runSite(t, prod.admin, "--site", prod.docRoot, "add", "new.example.com"); code != caddy.ExitCodeSuccess || err != nil {
		t.Errorf("add: %d, %v", code, err)
	}
	if !names("new.example.com") {
		t.Error("it is not the site's")
	}
	response, err := prod.client.Get("http://" + prod.admin + sitePath + "/forget")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", response.StatusCode)
	}
}

func TestPrintSites(t *testing.T) {
	var out strings.Builder
	err := printSites(&out, []siteIdentity{
		{
			Site: "/var/www", Bucket: "s3://b", ID: "ABC", Guest: true, Forgotten: []string{"staging.example.com"},
			Hosts: []siteHost{{Name: "www.example.com", Added: time.Date(2026, 11, 30, 1, 2, 3, 0, time.Local), By: "web1"}, {Name: "old.example.com"}},
		},
		{Site: "/srv", Bucket: "file:///b", Error: "the bucket is away"},
		{Site: "/new", Bucket: "file:///n", ID: "DEF"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"site /var/www, bucket s3://b",
		"  id ABC; this server is a guest",
		"  www.example.com      added 2026-11-30 01:02:03  by web1",
		"  old.example.com      added unknown              by unknown",
		"  staging.example.com  forgotten",
		"site /srv, bucket file:///b",
		"  the bucket is away",
		"site /new, bucket file:///n",
		"  id DEF; this server is one of the site's",
		"  no hosts: every server that is configured with the bucket is one of the site's",
		"",
	}, "\n")
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
