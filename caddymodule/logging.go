package caddymodule

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/exp/zapslog"
)

// switchedLog is the log of an engine. An engine outlives the config that made
// it, but a config's logger does not outlive its config: so records go to the
// logger of the newest live config that uses the engine.
type switchedLog struct {
	mu      sync.Mutex
	loggers []handlerLogger // of live configs, newest last
	current atomic.Pointer[slog.Logger]
}

type handlerLogger struct {
	handler *Handler
	logger  *slog.Logger
}

func newSwitchedLog(first *slog.Logger) *switchedLog {
	l := new(switchedLog)
	l.current.Store(first)
	return l
}

// logger returns a logger that always writes to the current one.
func (l *switchedLog) logger() *slog.Logger {
	return slog.New(switchedHandler{log: l, derive: func(h slog.Handler) slog.Handler { return h }})
}

// use makes logger the current one until a newer config brings another one or
// h's config ends.
func (l *switchedLog) use(h *Handler, logger *slog.Logger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loggers = append(l.loggers, handlerLogger{h, logger})
	l.current.Store(logger)
}

// drop forgets the logger that h brought.
func (l *switchedLog) drop(h *Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.loggers {
		if l.loggers[i].handler == h {
			l.loggers = append(l.loggers[:i], l.loggers[i+1:]...)
			break
		}
	}
	if n := len(l.loggers); n > 0 {
		l.current.Store(l.loggers[n-1].logger)
		return
	}
	l.current.Store(processLogger())
}

// processLogger belongs to no handler.
func processLogger() *slog.Logger {
	return slog.New(zapslog.NewHandler(caddy.Log().Core(), zapslog.WithName(handlerID)))
}

// switchedHandler passes records on to the current logger's handler, with the
// attributes and groups that derive adds.
type switchedHandler struct {
	log    *switchedLog
	derive func(slog.Handler) slog.Handler
}

func (s switchedHandler) target() slog.Handler { return s.derive(s.log.current.Load().Handler()) }

// Enabled implements slog.Handler.
func (s switchedHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return s.log.current.Load().Handler().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (s switchedHandler) Handle(ctx context.Context, record slog.Record) error {
	return s.target().Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (s switchedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return switchedHandler{s.log, func(h slog.Handler) slog.Handler { return s.derive(h).WithAttrs(attrs) }}
}

// WithGroup implements slog.Handler.
func (s switchedHandler) WithGroup(name string) slog.Handler {
	return switchedHandler{s.log, func(h slog.Handler) slog.Handler { return s.derive(h).WithGroup(name) }}
}

var _ slog.Handler = switchedHandler{}
