package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
)

// trashPath is the admin endpoint of the trash: GET lists it; POST to what stands
// below does something with it.
const trashPath = "/media_offload/trash"

// reasonWithheld stands in the list for what is not in the trash: its delete waits for
// the admin's word.
const reasonWithheld = "withheld"

// trashEntry is one line of the list.
type trashEntry struct {
	Site    string    `json:"site"`
	Key     string    `json:"key"`
	Class   string    `json:"class"`
	Deleted time.Time `json:"deleted"`
	Reason  string    `json:"reason"`
	Size    int64     `json:"size"`
}

// trashResult is what was done for one site.
type trashResult struct {
	Site  string `json:"site"`
	Files int    `json:"files"`
	Error string `json:"error,omitempty"`
}

// trashActions are what can be done with the trash of a site, by the last part of
// the endpoint's path.
var trashActions = map[string]func(ctx context.Context, e *sharedEngine, query url.Values) (files int, err error){
	"accept": func(ctx context.Context, e *sharedEngine, _ url.Values) (int, error) {
		return e.engine.Withheld().Accept(ctx)
	},
	"empty": func(ctx context.Context, e *sharedEngine, _ url.Values) (int, error) {
		return e.engine.Trash().Empty(ctx, time.Now().Add(time.Second))
	},
	"restore": func(ctx context.Context, e *sharedEngine, query url.Values) (files int, err error) {
		switch {
		case query.Has("all"):
			return e.engine.TakeAllBack(ctx)
		case !query.Has("key"):
			return e.engine.Withheld().Refuse(ctx)
		}
		for _, name := range query["key"] {
			n, failed := e.engine.TakeBack(ctx, name)
			files += n
			err = errors.Join(err, failed)
		}
		return files, err
	},
}

// trashRoutes are the routes of the trash's endpoints.
func (a *adminAPI) trashRoutes() []caddy.AdminRoute {
	routes := []caddy.AdminRoute{{Pattern: trashPath, Handler: caddy.AdminHandlerFunc(a.listTrash)}}
	for name := range trashActions {
		routes = append(routes, caddy.AdminRoute{
			Pattern: trashPath + "/" + name,
			Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return a.doWithTrash(w, r, name) }),
		})
	}
	return routes
}

// sitesOf are the sites that the query of a request names, or all.
func sitesOf(r *http.Request) ([]*sharedEngine, error) {
	sites := allEngines()
	if site := r.URL.Query().Get("site"); site != "" {
		sites = slices.DeleteFunc(sites, func(e *sharedEngine) bool { return e.site != site })
	}
	if len(sites) == 0 {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("no such site is running; see " + statusPath)}
	}
	return sites, nil
}

func (*adminAPI) listTrash(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("the trash is listed by GET")}
	}
	sites, err := sitesOf(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	for _, e := range sites {
		for t, err := range e.trashEntries(r.Context()) {
			line := any(t)
			if err != nil {
				// The answer has begun: a line that is no entry tells of it.
				line = trashResult{Site: e.site, Error: err.Error()}
			}
			if err := out.Encode(line); err != nil {
				return nil // the client went away
			}
		}
	}
	return nil
}

// trashEntries yields what is withheld and what is in the trash, and errors in the place
// of what cannot be listed.
func (e *sharedEngine) trashEntries(ctx context.Context) iter.Seq2[trashEntry, error] {
	return func(yield func(trashEntry, error) bool) {
		for w, err := range e.engine.Withheld().List(ctx) {
			t := trashEntry{Site: e.site, Key: w.Key, Class: w.Class.String(), Deleted: w.Since.UTC(), Reason: reasonWithheld, Size: w.Info.Size}
			if !yield(t, err) {
				return
			}
		}
		for w, err := range e.engine.Trash().List(ctx) {
			t := trashEntry{Site: e.site, Key: w.Key, Class: w.Class.String(), Deleted: w.Deleted, Reason: string(w.Reason), Size: w.Size}
			if !yield(t, err) {
				return
			}
		}
	}
}

func (*adminAPI) doWithTrash(w http.ResponseWriter, r *http.Request, name string) error {
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("the trash is changed by POST")}
	}
	sites, err := sitesOf(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if query.Has("key") && len(sites) > 1 {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: errors.New("there are several sites: say which one the files are of")}
	}
	results := make([]trashResult, len(sites))
	for i, e := range sites {
		n, err := trashActions[name](r.Context(), e, query)
		results[i] = trashResult{Site: e.site, Files: n}
		if err != nil {
			results[i].Error = err.Error()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(results); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// trashCommand is `media-offload trash`.
func trashCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "trash",
		Short: "Shows, takes back or empties what was deleted",
		Long: `
Files that a person or a program deletes outside a request of the app, and many
that go at once in requests, go to the trash in the bucket. If many go at once
outside requests, nothing is deleted until you say whether that was meant: "trash
accept", or "trash restore". The trash is all servers'; what is withheld, only the
server knows on which it went.
`,
	}
	sub := func(use, short string, args cobra.PositionalArgs, run caddycmd.CommandFunc) *cobra.Command {
		c := &cobra.Command{Use: use, Short: short, Args: args, RunE: caddycmd.WrapCommandFuncForCobra(run)}
		c.Flags().Bool("json", false, "Print what the admin API says")
		siteFlag(c)
		adminFlags(c)
		command.AddCommand(c)
		return c
	}
	sub("list", "Lists what is withheld and what is in the trash", cobra.NoArgs, cmdTrashList)
	sub("accept", "Deletes what went from the disk in numbers: it was meant", cobra.NoArgs, cmdTrashDo("accept", "deleted"))
	restore := sub("restore [file or directory...]", "Brings files back: those named, withheld or out of the trash, or all that are withheld",
		cobra.ArbitraryArgs, cmdTrashDo("restore", "brought back"))
	restore.Flags().Bool("all", false, "Bring back all that is withheld or in the trash")
	sub("empty", "Deletes for good what is in the trash", cobra.NoArgs, cmdTrashDo("empty", "deleted for good"))
	return command
}

