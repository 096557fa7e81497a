package caddymodule

import (
	"log/slog"
	"sync"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(new(App))
}

const appID = "media_offload"

// App starts the engines of the handlers in a config, when the whole of the
// config has been found right. It needs no configuration: the handlers load it.
type App struct {
	ctx caddy.Context

	mu       sync.Mutex
	handlers []startedHandler
}

type startedHandler struct {
	handler *Handler
	engine  *sharedEngine
	logger  *slog.Logger
	has     premises
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  appID,
		New: func() caddy.Module { return new(App) },
	}
}

// Provision registers the metrics of this config.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	return registerMetrics(ctx.GetMetricsRegistry(), a)
}

// add makes Start start the handler's engine, if no other handler of this config
// is in its way.
func (a *App) add(h *Handler, logger *slog.Logger) error {
	var roots []string
	for _, root := range h.site.Roots() {
		roots = append(roots, root.Dir)
	}
	has := newPremises(h.engine, roots)
	if err := has.check(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.handlers {
		if err := has.checkBeside(&a.handlers[i].has); err != nil {
			return err
		}
	}
	a.handlers = append(a.handlers, startedHandler{h, h.engine, logger, has})
	return nil
}

// Start starts the engines; those that an older config started go on.
func (a *App) Start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	hosts := a.siteHosts()
	for _, s := range a.handlers {
		s.engine.log.use(s.handler, s.logger)
		s.engine.engine.Guard().SetHosts(hosts[s.engine])
		s.engine.start()
	}
	return nil
}

// Stop does nothing: the handlers give their engines back when they are cleaned
// up, and requests may need them until then.
func (*App) Stop() error { return nil }

// engines returns the engines of this config, each once.
func (a *App) engines() []*sharedEngine {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := make(map[*sharedEngine]bool, len(a.handlers))
	var all []*sharedEngine
	for _, s := range a.handlers {
		if !seen[s.engine] {
			seen[s.engine] = true
			all = append(all, s.engine)
		}
	}
	return all
}

var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
