package wasm

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cacheDir is where the tests of a run keep compiled code.
var cacheDir string

func TestMain(m *testing.M) {
	var err error
	if cacheDir, err = os.MkdirTemp("", "millicent-wasm-cache"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(cacheDir)
	os.Exit(code)
}

func newEngine(t testing.TB, cfg EngineConfig) *Engine {
	t.Helper()
	if cfg.CacheDir == "" {
		cfg.CacheDir = cacheDir
	}
	e, err := NewEngine(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// world is a program with one instance, which is replaced when it is broken.
type world struct {
	testing.TB
	*Program
	instance *Instance
	log      bytes.Buffer
	replaced int
}

// load loads a program of testdata, see build, or a function in JavaScript.
func load(t testing.TB, e *Engine, name string, cfg ProgramConfig) *world {
	t.Helper()
	if filepath.Ext(name) == ".mjs" {
		code, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return loadScript(t, e, string(code), cfg)
	}
	if cfg.MemoryMB == 0 {
		cfg.MemoryMB = 128
	}
	w := &world{TB: t}
	cfg.Log = &w.log
	p, err := e.Load(t.Context(), build(t, name), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Program = p
	t.Cleanup(func() {
		if w.instance != nil {
			w.instance.Close()
		}
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// serve has one request served, within a time.
func (w *world) serve(event string, within time.Duration) *Answer {
	w.Helper()
	if w.instance != nil && w.instance.Broken() {
		w.instance.Close()
		w.instance = nil
		w.replaced++
	}
	if w.instance == nil {
		i, err := w.Instance(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		w.instance = i
	}
	return w.instance.Serve(w.Context(), &Request{Event: []byte(event), Deadline: time.Now().Add(within), Log: &w.log})
}

// soon is longer than any request takes that ends by itself.
const soon = time.Minute

func (w *world) answers(event, want string) {
	w.Helper()
	a := w.serve(event, soon)
	if got := strings.TrimSpace(string(a.Payload)); a.Failure != nil || got != want {
		w.Errorf("%s: got %s, %v; want %s", event, got, a.Failure, want)
	}
}

func TestCommand(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	files := NewFiles(map[string][]byte{"data/a.txt": []byte("packed"), "b": nil}, time.Unix(1, 0))
	w := load(t, e, "command", ProgramConfig{Environ: []string{"COLOUR=blue"}, Files: files})
	if w.abi != Command {
		t.Errorf("it is a %s", w.abi)
	}
	w.answers(`{"do":"echo","value":"hello"}`, `"hello"`)
	w.answers(`{"do":"env","path":"COLOUR"}`, `"blue"`)
	w.answers(`{"do":"read","path":"/var/task/data/a.txt"}`, `"packed"`)
	w.answers(`{"do":"list","path":"/var/task"}`, `"b data"`)
	w.answers(`{"do":"list","path":"/"}`, `"tmp var"`)
	w.answers(`{"do":"write","path":"/tmp/x","value":"mine"}`, `null`)
	w.answers(`{"do":"list","path":"/tmp"}`, `""`)
	w.answers(`{"do":"sleep","n":20}`, `true`)
	if a := w.serve(`{"do":"log","value":"to the log"}`, soon); a.Failure != nil || !strings.Contains(w.log.String(), "to the log\n") {
		t.Errorf("%v; logged %q", a.Failure, w.log.String())
	}
	if w.replaced != 0 {
		t.Errorf("%d instances were replaced, though no request failed", w.replaced)
	}
	for event, want := range map[string]string{
		`{"do":"exit","n":3}`:                                "Runtime.ExitError: Runtime exited with error: exit status 3",
		`{"do":"write","path":"/var/task/b","value":"x"}`:    "Runtime.ExitError: Runtime exited with error: exit status 1",
		`{"do":"read","path":"/etc/passwd"}`:                 "Runtime.ExitError: Runtime exited with error: exit status 1",
		`{"do":"read","path":"../../../../../etc/hostname"}`: "Runtime.ExitError: Runtime exited with error: exit status 1",
		`{"do":"large","n":6291557}`:                         "Function.ResponseSizeTooLarge: ",
		`{"do":"recurse"}`:                                   "Runtime.OutOfMemory: Runtime exited with error",
		`{"do":"allocate","n":200}`:                          "Runtime.OutOfMemory: Runtime exited with error",
	} {
		if a := w.serve(event, soon); a.Failure == nil || !strings.HasPrefix(a.Failure.Error(), want) {
			t.Errorf("%s: got %.100s, %v; want %s", event, a.Payload, a.Failure, want)
		}
	}
	if a := w.serve(`{"do":"spin"}`, 200*time.Millisecond); a.Failure == nil || !a.Failure.Timeout || a.CPU <= 0 {
		t.Errorf("an endless loop ended by %v after %v", a.Failure, a.CPU)
	}
	w.answers(`{"do":"exit","n":0}`, "")
	w.answers(`{"do":"echo","value":"still there"}`, `"still there"`)
}

func TestReactor(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	w := load(t, e, "reactor", ProgramConfig{})
	if w.abi != Reactor {
		t.Errorf("it is a %s", w.abi)
	}
	for range 3 {
		w.answers(`{"do":"count"}`, `1`)
		w.answers(`{"do":"remember","value":"x"}`, `["x"]`)
		w.answers(`{"do":"grow","n":30}`, `30`)
		w.answers(`{"do":"collect"}`, `null`)
	}
	if w.replaced != 0 {
		t.Errorf("%d instances were replaced, though no request failed", w.replaced)
	}
	a, b := w.serve(`{"do":"seed"}`, soon), w.serve(`{"do":"seed"}`, soon)
	if string(a.Payload) == string(b.Payload) || string(a.Payload) == "0" {
		t.Errorf("two requests have the seeds %s and %s", a.Payload, b.Payload)
	}
	if a.Fuel == 0 || a.Fuel != b.Fuel {
		t.Logf("equal requests: %d and %d instructions", a.Fuel, b.Fuel)
	}
	if a := w.serve(`{"do":"panic","value":"no"}`, soon); a.Failure == nil {
		t.Error("a panic was no failure")
	}
	w.answers(`{"do":"count"}`, `1`)
}
