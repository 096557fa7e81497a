package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// runTrash runs `media-offload trash` with arguments.
func runTrash(t *testing.T, address string, args ...string) (int, error) {
	t.Helper()
	command, rest, err := trashCommand().Find(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := command.ParseFlags(append(rest, "--address", address)); err != nil {
		t.Fatal(err)
	}
	flags := caddycmd.Flags{FlagSet: command.Flags()}
	if command.Name() == "list" {
		return cmdTrashList(flags)
	}
	return cmdTrashDo(command.Name(), "done")(flags)
}

// TestTrashCommand:
//
// Promise 8: "otherwise by way of the trash, from which it can be taken back".
func TestTrashCommand(t *testing.T) {
	s := newTestSite(t, notFound)
	s.handler["deletes"] = "always"
	s.admin = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.start()
	has := func() bool { got, err := s.object("media/2026/a b.jpg"); return err == nil && got == "content" }
	s.writeUpload("2026/a b.jpg", "content") // by no request
	eventually(t, "the object", has)
	if err := os.Remove(filepath.Join(s.uploads, "2026", "a b.jpg")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the object to go", func() bool { return !has() })
	if code, err := runTrash(t, s.admin, "list"); code != caddy.ExitCodeSuccess || err != nil {
		t.Errorf("list: %d, %v", code, err)
	}
	if code, err := runTrash(t, s.admin, "restore", "2026/a b.jpg"); code != caddy.ExitCodeSuccess || err != nil {
		t.Errorf("restore: %d, %v", code, err)
	}
	eventually(t, "the file to be back", func() bool {
		got, _ := os.ReadFile(filepath.Join(s.uploads, "2026", "a b.jpg"))
		return string(got) == "content"
	})
	for _, args := range [][]string{{"restore", "2026"}, {"restore", "--all", "--json"}} {
		if err := os.RemoveAll(filepath.Join(s.uploads, "2026")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the object to go", func() bool { return !has() })
		if code, err := runTrash(t, s.admin, args...); code != caddy.ExitCodeSuccess || err != nil {
			t.Errorf("%s: %d, %v", args, code, err)
		}
		eventually(t, "the object to be back", has)
	}
	// Caddy's exit code is that of an error, whatever else a command returns.
	if _, err := runTrash(t, s.admin, "restore", "2026/a b.jpg"); err == nil || !strings.Contains(err.Error(), "trash list") {
		t.Errorf("a file that is not in the trash was brought back: %v", err)
	}
	for _, name := range []string{"", "../../etc/passwd"} {
		if _, err := runTrash(t, s.admin, "restore", name); err == nil || !strings.Contains(err.Error(), "the key ") {
			t.Errorf("restore %q: %v", name, err)
		}
	}
	for _, command := range []string{"accept", "empty"} {
		if code, err := runTrash(t, s.admin, command); code != caddy.ExitCodeSuccess || err != nil {
			t.Errorf("%s: %d, %v", command, code, err)
		}
	}
}

// The list goes on behind what could not be listed, and ends with an error that names it.
func TestPrintTrash(t *testing.T) {
	var out strings.Builder
	err := printTrash(&out, strings.NewReader(`{"site":"a","files":0,"error":"the bucket is away"}`+"\n"+
		`{"site":"a","key":"x.jpg","class":"public","deleted":"2026-11-30T01:02:03Z","reason":"outside","size":2000}`+"\n"))
	if err == nil || !strings.Contains(err.Error(), "the bucket is away") {
		t.Errorf("error %v", err)
	}
	if strings.Contains(out.String(), "accept") {
		t.Errorf("nothing is withheld:\n%s", out.String())
	}
	for _, want := range []string{"x.jpg", "2.0 kB", "2026-11-30 01:02:03", "outside"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}

func TestPrintWithheld(t *testing.T) {
	var out strings.Builder
	err := printTrash(&out, strings.NewReader(strings.Repeat(`{"site":"a","key":"x.jpg","class":"public","deleted":"2026-11-30T01:02:03Z","reason":"withheld","size":2000}`+"\n", 2)))
	if err != nil || !strings.Contains(out.String(), "\n2 withheld: `media-offload trash accept`") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestTrashAsJSON(t *testing.T) {
	const line = `{"site":"a","key":"x.jpg","class":"public","deleted":"2026-11-30T01:02:03Z","reason":"outside","size":2000}` + "\n"
	var out strings.Builder
	if err := copyTrash(&out, strings.NewReader(line+line)); err != nil || out.String() != line+line {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := copyTrash(&out, strings.NewReader(`{"site":"a","files":0,"error":"the bucket is away"}`+line)); err == nil || !strings.Contains(err.Error(), "the bucket is away") || out.String() != line {
		t.Errorf("error %v\n%s", err, out.String())
	}
}

// What stands between backticks in a flag's help is taken for the name of its value.
func TestFlagsNameTheirValues(t *testing.T) {
	for _, parent := range []*cobra.Command{trashCommand(), siteCommand(), restoreCommand(), adoptCommand()} {
		for _, c := range append(parent.Commands(), parent) {
			if usage := c.Flags().FlagUsages(); strings.Contains(usage, "--site") && !strings.Contains(usage, "--site site ") {
				t.Errorf("%s:\n%s", c.CommandPath(), usage)
			}
		}
	}
}