func trashQuery(flags caddycmd.Flags) url.Values {
	query := make(url.Values)
	if site := flags.String("site"); site != "" {
		query.Set("site", site)
	}
	return query
}

func cmdTrashList(flags caddycmd.Flags) (int, error) {
	response, err := askAdmin(flags, http.MethodGet, trashPath+"?"+trashQuery(flags).Encode())
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	defer response.Body.Close()
	show := printTrash
	if flags.Bool("json") {
		show = copyTrash
	}
	if err := show(os.Stdout, response.Body); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	return caddy.ExitCodeSuccess, nil
}

// trashLines yields the entries of a list that the admin API sent, and errors in the place
// of what could not be listed.
func trashLines(list io.Reader) iter.Seq2[trashEntry, error] {
	return func(yield func(trashEntry, error) bool) {
		lines := json.NewDecoder(list)
		for {
			var line struct {
				trashEntry
				Error string `json:"error"`
			}
			err := lines.Decode(&line)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(trashEntry{}, fmt.Errorf("reading the list of the trash: %w", err))
				return
			}
			if line.Error != "" {
				err = fmt.Errorf("%s: %s", line.Site, line.Error)
			}
			if !yield(line.trashEntry, err) {
				return
			}
		}
	}
}

func printTrash(w io.Writer, list io.Reader) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "SITE\tDELETED\tREASON\tCLASS\tSIZE\tFILE")
	withheld := 0
	var unlisted []error
	for line, err := range trashLines(list) {
		if err != nil {
			unlisted = append(unlisted, err)
			continue
		}
		if line.Reason == reasonWithheld {
			withheld++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", line.Site, line.Deleted.Format(time.DateTime), printable(line.Reason), line.Class,
			humanize.Bytes(uint64(max(0, line.Size))), printable(line.Key))
	}
	return errors.Join(append(unlisted, table.Flush(), printWithheld(w, withheld))...)
}

// copyTrash prints the list as the admin API sends it, a JSON value a line.
func copyTrash(w io.Writer, list io.Reader) error {
	out := json.NewEncoder(w)
	var unlisted []error
	for line, err := range trashLines(list) {
		if err != nil {
			unlisted = append(unlisted, err)
			continue
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return errors.Join(unlisted...)
}

// printWithheld says what is to be done about deletes that are withheld.
func printWithheld(w io.Writer, n int) error {
	if n == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%d withheld: `media-offload trash accept` deletes them, `media-offload trash restore` brings them back,\n"+
		"`media-offload trash restore FILE` one of them. Other servers do not know of them\n", n)
	return err
}

// printable is a text from the bucket as a terminal may show it: what would move its
// cursor or change its colours is written as in a Go string.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(s) {
		return strconv.Quote(s)
	}
	return s
}

// numberOf is a count of things of a name, as people write it.
func numberOf[N int | int64](n N, thing string) string { return english.Plural(int(n), thing, "") }

// cmdTrashDo returns the command for one of trashActions; done says what
// became of the files.
func cmdTrashDo(name, done string) caddycmd.CommandFunc {
	return func(flags caddycmd.Flags) (int, error) {
		query := trashQuery(flags)
		query["key"] = flags.Args()
		if name == "restore" && flags.Bool("all") {
			query.Set("all", "1")
		}
		response, err := askAdmin(flags, http.MethodPost, trashPath+"/"+name+"?"+query.Encode())
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		defer response.Body.Close()
		var results []trashResult
		if err := json.NewDecoder(response.Body).Decode(&results); err != nil {
			return caddy.ExitCodeFailedStartup, fmt.Errorf("reading the answer of the admin API: %w", err)
		}
		if flags.Bool("json") {
			out := json.NewEncoder(os.Stdout)
			out.SetIndent("", "\t")
			err = out.Encode(results)
		}
		for _, r := range results {
			if r.Error != "" {
				err = errors.Join(err, fmt.Errorf("%s: %s", r.Site, r.Error))
			}
			if !flags.Bool("json") && (r.Error == "" || r.Files > 0) {
				fmt.Printf("%s: %s %s\n", r.Site, numberOf(r.Files, "file"), done)
			}
		}
		if err != nil { // without one the exit code would be 0
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	}
}
