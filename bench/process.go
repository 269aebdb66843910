package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	readyTime = 60 * time.Second
	stopTime  = 90 * time.Second
)

// A process is a server that the bench starts and stops. It does not outlive
// the bench.
type process struct {
	name  string
	addr  string        // host and port that it answers on
	ready time.Duration // from its start to its first answer

	// brood says that stop also ends what the server has started and left
	// behind: for peers, which may not clean up.
	brood bool

	cmd  *exec.Cmd
	log  tail
	done chan struct{}
}

// A check finds out whether a server answers.
type check func(ctx context.Context, addr string) error

// start starts a server and returns once ok finds that it answers.
func start(ctx context.Context, cmd *exec.Cmd, addr string, ok check) (*process, error) {
	p := &process{name: cmd.Path, addr: addr, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	// Ctrl-C is for the bench, which then stops the server once; and should
	// the bench be killed, the server is told to stop.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	limit, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for {
		err := ok(limit, addr)
		if err == nil {
			p.ready = time.Since(begin)
			return p, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s ended at its start:\n%s", p.name, p.log.String())
		case <-limit.Done():
			return nil, errors.Join(fmt.Errorf("%s does not answer: %w\n%s", p.name, err, p.log.String()), p.stop())
		case <-time.After(time.Millisecond):
		}
	}
}

// stop ends the server as Ctrl-C does, and waits for its end. It is
// idempotent.
func (p *process) stop() error {
	if p.brood && !p.ended() {
		below, err := descendants(p.pid())
		if err != nil {
			return err
		}
		defer func() {
			for _, pid := range below {
				_ = syscall.Kill(pid, syscall.SIGKILL) // most have ended by themselves
			}
		}()
	}
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended already
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTime):
	}
	_ = p.cmd.Process.Kill() // the error to tell is that it did not stop
	<-p.done
	return fmt.Errorf("%s did not stop within %v:\n%s", p.name, stopTime, p.log.String())
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended reports whether the server is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*tailSize {
		t.b = slices.Clone(t.b[len(t.b)-tailSize:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// answers checks with a GET; the status must be 200, unless any will do.
func answers(path string, any bool) check {
	return func(ctx context.Context, addr string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if !any && resp.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", path, resp.Status)
		}
		return nil
	}
}

// invokes checks with a POST of an event, which has to succeed: the server's
// first answer is one of a function.
func invokes(path string) check {
	return func(ctx context.Context, addr string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, bytes.NewBufferString("{}"))
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("POST %s: %s: %.200s", path, resp.Status, body)
		}
		return err
	}
}
