package watch

import "log/slog"

// presence logs a root's coming and going, once each time.
type presence struct{ known, there bool }

func (p *presence) absent(log *slog.Logger, path string, err error) {
	switch {
	case !p.known:
		log.Info("media root is not there yet", "root", path, "error", err)
	case p.there:
		log.Warn("media root has disappeared", "root", path, "error", err)
	}
	p.known, p.there = true, false
}

func (p *presence) present(log *slog.Logger, path string) {
	if p.known && !p.there {
		log.Info("media root has appeared", "root", path)
	}
	p.known, p.there = true, true
}
