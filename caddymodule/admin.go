package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/media-offload/caddy-media-offload/caddymodule/internal/offload"
)

func init() {
	caddy.RegisterModule(new(adminAPI))
}

// statusPath is the admin endpoint that tells about all engines.
const statusPath = "/media_offload/status"

// adminAPI is the part of Caddy's admin API that tells about the engines.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.media_offload",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements caddy.AdminRouter.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	return append(slices.Concat(a.trashRoutes(), a.siteRoutes()),
		caddy.AdminRoute{Pattern: statusPath, Handler: caddy.AdminHandlerFunc(a.status)},
		caddy.AdminRoute{Pattern: restorePath, Handler: caddy.AdminHandlerFunc(a.restore)},
		caddy.AdminRoute{Pattern: adoptPath, Handler: caddy.AdminHandlerFunc(a.adopt)},
	)
}

// engineStatus is what the endpoint tells of one engine. It has no secrets.
type engineStatus struct {
	Site                 string    `json:"site"`
	Bucket               string    `json:"bucket"`
	State                string    `json:"state"`
	Reason               string    `json:"reason,omitempty"`
	Guest                bool      `json:"guest,omitempty"`
	GuestFiles           int       `json:"guest_files,omitempty"`   // that its app wrote since the start
	GuestDeletes         int       `json:"guest_deletes,omitempty"` // files and directories that are gone for it alone
	Pending              int       `json:"pending"`
	OldestPendingSeconds float64   `json:"oldest_pending_seconds"`
	Failing              int       `json:"failing"`
	Committed            uint64    `json:"committed"`
	CommittedBytes       uint64    `json:"committed_bytes"`
	Deleted              uint64    `json:"deleted"`
	WithheldDeletes      int       `json:"withheld_deletes"`
	Retries              uint64    `json:"retries"`
	Refused              uint64    `json:"refused"`
	Ignored              ignored   `json:"ignored"`
	Held                 uint64    `json:"held"`
	HoldTimeouts         uint64    `json:"hold_timeouts"`
	CORSQuestions        uint64    `json:"cors_questions"` // to the public URL, and those after which files stayed local
	CORSRefused          uint64    `json:"cors_refused"`
	Reconciled           time.Time `json:"reconciled,omitzero"`
	Reconciling          bool      `json:"reconciling"`
	IndexSize            int       `json:"index_size"`
	Watching             string    `json:"watching,omitempty"`

	// What the health answer says, and why.
	ReadyForReads   bool   `json:"ready_for_reads"`
	ReadyForUploads bool   `json:"ready_for_uploads"`
	NotReadyReason  string `json:"not_ready_reason,omitempty"`

	// Of several servers.
	Nodes            string  `json:"nodes,omitempty"`
	Conflicts        uint64  `json:"conflicts"`
	Fetched          uint64  `json:"fetched"`
	FetchedBytes     uint64  `json:"fetched_bytes"`
	RemovedFiles     uint64  `json:"removed_files"`
	FetchBacklog     int     `json:"fetch_backlog"`
	LogPosition      uint64  `json:"log_position"`
	LogBehindSeconds float64 `json:"log_behind_seconds"`
	LogError         string  `json:"log_error,omitempty"`
	NamesLeased      int64   `json:"names_leased"`
	NamesWaited      int64   `json:"names_waited"`
}

// ignored are files that stay on disk because of a rule, by the kind of rule.
type ignored map[string]ignoredFiles

type ignoredFiles struct {
	Written uint64 `json:"written"` // since the start
	Found   uint64 `json:"found"`   // by the last comparison
}

func newIgnored(s offload.Ignored) ignored {
	m := make(ignored, media.Reasons)
	for i := range media.Reasons {
		m[media.Reason(i).String()] = ignoredFiles{Written: s.Written[i], Found: s.Found[i]}
	}
	return m
}

func (*adminAPI) status(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("the status can only be read, by GET")}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(allStatus()); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// allEngines returns every engine of this process, by site.
func allEngines() []*sharedEngine {
	var all []*sharedEngine
	engines.Range(func(_, value any) bool {
		all = append(all, value.(*sharedEngine))
		return true
	})
	slices.SortFunc(all, func(a, b *sharedEngine) int {
		return cmp.Or(cmp.Compare(a.site, b.site), cmp.Compare(a.bucket, b.bucket))
	})
	return all
}

// allStatus returns the status of every engine.
func allStatus() []engineStatus {
	all := allEngines()
	list := make([]engineStatus, 0, len(all))
	for _, e := range all {
		list = append(list, e.status())
	}
	return list
}

func (e *sharedEngine) status() engineStatus {
	s := e.engine.Stats()
	reads, uploads, reason := e.engine.Ready()
	logError := ""
	if s.Log.Error != nil {
		logError = s.Log.Error.Error()
	}
	return engineStatus{
		Site: e.site, Bucket: e.bucket,
		State: s.State, Reason: s.Reason, Guest: s.Guest, GuestFiles: s.GuestFiles, GuestDeletes: s.GuestDeletes,
		Pending: s.Pending, OldestPendingSeconds: s.OldestPending.Seconds(), Failing: s.Failing,
		Committed: s.Committed, CommittedBytes: s.CommittedBytes, Deleted: s.Deleted, WithheldDeletes: s.Withheld,
		Retries: s.Retries, Refused: s.Refused, Ignored: newIgnored(s.Ignored), Held: s.Held, HoldTimeouts: s.HoldTimeouts,
		CORSQuestions: e.cors.Questions.Load(), CORSRefused: e.cors.Refused.Load(),
		Reconciled: s.Reconciled, Reconciling: s.Reconciling,
		IndexSize: s.IndexSize, Watching: s.Watching,
		ReadyForReads: reads, ReadyForUploads: uploads, NotReadyReason: reason,
		Nodes: s.Nodes, Conflicts: s.Conflicts, Fetched: s.Fetched, FetchedBytes: s.FetchedBytes,
		RemovedFiles: s.RemovedFiles, FetchBacklog: s.FetchBacklog,
		LogPosition: s.Log.Position, LogBehindSeconds: s.Log.Behind.Seconds(), LogError: logError,
		NamesLeased: s.Names.Leased, NamesWaited: s.Names.Waited,
	}
}

var _ caddy.AdminRouter = (*adminAPI)(nil)
