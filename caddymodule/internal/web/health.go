package web

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// readiness is the health answer. It says no more: everybody can read it.
type readiness struct {
	Reads   bool `json:"reads"`
	Uploads bool `json:"uploads"`
	Guest   bool `json:"guest,omitempty"`
}

// isHealth reports whether r asks how this server is.
func (h *Handler) isHealth(r *http.Request) bool {
	if h.config.Health == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if r.URL.Path == h.config.Health {
		return true
	}
	// try_files may have made something else of it.
	original := h.config.Server.OriginalURL(r)
	return original != nil && original.Path == h.config.Health
}

// serveHealth tells a load balancer whether this server can serve media, or,
// if asked for uploads, take them.
func (h *Handler) serveHealth(w http.ResponseWriter, r *http.Request) error {
	var ready readiness
	if use := h.config.Acquire(); use != nil {
		defer use.Release()
		ready.Reads, ready.Uploads, _ = use.Engine().Ready()
		ready.Guest = use.Engine().Guard().IsGuest()
	}
	status := http.StatusOK
	if !ready.Reads || r.URL.Query().Get("for") == "uploads" && !ready.Uploads {
		status = http.StatusServiceUnavailable
		setRetryAfter(w.Header())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if err := json.NewEncoder(w).Encode(ready); err != nil {
		return fmt.Errorf("writing the health answer: %w", err)
	}
	return nil
}
