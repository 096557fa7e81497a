package watch

import (
	"context"
	"hash/maphash"
	"path/filepath"
	"time"
)

// scanSource finds changes by comparing the directories with what they were.
type scanSource struct {
	cfg   *Config
	roots []scannedRoot
	once  onceLogger
	seed  maphash.Seed

	took  time.Duration // by the latest scan
	files int           // found by it

	// incomplete: for lack of something some directory was not looked at.
	incomplete bool
	dirents    []byte
	pathBuf    []byte
}

// scannedRoot is a root as the latest scan found it.
type scannedRoot struct {
	path     string
	snap     *snapshot // nil: not there
	presence presence
}

// openScan notes how things are. Its error is ctx's.
func openScan(ctx context.Context, cfg *Config) (*scanSource, error) {
	s := &scanSource{
		cfg:     cfg,
		roots:   make([]scannedRoot, len(cfg.Roots)),
		once:    onceLogger{log: cfg.Logger},
		seed:    maphash.MakeSeed(),
		dirents: make([]byte, direntBuffer),
	}
	for i, path := range cfg.Roots {
		s.roots[i].path = path
	}
	if err := s.scan(ctx, nil); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *scanSource) kind() string            { return "scan" }
func (s *scanSource) quiet() bool             { return false }
func (s *scanSource) ready() <-chan struct{}  { return nil }
func (s *scanSource) interval() time.Duration { return stretched(s.cfg.ScanInterval, s.took) }
func (s *scanSource) close()                  {}

func (s *scanSource) collect(ctx context.Context, out *batch) error {
	s.incomplete = false
	if err := s.scan(ctx, out); err != nil {
		return err
	}
	if s.incomplete {
		return errTryAgain
	}
	return nil
}

// scan compares all roots with what they were, and reports to out what has
// changed, unless that is nil.
func (s *scanSource) scan(ctx context.Context, out *batch) error {
	began := time.Now()
	s.files = 0
	for i := range s.roots {
		if err := s.scanRoot(ctx, i, out); err != nil {
			return err
		}
	}
	s.took = time.Since(began)
	return nil
}

// scanRoot compares one root. One that has appeared, or is another directory
// than before, is a Rescan.
func (s *scanSource) scanRoot(ctx context.Context, i int, out *batch) error {
	root := &s.roots[i]
	real, err := filepath.EvalSymlinks(root.path)
	var d dir
	if err == nil {
		d, err = openDir(real)
	}
	if err != nil {
		s.rootFailed(root, err)
		return nil
	}
	id, err := d.identity()
	d.close()
	if err != nil {
		s.rootFailed(root, err)
		return nil
	}
	same := root.snap != nil && root.snap.id == id
	if !same {
		root.snap = &snapshot{id: id}
		root.presence.present(s.cfg.Logger, root.path)
	}
	c := comparison{s: s, root: i, real: real}
	if same {
		c.out = out
	}
	if out != nil {
		out.in[i] = id
	}
	if err := c.compare(ctx, "", root.snap); err != nil {
		return err
	}
	if !same && out != nil {
		out.dir(i, "", Rescan)
	}
	return nil
}

// rootFailed forgets a root that is not there, so that it is a Rescan when it
// comes back; nothing is reported, because it may be unmounted only.
func (s *scanSource) rootFailed(root *scannedRoot, err error) {
	if isGone(err) {
		root.snap = nil
		root.presence.absent(s.cfg.Logger, root.path, err)
		return
	}
	s.failed("media root", root.path, err)
}

// failed notes that a directory could not be scanned. It is taken to be as it
// was: what cannot be read is not deleted.
func (s *scanSource) failed(what, path string, err error) {
	switch {
	case isShortage(err):
		s.incomplete = true
	case !isGone(err): // the next scan misses it in its parent
		s.once.warn(what+" cannot be scanned; what changes in it is not seen", path, err)
	}
}
