package bootstrap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A program says how a test runs a bootstrap.
type program struct {
	runtime string            // python3.11, nodejs20.x
	handler string            // _HANDLER
	files   map[string]string // of the function, below its root
	env     map[string]string // in addition; an empty value takes a variable away
	plain   bool              // no log channel: entries go to standard output
	args    []string          // of the interpreter, in addition
}

// A function is a running bootstrap.
type function struct {
	t      testing.TB
	api    *fakeAPI
	cmd    *exec.Cmd
	root   string // LAMBDA_TASK_ROOT
	exited chan error
	stdout int // read ends of pipes, non-blocking
	logs   int
	count  int
}

// start lays out the bootstraps and p's files, and starts the interpreter.
func start(t testing.TB, p program) *function {
	t.Helper()
	interpreter, entry, args := "/usr/bin/python3", Python, PythonArgs
	if strings.HasPrefix(p.runtime, "nodejs") {
		interpreter, entry, args = "/usr/bin/node", Node, NodeArgs
	}
	if _, err := os.Stat(interpreter); err != nil {
		t.Skipf("no interpreter: %v", err)
	}
	f := &function{t: t, api: newFakeAPI(t), root: t.TempDir(), exited: make(chan error, 1)}
	for name, text := range p.files {
		writeFile(t, filepath.Join(f.root, name), text)
	}
	runtimeDir := layOut(t, interpreter)
	f.cmd = exec.Command(interpreter, slices.Concat(p.args, args, []string{filepath.Join(runtimeDir, entry)})...)
	f.cmd.Dir = f.root
	var stdoutW, logsW *os.File
	f.stdout, stdoutW = pipe(t)
	f.logs, logsW = pipe(t)
	f.cmd.Stdout, f.cmd.Stderr = stdoutW, stdoutW
	f.cmd.ExtraFiles = []*os.File{logsW}
	f.cmd.Env = environment(p, f.api.address(), f.root, runtimeDir)
	if overLink {
		in, out := f.api.serveLink(t)
		defer in.Close()
		defer out.Close()
		f.cmd.ExtraFiles = append(f.cmd.ExtraFiles, in, out)
		f.cmd.Env = append(f.cmd.Env, "_MILLICENT_LINK_FD=4")
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdoutW.Close()
	logsW.Close()
	go func() { f.exited <- f.cmd.Wait() }()
	t.Cleanup(func() {
		f.cmd.Process.Kill()
		f.cmd.Process.Wait()
	})
	return f
}

func environment(p program, api, root, runtimeDir string) []string {
	env := map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          api,
		"AWS_LAMBDA_FUNCTION_NAME":        "f",
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/f",
		"AWS_LAMBDA_LOG_STREAM_NAME":      "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef",
		"AWS_EXECUTION_ENV":               "AWS_Lambda_" + p.runtime,
		"_HANDLER":                        p.handler,
		"LAMBDA_TASK_ROOT":                root,
		"LAMBDA_RUNTIME_DIR":              runtimeDir,
		"PYTHONPATH":                      runtimeDir,
		"LC_CTYPE":                        "C.UTF-8",
		"PATH":                            "/usr/bin:/bin",
		"TZ":                              ":UTC",
	}
	if !p.plain {
		env["_LAMBDA_TELEMETRY_LOG_FD"] = "3"
	}
	for k, v := range p.env {
		env[k] = v
	}
	var list []string
	for k, v := range env {
		if v != "" {
			list = append(list, k+"="+v)
		}
	}
	return list
}

var laidOut = map[string]string{} // by interpreter

// layOut writes Files to a directory of the test binary's life, compiled.
func layOut(t testing.TB, interpreter string) string {
	t.Helper()
	if dir, ok := laidOut[interpreter]; ok {
		return dir
	}
	dir, err := os.MkdirTemp(scratch, "runtime-")
	if err != nil {
		t.Fatal(err)
	}
	if err := LayOut(dir); err != nil {
		t.Fatal(err)
	}
	family := "nodejs"
	if strings.Contains(interpreter, "python") {
		family = "python"
	}
	if out, err := exec.Command(interpreter, Compile(family, dir)...).CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	laidOut[interpreter] = dir
	return dir
}

var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "bootstrap-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	code := m.Run()
	if overLink = true; code == 0 {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pipe returns a read end that never blocks, so that a test sees exactly what
// was written before it looks, and a write end for a process.
func pipe(t testing.TB) (r int, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fds[0]) })
	return fds[0], os.NewFile(uintptr(fds[1]), "pipe")
}

