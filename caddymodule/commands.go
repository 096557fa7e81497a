package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
		Usage: "status [--json] [--address <interface>] [--config <path>] [--adapter <name>]",
		Short: "Tells about the media offload of a running Caddy",
		Long: `
Asks a running Caddy, through its admin API, about the media_offload handlers:
whether the bucket answers, how many files wait for it, and what was done since
the start. The exit code is 1 if a bucket does not answer.
`,
		CobraFunc: func(cmd *cobra.Command) {
			status := &cobra.Command{
				Use:   "status",
				Short: "Shows the state of each site",
				Args:  cobra.NoArgs,
				RunE:  caddycmd.WrapCommandFuncForCobra(cmdStatus),
			}
			status.Flags().Bool("json", false, "Print what the admin API says")
			status.Flags().StringP("address", "", "", "The address of the admin API, if it is not in the config")
			status.Flags().StringP("config", "c", "", "The config file, to find the admin API by")
			status.Flags().StringP("adapter", "a", "", "The config adapter of that file")
			cmd.AddCommand(status)
		},
	})
}

func cmdStatus(flags caddycmd.Flags) (int, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(flags.String("address"), nil, flags.String("config"), flags.String("adapter"))
	if err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("finding the admin API: %w", err)
	}
	response, err := caddycmd.AdminAPIRequest(address, http.MethodGet, statusPath, nil, nil)
	if err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("asking the admin API at %s: %w", address, err)
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
		if s.State == "degraded" {
			return caddy.ExitCodeFailedStartup, nil
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
	fmt.Fprintln(table, "SITE\tBUCKET\tSTATE\tPENDING\tOLDEST\tCOMMITTED\tDELETED\tRETRIES\tREASON")
	for _, s := range list {
		oldest := time.Duration(s.OldestPendingSeconds * float64(time.Second)).Round(time.Millisecond)
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%s\n",
			s.Site, s.Bucket, s.State, s.Pending, oldest, s.Committed, s.Deleted, s.Retries, s.Reason)
	}
	return table.Flush()
}
