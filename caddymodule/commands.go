package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "media-offload",
		Usage: "status|restore|trash|site|adopt [--address <interface>] [--config <path>] [--adapter <name>]",
		Short: "Tells about the media offload of a running Caddy, and brings files back",
		Long: `
Speaks to a running Caddy through its admin API.
`,
		CobraFunc: func(cmd *cobra.Command) {
			status := &cobra.Command{
				Use:   "status",
				Short: "Shows the state of each site",
				Long: `
Tells whether the bucket answers, how many files wait for it, and what was done
since the start, for each site. The exit code is 1 if a bucket does not answer, or a
media root is missing.
`,
				Args: cobra.NoArgs,
				RunE: caddycmd.WrapCommandFuncForCobra(cmdStatus),
			}
			status.Flags().Bool("json", false, "Print what the admin API says")
			adminFlags(status)
			cmd.AddCommand(status, restoreCommand(), trashCommand(), siteCommand(), adoptCommand())
		},
	})
}

// adminFlags adds the flags that say where the running Caddy is.
func adminFlags(command *cobra.Command) {
	command.Flags().StringP("address", "", "", "The address of the admin API, if it is not in the config")
	command.Flags().StringP("config", "c", "", "The config file, to find the admin API by")
	command.Flags().StringP("adapter", "a", "", "The config adapter of that file")
}

// siteFlag adds the flag that names one site.
func siteFlag(command *cobra.Command) {
	command.Flags().StringP("site", "", "", "Only this `site`, as \"media-offload status\" names it")
}

// siteQuery returns the query that names it.
func siteQuery(flags caddycmd.Flags) string {
	if site := flags.String("site"); site != "" {
		return "?site=" + url.QueryEscape(site)
	}
	return ""
}

// askAdmin sends a request to the admin API of the running Caddy.
func askAdmin(flags caddycmd.Flags, method, uri string) (*http.Response, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(flags.String("address"), nil, flags.String("config"), flags.String("adapter"))
	if err != nil {
		return nil, fmt.Errorf("finding the admin API: %w", err)
	}
	response, err := caddycmd.AdminAPIRequest(address, method, uri, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the admin API at %s: %w", address, err)
	}
	return response, nil
}

func cmdStatus(flags caddycmd.Flags) (int, error) {
	response, err := askAdmin(flags, http.MethodGet, statusPath)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	defer response.Body.Close()
	var list []engineStatus
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("reading the answer of the admin API: %w", err)
	}
	if flags.Bool("json") {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "\t")
		err = out.Encode(list)
	} else {
		err = printStatus(os.Stdout, list)
	}
	if err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("printing the status: %w", err)
	}
	for _, s := range list {
		if s.State == "degraded" { // without an error the exit code would be 0
			return caddy.ExitCodeFailedStartup, fmt.Errorf("%s, with the bucket %s: %s", s.Site, s.Bucket, s.Reason)
		}
	}
	return caddy.ExitCodeSuccess, nil
}

func printStatus(w io.Writer, list []engineStatus) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no media_offload handler is running")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "SITE\tBUCKET\tSTATE\tPENDING\tOLDEST\tFAILING\tREFUSED\tCOMMITTED\tDELETED\tWITHHELD\tRETRIES\tREASON")
	for _, s := range list {
		if s.Guest {
			s.Reason = fmt.Sprintf("%s written and %d deleted are on this disk alone: %s", numberOf(s.GuestFiles, "file"), s.GuestDeletes, s.Reason)
		}
		oldest := time.Duration(s.OldestPendingSeconds * float64(time.Second)).Round(time.Millisecond)
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
			s.Site, s.Bucket, s.State, s.Pending, oldest, s.Failing, s.Refused, s.Committed, s.Deleted, s.WithheldDeletes, s.Retries, s.Reason)
	}
	return table.Flush()
}
