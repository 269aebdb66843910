package millicenttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	readyTime = 30 * time.Second
	stopTime  = 60 * time.Second
)

// Config says how to start a Server; its zero value starts a plain one.
type Config struct {
	Args  []string // further arguments of "millicent up"
	Env   []string // further environment variables of the server
	Data  string   // data directory, which outlives the server; empty makes one for it
	Files int      // limit of the server's descriptors; zero leaves the machine's
	User  uint32   // the user that it runs as; zero is this process's own
}

// A Server is a running "millicent up" on a data directory of its own.
type Server struct {
	Data string // data directory
	Addr string // of the API: host and port

	// What clients sign with.
	KeyID, KeySecret string

	made   string // data directory to remove
	cmd    *exec.Cmd
	log    *log
	done   chan struct{}
	client *http.Client
}

// log collects output that is read while it is written.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Up starts a server and stops it with the test. It skips the test where
// sandboxes with limits cannot be made.
func Up(t testing.TB, cfg Config) *Server {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: sandboxes with limits")
	}
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("server's log:\n%s", Tail(s.Log(), 100))
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Start starts a server and returns once it answers. The caller stops it.
func Start(cfg Config) (_ *Server, err error) {
	s := &Server{
		KeyID: "test", KeySecret: "test", log: &log{}, done: make(chan struct{}),
		client: &http.Client{Transport: WholeBodies(&http.Transport{MaxIdleConnsPerHost: 16})},
	}
	if s.Data = cfg.Data; s.Data == "" {
		if s.Data, err = os.MkdirTemp("", "millicent-data-"); err != nil {
			return nil, err
		}
		s.made = s.Data
	}
	defer func() {
		if err != nil {
			s.removeData() // the other error is the one to tell
		}
	}()
	if s.Addr, err = FreeAddr(); err != nil {
		return nil, err
	}
	args := append([]string{binary, "up", "--data", s.Data, "--listen", s.Addr}, cfg.Args...)
	if cfg.Files > 0 {
		args = append([]string{"/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, cfg.Files)}, args...)
	}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = append(os.Environ(), cfg.Env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if cfg.User != 0 {
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: cfg.User, Gid: cfg.User}}
		if err := os.Chown(s.Data, int(cfg.User), int(cfg.User)); err != nil {
			return nil, err
		}
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.done)
	}()
	if err := s.awaitReady(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// FreeAddr returns a loopback address that nobody listens on. Its port is none
// of those that Linux gives to outgoing connections: such a one could take it
// before the server does, or while the server is down.
func FreeAddr() (string, error) {
	const first, outgoing = 10000, 32768 // the default net.ipv4.ip_local_port_range begins there
	for {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(outgoing-first)))
		switch {
		case err == nil:
			return l.Addr().String(), l.Close()
		case !errors.Is(err, syscall.EADDRINUSE):
			return "", err
		}
	}
}

func (s *Server) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	for {
		if code, _, err := s.Get("/_millicent/health"); err == nil && code == http.StatusOK {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("the server ended at its start:\n%s", s.log)
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready after %v:\n%s", readyTime, s.log)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// removeData removes the data directory that was made for the server.
func (s *Server) removeData() {
	if s.made != "" {
		os.RemoveAll(s.made) // what stays is in the machine's directory for such
	}
}

// Stop ends the server as Ctrl-C does, waits for its end, checks that nothing
// of it is left, and removes the data directory that was made for it.
func (s *Server) Stop() error {
	defer s.removeData()
	_ = s.cmd.Process.Signal(os.Interrupt) // it may have ended already
	select {
	case <-s.done:
	case <-time.After(stopTime):
		_ = s.cmd.Process.Kill() // reported below
		<-s.done
		return fmt.Errorf("the server did not stop within %v:\n%s", stopTime, Tail(s.Log(), 100))
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the server stopped with exit code %d:\n%s", code, Tail(s.Log(), 100))
	}
	if cgroups, loops := s.cgroups(), s.loops(); cgroups > 0 || loops > 0 {
		return fmt.Errorf("the server left %d cgroups and %d loop devices:\n%s", cgroups, loops, Tail(s.Log(), 100))
	}
	return nil
}

// URL is the address of the API.
func (s *Server) URL() string { return "http://" + s.Addr }

// PID is the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Port is the API's port.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.Addr) // FreeAddr made it
	return port
}

// Log is what the server has printed so far.
func (s *Server) Log() string { return s.log.String() }

// Get returns the status and body of a GET.
func (s *Server) Get(path string) (status int, body string, err error) {
	resp, err := s.client.Get(s.URL() + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// CLI runs the binary against the server and returns what it printed.
func (s *Server) CLI(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "MILLICENT_ENDPOINT="+s.URL(),
		"AWS_ACCESS_KEY_ID="+s.KeyID, "AWS_SECRET_ACCESS_KEY="+s.KeySecret, "AWS_REGION=us-east-1")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("millicent %s: %v\n%s%s", strings.Join(args, " "), err, &out, &problems)
	}
	return out.String()
}

// Metric returns the value of a metric, labels included in its name.
func (s *Server) Metric(t testing.TB, name string) float64 {
	t.Helper()
	_, body, err := s.Get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// Tail returns the last n lines of s.
func Tail(s string, n int) string {
	lines := strings.SplitAfter(s, "\n")
	if len(lines) > n {
		lines = append([]string{fmt.Sprintf("(%d lines before)\n", len(lines)-n)}, lines[len(lines)-n:]...)
	}
	return strings.Join(lines, "")
}
