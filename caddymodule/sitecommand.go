package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload/identity"
	"github.com/spf13/cobra"
)

// sitePath is the admin endpoint of what the buckets say of the sites that they belong
// to: GET shows it; POST to what stands below changes the hosts.
const sitePath = "/media_offload/site"

// siteIdentity is what a bucket says of its site.
type siteIdentity struct {
	Site      string     `json:"site"`
	Bucket    string     `json:"bucket"`
	Guest     bool       `json:"guest,omitempty"`
	ID        string     `json:"id,omitempty"`
	Hosts     []siteHost `json:"hosts,omitempty"`
	Forgotten []string   `json:"forgotten,omitempty"`
	Error     string     `json:"error,omitempty"`
}

type siteHost struct {
	Name  string    `json:"name"`
	Added time.Time `json:"added,omitzero"`
	By    string    `json:"by,omitempty"`
}

// siteActions are what can be done with a host of a site, by the last part of the
// endpoint's path.
var siteActions = map[string]func(g *identity.Guard, ctx context.Context, host string) error{
	"add":    (*identity.Guard).AddHost,
	"forget": (*identity.Guard).ForgetHost,
}

// siteRoutes are the routes of these endpoints.
func (a *adminAPI) siteRoutes() []caddy.AdminRoute {
	routes := []caddy.AdminRoute{{Pattern: sitePath, Handler: caddy.AdminHandlerFunc(a.showSites)}}
	for name := range siteActions {
		routes = append(routes, caddy.AdminRoute{
			Pattern: sitePath + "/" + name,
			Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return a.changeSite(w, r, name) }),
		})
	}
	return routes
}

func (*adminAPI) showSites(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("sites are shown by GET")}
	}
	sites, err := sitesOf(r)
	if err != nil {
		return err
	}
	list := make([]siteIdentity, len(sites))
	for i, e := range sites {
		list[i] = e.identity(r.Context())
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(list); err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	return nil
}

// identity is what the bucket says now.
func (e *sharedEngine) identity(ctx context.Context) siteIdentity {
	e.start()
	id, err := e.engine.Guard().Site(ctx)
	shown := siteIdentity{Site: e.site, Bucket: e.bucket, Guest: e.engine.Guard().IsGuest(), ID: id.ID, Forgotten: id.Forgotten}
	for _, h := range id.Hosts {
		shown.Hosts = append(shown.Hosts, siteHost{Name: h.Name, Added: h.Added, By: h.By})
	}
	if err != nil {
		shown.Error = err.Error()
	}
	return shown
}

func (*adminAPI) changeSite(w http.ResponseWriter, r *http.Request, name string) error {
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("a site's hosts are changed by POST")}
	}
	sites, err := sitesOf(r)
	if err != nil {
		return err
	}
	hosts := r.URL.Query()["host"]
	switch {
	case len(hosts) == 0:
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: errors.New("say which host, by the query: ?host=staging.example.com")}
	case len(sites) > 1:
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: errors.New("there are several sites: say which one the host is of, by site=, as " + statusPath + " names it")}
	}
	e := sites[0]
	e.start()
	for _, host := range hosts {
		if err := siteActions[name](e.engine.Guard(), r.Context(), host); err != nil {
			return caddy.APIError{HTTPStatus: http.StatusConflict, Err: fmt.Errorf("%s: %w", e.site, err)}
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// siteCommand is `media-offload site`.
func siteCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "site",
		Short: "Shows which site each bucket belongs to, and whose servers may change it",
		Long: `
A bucket belongs to the site whose hosts it names. A server whose configuration names
one of them is one of the site's; another one, such as a staging copy, is a guest and
changes nothing in the bucket.

"site forget" takes a host away that came in by mistake: a server that is configured
for it alone is a guest from its next start. "site add" names one before the first
server runs for it.
`,
		Args: cobra.NoArgs,
		RunE: caddycmd.WrapCommandFuncForCobra(cmdSite),
	}
	siteFlag(command)
	adminFlags(command)
	sub := func(name, short, done string) {
		c := &cobra.Command{
			Use: name + " <host...>", Short: short, Args: cobra.MinimumNArgs(1),
			RunE: caddycmd.WrapCommandFuncForCobra(cmdChangeSite(name, done)),
		}
		siteFlag(c)
		adminFlags(c)
		command.AddCommand(c)
	}
	sub("forget", "Takes hosts from the site", "Forgotten. A server that runs for it is one of the site's until its next start: restart Caddy on it now.")
	sub("add", "Adds hosts to the site", "Added. Servers whose configuration names it are the site's.")
	return command
}

func cmdSite(flags caddycmd.Flags) (int, error) {
	response, err := askAdmin(flags, http.MethodGet, sitePath+siteQuery(flags))
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	defer response.Body.Close()
	var list []siteIdentity
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("reading the answer of the admin API: %w", err)
	}
	if err := printSites(os.Stdout, list); err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("printing the sites: %w", err)
	}
	for _, s := range list {
		if s.Error != "" {
			return caddy.ExitCodeFailedStartup, nil
		}
	}
	return caddy.ExitCodeSuccess, nil
}

func printSites(w io.Writer, list []siteIdentity) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, s := range list {
		fmt.Fprintf(table, "site %s, bucket %s\n", s.Site, s.Bucket)
		if s.Error != "" {
			fmt.Fprintf(table, "  %s\n", s.Error)
			continue
		}
		as := "one of the site's"
		if s.Guest {
			as = "a guest"
		}
		fmt.Fprintf(table, "  id %s; this server is %s\n", s.ID, as)
		for _, h := range s.Hosts {
			added := "unknown"
			if !h.Added.IsZero() {
				added = h.Added.Local().Format(time.DateTime)
			}
			fmt.Fprintf(table, "  %s\tadded %s\tby %s\n", h.Name, added, orUnknown(h.By))
		}
		if len(s.Hosts) == 0 {
			fmt.Fprintln(table, "  no hosts: every server that is configured with the bucket is one of the site's")
		}
		for _, host := range s.Forgotten {
			fmt.Fprintf(table, "  %s\tforgotten\n", host)
		}
	}
	return table.Flush()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// cmdChangeSite returns the command for one of siteActions; done is what it says then.
func cmdChangeSite(name, done string) caddycmd.CommandFunc {
	return func(flags caddycmd.Flags) (int, error) {
		query := url.Values{"host": flags.Args()}
		if site := flags.String("site"); site != "" {
			query.Set("site", site)
		}
		response, err := askAdmin(flags, http.MethodPost, sitePath+"/"+name+"?"+query.Encode())
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		response.Body.Close()
		fmt.Println(done)
		return caddy.ExitCodeSuccess, nil
	}
}
