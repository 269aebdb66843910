package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Main()
	probing()
	if len(os.Args) == 3 && os.Args[1] == "user" {
		if err := asUser(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 4 && os.Args[1] == "own" {
		if err := owning(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// requireRoot skips where sandboxes cannot be made in full.
func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces, cgroups and loop devices of the machine")
	}
}

// openHost opens a Host for one test.
func openHost(t testing.TB) *Host {
	t.Helper()
	requireRoot(t)
	name := fmt.Sprintf("test-%d-%s", os.Getpid(), strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name()))
	h, err := Open(Config{Name: name[:min(len(name), 60)], Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close host: %v", err)
		}
	})
	return h
}

const mib = 1 << 20

// newSandbox makes a sandbox for one test.
func newSandbox(t testing.TB, h *Host, spec Spec) *Sandbox {
	t.Helper()
	if spec.Tmp == 0 {
		spec.Tmp = 16 * mib
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := h.New(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close sandbox: %v", err)
		}
	})
	return s
}

// result is what a process left.
type result struct {
	ExitStatus
	out string
}

// run runs a program to its end.
func run(t testing.TB, s *Sandbox, args ...string) result {
	t.Helper()
	got, err := s.runToEnd(args...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// runToEnd is run for goroutines that are not the test's own.
func (s *Sandbox) runToEnd(args ...string) (result, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return result{}, err
	}
	defer r.Close()
	p, err := s.Start(Cmd{Path: args[0], Args: args, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/tmp", Stdout: w, Stderr: w})
	w.Close()
	if err != nil {
		return result{}, err
	}
	r.SetReadDeadline(time.Now().Add(time.Minute))
	out, err := io.ReadAll(r)
	if err != nil {
		return result{}, err
	}
	select {
	case <-p.Done():
		return result{p.Status(), string(out)}, nil
	case <-time.After(time.Minute):
		return result{}, errors.New("waited a minute for the process's end")
	}
}

// sh runs a shell script to its end.
func sh(t testing.TB, s *Sandbox, script string) result {
	t.Helper()
	return run(t, s, "/bin/sh", "-c", script)
}

// waitFor waits for c, but not for ever.
func waitFor(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(time.Minute):
		t.Fatalf("waited a minute for %s", what)
	}
}

func TestRun(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Memory: 128 * mib, CPU: 1, Hostname: "here"})
	if got := sh(t, s, "echo out; echo err >&2; exit 7"); got != (result{ExitStatus{Code: 7}, "out\nerr\n"}) {
		t.Errorf("got %+v", got)
	}
	if got := sh(t, s, "kill -9 $$"); got.Signal != syscall.SIGKILL {
		t.Errorf("got %+v, want the end by signal 9", got)
	}
	for _, c := range []struct {
		path string
		want error
	}{
		{"/bin/missing", os.ErrNotExist},
		{"/etc/passwd", os.ErrPermission},
		{"/tmp/text", syscall.ENOEXEC},
		{"bin/sh", syscall.EINVAL},
	} {
		sh(t, s, "echo 'just text' > /tmp/text; chmod 755 /tmp/text")
		if _, err := s.Start(Cmd{Path: c.path, Args: []string{"x"}}); !errors.Is(err, c.want) {
			t.Errorf("Start(%s): got %v, want %v", c.path, err, c.want)
		}
	}
}

// TestWithoutHelper runs this program itself as pid 1, as one that was built
// without the small program does.
func TestWithoutHelper(t *testing.T) {
	h := openHost(t)
	if h.helper == nil {
		t.Log("the other tests do so as well: helper/init is not built")
	}
	h.helper = nil
	s := newSandbox(t, h, Spec{Memory: 64 * mib})
	if got := sh(t, s, "echo out"); got.out != "out\n" {
		t.Errorf("got %+v", got)
	}
}

// TestInterpreters runs what functions are written in, with all that the
// filter has to let through.
func TestInterpreters(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Memory: 512 * mib, Pids: 200})
	for _, c := range []struct{ program, code string }{
		{"/usr/bin/python3", `
import json, os, pwd, socket, sqlite3, ssl, subprocess, tempfile, threading, multiprocessing, ctypes, asyncio
t = threading.Thread(target=lambda: None); t.start(); t.join()
assert subprocess.check_output(["/bin/echo", "sub"]) == b"sub\n"
assert socket.getaddrinfo("localhost", 80)[0][4][0] in ("127.0.0.1", "::1")
ssl.create_default_context()
assert len(ssl.create_default_context().get_ca_certs()) > 50
with tempfile.NamedTemporaryFile() as f: f.write(b"x")
q = multiprocessing.Queue()
p = multiprocessing.Process(target=q.put, args=(1,)); p.start(); assert q.get() == 1; p.join()
sqlite3.connect("/tmp/db").execute("create table t (a)")
asyncio.run(asyncio.sleep(0))
assert pwd.getpwuid(os.getuid()).pw_name == "sbx_user1051"
print("fine")`},
		{"/usr/bin/node", `
const { Worker } = require("worker_threads"), cp = require("child_process"), http = require("http"), fs = require("fs");
if (cp.execFileSync("/bin/echo", ["sub"]).toString() !== "sub\n") throw 1;
fs.writeFileSync("/tmp/n", "x");
const s = http.createServer((q, r) => r.end("x")).listen(8080, () => {
  http.get("http://localhost:8080/", (r) => {
    s.close();
    const w = new Worker("require('worker_threads').parentPort.postMessage(1)", { eval: true });
    w.on("message", () => require("dns").lookup("localhost", (e) => { if (e) throw e; console.log("fine"); }));
  });
});`},
	} {
		if _, err := os.Stat(c.program); err != nil {
			t.Logf("%s is not installed", c.program)
			continue
		}
		flag := "-c"
		if strings.HasSuffix(c.program, "node") {
			flag = "-e"
		}
		if got := run(t, s, c.program, flag, c.code); got.out != "fine\n" {
			t.Errorf("%s: %+v", c.program, got)
		}
	}
}
