//go:build !linux

package watch

import "context"

func openInotify(context.Context, *Config) (source, error) { return nil, errNoInotify }
