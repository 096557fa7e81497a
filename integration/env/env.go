package env

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Env is a folder and the programs started for it.
type Env struct {
	// Dir is the folder that holds all files of this environment.
	Dir string

	keep bool

	mu      sync.Mutex
	closers []func() error
	count   map[string]int
}

// New makes an environment in a new folder below the system's temporary
// folder; Close removes it.
func New() (*Env, error) {
	dir, err := os.MkdirTemp("", "media-offload-")
	if err != nil {
		return nil, fmt.Errorf("making the environment's folder: %w", err)
	}
	return newEnv(dir, false)
}

// In makes an environment in dir, which is created if need be, and which Close
// leaves.
func In(dir string) (*Env, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("making the environment's folder: %w", err)
	}
	if err := reachable(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the environment's folder: %w", err)
	}
	return newEnv(dir, true)
}

func newEnv(dir string, keep bool) (*Env, error) {
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the environment's folder to other users: %w", err)
	}
	return &Env{Dir: dir, keep: keep, count: map[string]int{}}, nil
}

// reachable refuses a folder that the users whom the programs run as cannot
// come to, for example one below the home of root.
func reachable(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("looking at the environment's folder: %w", err)
		}
		if err == nil && info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("%w: %s is closed to other users, for example the one that PHP runs as", ErrUnreachable, parent)
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}

// ErrUnreachable: the folder cannot hold an environment, because other users
// cannot reach it.
var ErrUnreachable = errors.New("folder not reachable")

// Close stops everything, the last started first, and removes the folder
// unless it was made by In.
func (e *Env) Close() error {
	e.mu.Lock()
	closers := e.closers
	e.closers = nil
	e.mu.Unlock()

	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i]())
	}
	if !e.keep {
		errs = append(errs, os.RemoveAll(e.Dir))
	}
	return errors.Join(errs...)
}

// OnClose registers f to be called by Close.
func (e *Env) OnClose(f func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closers = append(e.closers, f)
}

// Folder makes a folder of the environment that belongs to owner. Its name
// begins with name.
func (e *Env) Folder(name string, owner *Account) (string, error) {
	dir := filepath.Join(e.Dir, e.unique(name))
	if err := makeFolder(dir, owner); err != nil {
		return "", err
	}
	return dir, nil
}

func makeFolder(dir string, owner *Account) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making folder: %w", err)
	}
	return owner.Own(dir)
}

// once makes a folder unless it exists: under another name first, so that a run
// that was broken off leaves none that is half made.
func once(dir string, fill func(dir string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	unfinished := dir + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := fill(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
}

// maxSocketPath is how long the path of a Unix socket may be (unix(7)).
const maxSocketPath = 107

// socket returns the path of a Unix socket in dir.
func socket(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("%s is too long for the path of a socket (%d bytes): use a folder with a shorter path", path, maxSocketPath)
	}
	return path, nil
}

// unique returns name for the first call, then name-2, name-3, …
func (e *Env) unique(name string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count[name]++
	if n := e.count[name]; n > 1 {
		return fmt.Sprintf("%s-%d", name, n)
	}
	return name
}

// Logs returns the last lines of every program's log, for a failed test.
func (e *Env) Logs() string {
	names, _ := filepath.Glob(filepath.Join(e.Dir, "*.log"))
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "--- %s\n%s\n", filepath.Base(name), tail(name, 8<<10))
	}
	return b.String()
}

// Root returns the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Tool returns the path of a program that integration/setup.sh built.
func Tool(name string) (string, error) { return setUp(filepath.Join(binDir(), name)) }

// beside returns the path of what integration/setup.sh put beside the programs.
func beside(name string) (string, error) {
	return setUp(filepath.Join(filepath.Dir(binDir()), name))
}

func binDir() string {
	if bin := os.Getenv("MEDIA_OFFLOAD_BIN"); bin != "" {
		return bin
	}
	return filepath.Join(Root(), ".cache", "bin")
}

func setUp(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is missing, run integration/setup.sh: %w", filepath.Base(path), err)
	}
	return path, nil
}

// Setup runs integration/setup.sh for the given parts, showing what it prints.
func Setup(parts ...string) error {
	cmd := exec.Command(filepath.Join(Root(), "integration", "setup.sh"), parts...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("setting up %s: %w", strings.Join(parts, ", "), err)
	}
	return nil
}
