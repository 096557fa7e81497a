package caddymodule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/media-offload/caddy-media-offload/caddymodule/internal/media"
	"github.com/prometheus/client_golang/prometheus"
)

// collector exposes the engines' counters. They live in the engines, because a
// config has a registry of its own and counters must survive a reload.
type collector struct{ app *App }

// registerMetrics registers the metrics of the app's engines.
func registerMetrics(registry *prometheus.Registry, app *App) error {
	err := registry.Register(collector{app})
	if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		return nil
	}
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

func metric(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("caddy", "media_offload", name), help, append([]string{"site", "bucket"}, more...), nil)
}

var (
	descUp             = metric("up", "1 if the bucket answers, 0 if not.")
	descGuest          = metric("guest", "1 if this server is a guest in the bucket and changes nothing there, 0 if not.")
	descPending        = metric("pending_files", "Files that wait to be committed.")
	descOldest         = metric("oldest_pending_seconds", "For how long the oldest of them has been waiting.")
	descFailing        = metric("failing_files", "Those of them that fail again and again, while the bucket is not down.")
	descCommitted      = metric("committed_files_total", "Files committed.")
	descCommittedBytes = metric("committed_bytes_total", "Bytes of files committed.")
	descDeleted        = metric("deleted_objects_total", "Objects deleted.")
	descWithheld       = metric("withheld_deletes", "Deletes that wait for the admin's word.")
	descRetries        = metric("retries_total", "Attempts that failed and were repeated.")
	descRefused        = metric("refused_files_total", "Files that the bucket did not take; they stay on disk, and are not pending.")
	descIgnoredWritten = metric("ignored_writes_total", "Files written that stay on disk because of a rule.", "rule")
	descIgnored        = metric("ignored_files", "Files found by the last comparison that stay on disk because of a rule; a directory of such files counts as one.", "rule")
	descHeld           = metric("held_requests_total", "Requests whose answer waited for a commit.")
	descHoldTimeouts   = metric("hold_timeouts_total", "Those of them that waited in vain.")
	descCORSQuestions  = metric("cors_questions_total", "Questions to the public URL whether pages may use its files.")
	descCORSRefused    = metric("cors_refused_total", "Those of them after which files stayed local.")
	descIndex          = metric("index_entries", "Files whose state is in memory.")
	descReady          = metric("ready_for_uploads", "1 if this server can take uploads, 0 if not.")
	descConflicts      = metric("conflicts_total", "Files of which two contents are kept, because two servers wrote them, or somebody else replaced the object.")
	descFetched        = metric("fetched_files_total", "Files brought from other servers.")
	descFetchedBytes   = metric("fetched_bytes_total", "Bytes of files brought from other servers.")
	descRemoved        = metric("removed_files_total", "Files removed because another server deleted them.")
	descBacklog        = metric("fetch_backlog_files", "Changes of other servers that are not on this disk yet.")
	descLogPosition    = metric("log_position", "Number of the last entry of the change log that was read.")
	descLogBehind      = metric("log_behind_seconds", "For how long the end of the change log has not been seen.")
	descLeased         = metric("leased_names_total", "File names that were leased.")
	descWaited         = metric("waited_names_total", "Those of them that another server or request had first.")
)

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		descUp, descGuest, descPending, descOldest, descFailing, descCommitted, descCommittedBytes, descDeleted,
		descWithheld, descRetries, descRefused, descIgnoredWritten, descIgnored, descHeld, descHoldTimeouts,
		descCORSQuestions, descCORSRefused, descIndex,
		descReady, descConflicts, descFetched, descFetchedBytes, descRemoved, descBacklog,
		descLogPosition, descLogBehind, descLeased, descWaited,
	} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	seen := make(map[[2]string]bool)
	for _, e := range c.app.engines() {
		labels := [2]string{e.site, e.bucket}
		if seen[labels] { // other media of the same site: tell them apart
			labels[0] += "#" + e.key[:8]
		}
		seen[labels] = true
		collect(ch, e, labels[:])
	}
}

func collect(ch chan<- prometheus.Metric, e *sharedEngine, labels []string) {
	s := e.engine.Stats()
	gauge := func(desc *prometheus.Desc, v float64, more ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, slices.Concat(labels, more)...)
	}
	counter := func(desc *prometheus.Desc, v uint64, more ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), slices.Concat(labels, more)...)
	}
	_, uploads, _ := e.engine.Ready()
	gauge(descUp, oneIf(s.State == "running" || s.State == "guest"))
	gauge(descGuest, oneIf(s.Guest))
	gauge(descReady, oneIf(uploads))
	gauge(descPending, float64(s.Pending))
	gauge(descOldest, s.OldestPending.Seconds())
	gauge(descFailing, float64(s.Failing))
	gauge(descIndex, float64(s.IndexSize))
	counter(descCommitted, s.Committed)
	counter(descCommittedBytes, s.CommittedBytes)
	counter(descDeleted, s.Deleted)
	gauge(descWithheld, float64(s.Withheld))
	counter(descRetries, s.Retries)
	counter(descRefused, s.Refused)
	for i := range media.Reasons {
		rule := media.Reason(i).String()
		counter(descIgnoredWritten, s.Ignored.Written[i], rule)
		gauge(descIgnored, float64(s.Ignored.Found[i]), rule)
	}
	counter(descHeld, s.Held)
	counter(descHoldTimeouts, s.HoldTimeouts)
	counter(descCORSQuestions, e.cors.Questions.Load())
	counter(descCORSRefused, e.cors.Refused.Load())
	gauge(descBacklog, float64(s.FetchBacklog))
	gauge(descLogPosition, float64(s.Log.Position))
	gauge(descLogBehind, s.Log.Behind.Seconds())
	counter(descConflicts, s.Conflicts)
	counter(descFetched, s.Fetched)
	counter(descFetchedBytes, s.FetchedBytes)
	counter(descRemoved, s.RemovedFiles)
	counter(descLeased, uint64(s.Names.Leased))
	counter(descWaited, uint64(s.Names.Waited))
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var _ prometheus.Collector = collector{}
