package web

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestMissingBeforeReconcile: an engine that does not know the disk yet leaves
// the answer to the app.
func TestMissingBeforeReconcile(t *testing.T) {
	site, _ := newTestSite(t)
	engine := newTestEngine(t, site)
	h := newTestHandler(t, site, engine)
	app := nextFunc(func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "app: not found")
		return err
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/wp-content/uploads/2026/11/none.jpg", nil)
	w := httptest.NewRecorder()
	if err := h.serveMissing(w, r, app, engine, "2026/11/none.jpg"); err != nil || w.Body.String() != "app: not found" {
		t.Errorf("before: %v, %q", err, w.Body)
	}
	engine.Start()
	eventually(t, "a reconcile", func() bool { return !engine.Stats().Reconciled.IsZero() })
	if err := h.serveMissing(w, r, app, engine, "2026/11/none.jpg"); !errors.Is(err, errMissing) {
		t.Errorf("after: %v", err)
	}
}
