//go:build !linux

package watch

import (
	"context"
	"errors"
)

var errNoInotify = errors.New("this system has no inotify")

func openInotify(context.Context, *Config) (source, error) { return nil, errNoInotify }
