package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// adoptPath is the admin endpoint that takes a bucket as it is for the site's own.
const adoptPath = "/media_offload/adopt"

// adopt makes the buckets as they are now those of all sites, or of the one in the
// query: they were replaced on purpose.
func (*adminAPI) adopt(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("a bucket is adopted by POST")}
	}
	sites, err := sitesOf(r)
	if err != nil {
		return err
	}
	for _, e := range sites {
		e.start()
		if err := e.engine.Guard().Adopt(r.Context()); err != nil {
			return caddy.APIError{HTTPStatus: http.StatusBadGateway, Err: fmt.Errorf("%s: %w", e.site, err)}
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// adoptCommand is `media-offload adopt`.
func adoptCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "adopt",
		Short: "Takes the bucket as it is now for the site's: it was replaced on purpose, or this server is a guest in it",
		Long: `
A server that has used a bucket stores nothing in another one that is found in its
place, or in one that was emptied: the right one may come back. If it was replaced
on purpose, this makes the present one the site's: all files on disk are stored in
it, and nothing on disk is deleted. Run it on each server.

A server that is a guest, because its configuration names none of the hosts of the
site that the bucket belongs to, becomes one of the site's by this. Never run it on a
staging copy.
`,
		Args: cobra.NoArgs,
		RunE: caddycmd.WrapCommandFuncForCobra(cmdAdopt),
	}
	siteFlag(command)
	adminFlags(command)
	return command
}

func cmdAdopt(flags caddycmd.Flags) (int, error) {
	response, err := askAdmin(flags, http.MethodPost, adoptPath+siteQuery(flags))
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	defer response.Body.Close()
	fmt.Println("The bucket is the site's now; what it lacks is stored in the background.")
	return caddy.ExitCodeSuccess, nil
}