// drain returns what a pipe holds now.
func drain(t testing.TB, fd int) string {
	t.Helper()
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := syscall.Read(fd, buf)
		if n > 0 {
			all = append(all, buf[:n]...)
			continue
		}
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			t.Fatal(err)
		}
		return string(all)
	}
}

// output returns what the process wrote to standard output and error since
// the last call.
func (f *function) output() string { f.t.Helper(); return drain(f.t, f.stdout) }

// An entry is a frame of the log channel.
type entry struct {
	kind uint32
	text string
}

// entries returns what the process wrote to the log channel since the last call.
func (f *function) entries() []entry {
	f.t.Helper()
	data := []byte(drain(f.t, f.logs))
	var list []entry
	for len(data) > 0 {
		if len(data) < 16 {
			f.t.Fatalf("half a frame: %q", data)
		}
		size := binary.BigEndian.Uint32(data[4:])
		at := time.UnixMicro(int64(binary.BigEndian.Uint64(data[8:])))
		if age := time.Since(at); age < -time.Minute || age > 10*time.Minute {
			f.t.Errorf("frame's time is %v", at)
		}
		if len(data) < 16+int(size) {
			f.t.Fatalf("frame of %d bytes ends early: %q", size, data)
		}
		list = append(list, entry{binary.BigEndian.Uint32(data), string(data[16 : 16+size])})
		data = data[16+size:]
	}
	return list
}

// send hands an event over.
func (f *function) send(e event) {
	f.t.Helper()
	if e.id == "" {
		f.count++
		e.id = fmt.Sprintf("request-%d", f.count)
	}
	select {
	case f.api.events <- e:
	case err := <-f.exited:
		f.exited <- err
		f.t.Fatalf("exited before the event: %v\n%s%v", err, f.output(), f.entries())
	case <-time.After(patience):
		f.t.Fatalf("event not taken\n%s", f.output())
	}
}

// outcome waits for what the bootstrap posts.
func (f *function) outcome() outcome {
	f.t.Helper()
	select {
	case o := <-f.api.outcomes:
		return o
	case err := <-f.exited:
		f.exited <- err
		if f.api.link != nil {
			<-f.api.linkEnd // what was sent before is read
		}
		select {
		case o := <-f.api.outcomes:
			return o
		default:
		}
		f.t.Fatalf("exited without an outcome: %v\n%s%v", err, f.output(), f.entries())
	case <-time.After(patience):
		f.t.Fatalf("no outcome\n%s", f.output())
	}
	panic("unreachable")
}

// invoke sends an event with this body and returns the outcome.
func (f *function) invoke(body string) outcome {
	f.t.Helper()
	f.send(event{body: body})
	return f.outcome()
}

// respond invokes and returns the body of a response, failing on an error.
func (f *function) respond(body string) string {
	f.t.Helper()
	o := f.invoke(body)
	if !strings.HasSuffix(o.path, "/response") {
		f.t.Fatalf("posted to %s: %s", o.path, o.body)
	}
	return o.body
}

// exit waits for the end of the process and returns its code.
func (f *function) exit() int {
	f.t.Helper()
	select {
	case err := <-f.exited:
		f.exited <- err
	case <-time.After(patience):
		f.t.Fatalf("did not exit\n%s", f.output())
	}
	return f.cmd.ProcessState.ExitCode()
}

// idle waits until the bootstrap asks for the nth event.
func (f *function) idle(n int) {
	f.t.Helper()
	for range n {
		select {
		case <-f.api.next:
		case <-time.After(patience):
			f.t.Fatalf("never asked for event %d\n%s", n, f.output())
		}
	}
}

func TestNodeHeapArgs(t *testing.T) {
	tests := []struct {
		major, memoryMB int
		want            string
	}{
		{20, 128, "[]"},
		{24, 128, "[--max-semi-space-size=6 --max-old-space-size=115]"},
		{26, 10240, "[--max-semi-space-size=32 --max-old-space-size=9216]"},
		{24, 0, "[]"},
	}
	for _, tt := range tests {
		if got := fmt.Sprint(NodeHeapArgs(tt.major, tt.memoryMB)); got != tt.want {
			t.Errorf("NodeHeapArgs(%d, %d) = %s, want %s", tt.major, tt.memoryMB, got, tt.want)
		}
	}
}

func TestFilesHoldBothPrograms(t *testing.T) {
	for _, name := range []string{Python, Node, "python/millicent_runtime/__init__.py"} {
		if _, err := fs.Stat(Files, name); err != nil {
			t.Error(err)
		}
	}
}
