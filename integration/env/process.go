package env

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
	pollInterval = 10 * time.Millisecond
)

// Process is a program that Env started.
type Process struct {
	Name string
	// LogFile holds what the program wrote to its output.
	LogFile string

	cmd  *exec.Cmd
	done chan struct{}
	err  error // result of Wait; to be read after done
}

// start runs cmd as owner with its output appended to a log file of that name.
func (e *Env) start(name string, cmd *exec.Cmd, owner *Account) (*Process, error) {
	p := &Process{Name: name, LogFile: filepath.Join(e.Dir, name+".log"), cmd: cmd, done: make(chan struct{})}
	out, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// A Ctrl-C on the terminal is for us; we stop the programs in order.
		Setpgid: true,
		// A test that dies must not leave programs behind.
		Pdeathsig:  syscall.SIGTERM,
		Credential: owner.credential(),
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	e.OnClose(p.Stop)
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Log returns the end of the program's output.
func (p *Process) Log() string { return tail(p.LogFile, 32<<10) }

// Stop asks the program to end and waits for it; after 20 seconds it is
// killed, which is an error.
func (p *Process) Stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", p.Name, err)
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-p.done:
		return nil
	case <-timeout.C:
		return errors.Join(fmt.Errorf("stopping %s: still running after %s", p.Name, stopTimeout), p.Kill())
	}
}

// Kill ends the program by SIGKILL, with its children, and waits until it is
// gone.
func (p *Process) Kill() error {
	err := syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.done
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing %s: %w", p.Name, err)
	}
	return nil
}

// Signal sends a signal to the program, for example SIGSTOP.
func (p *Process) Signal(signal os.Signal) error { return p.cmd.Process.Signal(signal) }

// waitReady polls ready until it returns nil. It fails when the program ends
// first or after a minute.
func (p *Process) waitReady(ready func() error) error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("starting %s: it ended: %w\n%s", p.Name, p.err, p.Log())
		case <-deadline.C:
			return errors.Join(fmt.Errorf("starting %s: not ready after %s: %w\n%s", p.Name, startTimeout, err, p.Log()), p.Kill())
		case <-tick.C:
		}
	}
}

// dialable is a readiness check: something accepts connections at address.
func dialable(network, address string) func() error {
	return func() error {
		conn, err := net.DialTimeout(network, address, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// answers is a readiness check: a GET of url is answered below 500.
func answers(url string) func() error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return func() error {
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("GET %s: %s", url, resp.Status)
		}
		return nil
	}
}

// commandTimeout bounds short-lived commands.
const commandTimeout = 2 * time.Minute

// run executes a short-lived command as owner with input on its standard
// input; its output is part of the error.
func run(owner *Account, input, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	// As above: a Ctrl-C is for us, and does not leave work half done.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: owner.credential()}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("running %s: %w\n%s", filepath.Base(name), err, out)
	}
	return out, nil
}

// tail returns at most n bytes from the end of a file, "" if it cannot be read.
func tail(path string, n int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > n {
		if _, err := f.Seek(-n, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, n))
	if err != nil {
		return ""
	}
	return string(b)
}
