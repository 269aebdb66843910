package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// A server is a running `millicent up`.
type server struct {
	t    testing.TB
	data string
	addr string
	cmd  *exec.Cmd
	log  *lockedBuffer
	done chan struct{}
	args []string

	keyID, keySecret string // what clients sign with
	client           *http.Client
}

// lockedBuffer collects output that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// needRoot skips where sandboxes with limits cannot be made.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: sandboxes with limits")
	}
}

// up starts a server on a fresh data directory and stops it with the test.
func up(t testing.TB, args ...string) *server {
	t.Helper()
	return upOn(t, t.TempDir(), args...)
}

// upOn is up on a data directory.
func upOn(t testing.TB, data string, args ...string) *server {
	t.Helper()
	needRoot(t)
	s := &server{t: t, data: data, addr: freeAddr(t), args: args, keyID: "test", keySecret: "test",
		client: &http.Client{Transport: millicenttest.WholeBodies(&http.Transport{MaxIdleConnsPerHost: 512})}}
	s.start()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("server's log:\n%s", tail(s.log.String(), 200))
		}
	})
	return s
}

// start runs the binary and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	s.log = &lockedBuffer{}
	s.done = make(chan struct{})
	args := append([]string{"up", "--data", s.data, "--listen", s.addr}, s.args...)
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait() // the exit status is in cmd.ProcessState
		close(done)
	}(s.cmd, s.done)
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		select {
		case <-s.done:
			s.t.Fatalf("server ended at start:\n%s", s.log)
		case <-time.After(5 * time.Millisecond):
		}
		if resp, err := http.Get(s.url() + "/_millicent/health"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	s.t.Fatalf("server not ready after 30 s:\n%s", s.log)
}

// stop ends the server as Ctrl-C does and waits.
func (s *server) stop() {
	s.t.Helper()
	select {
	case <-s.done:
		return
	default:
	}
	_ = s.cmd.Process.Signal(os.Interrupt) // it may have ended just now
	select {
	case <-s.done:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			s.t.Errorf("server stopped with exit code %d:\n%s", code, tail(s.log.String(), 50))
		}
	case <-time.After(60 * time.Second):
		_ = s.cmd.Process.Kill() // reported below
		<-s.done
		s.t.Errorf("server did not stop within 60 s:\n%s", tail(s.log.String(), 200))
	}
}

// kill ends the server with SIGKILL and waits.
func (s *server) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	<-s.done
}

func (s *server) url() string { return "http://" + s.addr }

func (s *server) pid() int { return s.cmd.Process.Pid }

// cli runs the binary against the server and returns what it printed.
func (s *server) cli(args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(s.awsEnv(), "MILLICENT_ENDPOINT="+s.url())
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

// mustCLI is cli for calls that have to succeed.
func (s *server) mustCLI(args ...string) string {
	s.t.Helper()
	out, errOut, err := s.cli(args...)
	if err != nil {
		s.t.Fatalf("millicent %s: %v\n%s%s", strings.Join(args, " "), err, out, errOut)
	}
	return out
}

// get returns the status and body of a GET.
func (s *server) get(path string) (int, string) {
	s.t.Helper()
	resp, err := http.Get(s.url() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// metric returns the value of a metric without labels.
func (s *server) metric(name string) float64 {
	s.t.Helper()
	_, body := s.get("/metrics")
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return v
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}

// cleanEnv is the environment without what would steer a client elsewhere.
func cleanEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "MILLICENT_") {
			env = append(env, kv)
		}
	}
	return env
}

// awsEnv is the environment of an AWS client with made-up credentials.
func (s *server) awsEnv() []string {
	return append(cleanEnv(),
		"AWS_ACCESS_KEY_ID="+s.keyID, "AWS_SECRET_ACCESS_KEY="+s.keySecret, "AWS_REGION=us-east-1",
		"AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL="+s.url(), "AWS_EC2_METADATA_DISABLED=true",
		"AWS_PAGER=", "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent")
}

func freeAddr(t testing.TB) string {
	t.Helper()
	addr, err := millicenttest.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.SplitAfter(s, "\n")
	if len(lines) > n {
		lines = append([]string{fmt.Sprintf("(%d lines before)\n", len(lines)-n)}, lines[len(lines)-n:]...)
	}
	return strings.Join(lines, "")
}
