package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
	"github.com/spf13/cobra"
)

// restorePath is the admin endpoint that brings files back from the bucket.
const restorePath = "/media_offload/restore"

// restoreReport is one line of the endpoint's answer: the state of the restore
// of one site, about each second; the last one has done.
type restoreReport struct {
	Site    string `json:"site"`
	Objects int64  `json:"objects"`
	Files   int64  `json:"files"`
	Bytes   int64  `json:"bytes"`
	Present int64  `json:"present"`
	Failed  int64  `json:"failed"`
	Error   string `json:"error,omitempty"`
	Done    bool   `json:"done"`
}

// restore brings back the files of all sites, or of the one in the query, and
// streams how far it is. It ends when the client goes away.
func (*adminAPI) restore(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("a restore is begun by POST")}
	}
	sites, err := sitesOf(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	for _, e := range sites {
		report := func(s offload.Restored, err error, done bool) {
			line := restoreReport{
				Site: e.site, Objects: s.Objects, Files: s.Files, Bytes: s.Bytes,
				Present: s.Present, Failed: s.Failed, Error: s.Error, Done: done,
			}
			if err != nil {
				line.Error = err.Error()
				line.Failed++
			}
			// A client that went away ends the restore by the request's context.
			if out.Encode(line) == nil {
				_ = flush.Flush()
			}
		}
		e.start()
		result, err := e.engine.Restore(r.Context(), func(s offload.Restored) { report(s, nil, false) })
		report(result, err, true)
	}
	return nil
}

// restoreCommand is `media-offload restore`.
func restoreCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "restore",
		Short: "Brings back all files that are in the bucket and not on disk",
		Long: `
Copies every file from the bucket back to its media root, unless one is there.
Files on disk are left alone. Afterwards the media_offload directive can be
removed, and the site works without it. Begin again at any time: what is there
already is not copied again.
`,
		Args: cobra.NoArgs,
		RunE: caddycmd.WrapCommandFuncForCobra(cmdRestore),
	}
	siteFlag(command)
	adminFlags(command)
	return command
}

func cmdRestore(flags caddycmd.Flags) (int, error) {
	response, err := askAdmin(flags, http.MethodPost, restorePath+siteQuery(flags))
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	defer response.Body.Close()
	return followRestore(response.Body)
}

// followRestore prints the reports as they come.
func followRestore(r io.Reader) (int, error) {
	lines := json.NewDecoder(r)
	failed, done := int64(0), false
	for {
		var line restoreReport
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return caddy.ExitCodeFailedStartup, fmt.Errorf("reading the answer of the admin API: %w", err)
		}
		fmt.Printf("%s: %s, %s restored (%s), %d there already, %d failed\n",
			line.Site, numberOf(line.Objects, "object"), numberOf(line.Files, "file"), humanize.Bytes(uint64(max(0, line.Bytes))), line.Present, line.Failed)
		if done = line.Done; done {
			failed += line.Failed
			if line.Error != "" {
				fmt.Println("  " + line.Error)
			}
		}
	}
	switch {
	case !done:
		return caddy.ExitCodeFailedStartup, errors.New("the restore broke off; run it again, it goes on where it ended")
	case failed > 0:
		return caddy.ExitCodeFailedStartup, fmt.Errorf("%s could not be restored; run it again", numberOf(failed, "file"))
	}
	return caddy.ExitCodeSuccess, nil
}
