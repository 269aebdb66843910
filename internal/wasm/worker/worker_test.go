package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millicent-run/millicent/internal/sandbox"
	"github.com/millicent-run/millicent/internal/wasm"
)

// sandboxes are the tests' own: one Host is enough for all.
var sandboxes *sandbox.Host

func TestMain(m *testing.M) {
	sandbox.Main()
	takenOver()
	Main()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "millicent-worker")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	sandboxes, err = sandbox.Open(sandbox.Config{Name: fmt.Sprintf("workertest-%d", os.Getpid()), Dir: dir})
	if err != nil {
		panic(err)
	}
	defer func() {
		if err := sandboxes.Close(); err != nil {
			panic(err)
		}
	}()
	return m.Run()
}

// testLog passes what is logged on to a test.
type testLog struct{ testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// newPool returns a Pool that ends with the test.
func newPool(t testing.TB, cfg Config) *Pool {
	t.Helper()
	cfg.Sandboxes = sandboxes
	if cfg.CacheDir == "" {
		cfg.CacheDir = t.TempDir()
	}
	cfg.Log = slog.New(slog.NewTextHandler(testLog{t}, nil))
	p, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func newHost(t testing.TB, p *Pool, tenant string) *Host {
	t.Helper()
	h, err := p.Host(tenant)
	if err != nil {
		t.Fatal(err)
	}
	return h.(*Host)
}

// newSpec returns a program of the guest.
func newSpec(t testing.TB, files ...string) *wasm.Spec {
	t.Helper()
	dir := t.TempDir()
	module := guest()
	if err := os.WriteFile(filepath.Join(dir, "function.wasm"), module, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f), []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(module)
	return &wasm.Spec{Digest: hex.EncodeToString(sum[:]), Dir: dir, Module: "function.wasm", MemoryMB: 64, Log: &lines{}}
}

// lines is a Log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func open(t testing.TB, h wasm.Host, spec *wasm.Spec) wasm.Session {
	t.Helper()
	s, err := h.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// request returns one with plenty of time.
func request(event string) *wasm.Request {
	return &wasm.Request{Event: []byte(event), Deadline: time.Now().Add(time.Minute), Log: &lines{}}
}

// ask has a session serve an event.
func ask(t testing.TB, s wasm.Session, event string) *wasm.Answer {
	t.Helper()
	a, err := s.Serve(t.Context(), request(event))
	if err != nil {
		t.Fatalf("%.10s: %v", event, err)
	}
	return a
}

func echoes(t testing.TB, s wasm.Session) {
	t.Helper()
	if a := ask(t, s, "echo this"); a.Failure != nil || string(a.Payload) != "echo this" {
		t.Errorf("got %q, %v", a.Payload, a.Failure)
	}
}

func TestServe(t *testing.T) {
	h := newHost(t, newPool(t, Config{}), "a")
	s := open(t, h, newSpec(t, "data"))
	if o := s.Opened(); o.Loaded {
		t.Errorf("the first to open: %+v", o)
	}
	echoes(t, s)

	req := request("log this")
	if a, err := s.Serve(t.Context(), req); err != nil || a.Failure != nil || req.Log.(*lines).String() != "log this" {
		t.Errorf("log: %v, %v, %q", a, err, req.Log)
	}
	if a := ask(t, s, "x"); a.Failure == nil || a.Failure.Timeout {
		t.Errorf("a trap: %v", a.Failure)
	}
	for range 3 {
		if a := ask(t, s, "w"); a.Failure != nil {
			t.Errorf("a request sees what another wrote: %v", a.Failure)
		}
	}
	large := "e" + strings.Repeat("0123456789abcdef", 300_000)
	if a := ask(t, s, large); string(a.Payload) != large {
		t.Errorf("a large event: got %d bytes, %v", len(a.Payload), a.Failure)
	}
	if a := ask(t, s, "e"); a.CPU <= 0 || a.Fuel == 0 || a.Peak < 1<<20 {
		t.Errorf("measured %v, %d, %d", a.CPU, a.Fuel, a.Peak)
	}
	if again := open(t, h, newSpec(t, "data")); !again.Opened().Loaded {
		t.Errorf("another session: %+v", again.Opened())
	}
}

// A deadline ends a guest; a context does; and the session serves on.
func TestStop(t *testing.T) {
	s := open(t, newHost(t, newPool(t, Config{}), "a"), newSpec(t))
	req := request("spin")
	req.Deadline = time.Now().Add(50 * time.Millisecond)
	if a, err := s.Serve(t.Context(), req); err != nil || a.Failure == nil || !a.Failure.Timeout {
		t.Errorf("deadline: %v, %v", a, err)
	}
	echoes(t, s)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if a, err := s.Serve(ctx, request("spin")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("context: %v, %v", a, err)
		}
		cancel()
		echoes(t, s)
	}
}

// whenFlushed is a Log that holds back what is written, and has something done
// when it need not do so any more.
type whenFlushed struct {
	*lines
	do func()
}

// Flush implements wasm.HeldLog.
func (l whenFlushed) Flush() { l.do() }

// What a guest logs is held back no longer than it runs briefly.
func TestFlush(t *testing.T) {
	l, err := wasm.NewLocal(wasm.LocalConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := open(t, l, newSpec(t))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := request("spin")
	req.Log = whenFlushed{&lines{}, cancel}
	if a, err := s.Serve(ctx, req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", a, err)
	}
}

// A request that is cancelled when it is answered already takes none with it
// that came after it.
func TestLateCancel(t *testing.T) {
	s := open(t, newHost(t, newPool(t, Config{}), "a"), newSpec(t)).(*session)
	echoes(t, s)
	answered := s.request
	req := request("spin")
	req.Deadline = time.Now().Add(200 * time.Millisecond)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for serves := false; !serves; time.Sleep(time.Millisecond) {
			s.mu.Lock()
			serves = s.request > answered && !s.over
			s.mu.Unlock()
		}
		s.cancel(answered)
	}()
	if a, err := s.Serve(t.Context(), req); err != nil || a.Failure == nil || !a.Failure.Timeout || time.Now().Before(req.Deadline) {
		t.Errorf("got %+v, %v, %v before the deadline", a, err, time.Until(req.Deadline))
	}
	<-done
}

// Guests that want more memory than the worker may have fail, one by one, and
// the worker serves on. Each alone may have what it asks for.
func TestMemory(t *testing.T) {
	h := newHost(t, newPool(t, Config{Memory: 256 << 20}), "a")
	spec := newSpec(t)
	spec.MemoryMB = 128
	alone := open(t, h, spec)
	if a := ask(t, alone, "grow"); a.Failure == nil || a.Peak != 128<<20 {
		t.Errorf("alone: %v, %d bytes", a.Failure, a.Peak)
	}
	worker := running(t, h)
	peak := 0
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 4 {
		s := open(t, h, spec)
		wg.Go(func() {
			for range 5 {
				a, err := s.Serve(t.Context(), request("grow"))
				if err != nil || a.Failure == nil || a.Failure.Timeout {
					t.Errorf("got %v, %v", a, err)
					return
				}
				mu.Lock()
				peak = max(peak, a.Peak)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if peak <= 8<<20 {
		t.Errorf("none got more than %d bytes", peak)
	}
	if running(t, h) != worker {
		t.Error("the worker has ended")
	}
	echoes(t, alone)
}

// A guest's requests to the outside are the server's to make; the event is what
// it was afterwards, and the deadline holds.
func TestFetch(t *testing.T) {
	s := open(t, newHost(t, newPool(t, Config{}), "a"), newSpec(t))
	req := request("fdocument")
	req.Fetch = func(_ context.Context, document []byte) []byte { return append([]byte("came of "), document...) }
	if a, err := s.Serve(t.Context(), req); err != nil || string(a.Payload) != "came of document" {
		t.Errorf("got %v, %v", a, err)
	}
	large := strings.Repeat("x", 5<<20)
	req = request("f" + large)
	req.Fetch = func(_ context.Context, document []byte) []byte { return document }
	if a, err := s.Serve(t.Context(), req); err != nil || string(a.Payload) != large {
		t.Errorf("a large one: %v", err)
	}
	if a, err := s.Serve(t.Context(), request("fdocument")); err != nil || !strings.Contains(string(a.Payload), "off for this function") {
		t.Errorf("without: %v, %v", a, err)
	}
	req = request("fdocument")
	req.Deadline = time.Now().Add(50 * time.Millisecond)
	req.Fetch = func(ctx context.Context, _ []byte) []byte { <-ctx.Done(); return nil }
	if a, err := s.Serve(t.Context(), req); err != nil || a.Failure == nil || !a.Failure.Timeout {
		t.Errorf("beyond the deadline: %v, %v", a, err)
	}
	echoes(t, s)
}

// A worker without sessions ends after a while, and the next Open starts
// another.
func TestIdle(t *testing.T) {
	h := newHost(t, newPool(t, Config{Keep: time.Millisecond}), "a")
	s := open(t, h, newSpec(t))
	worker := running(t, h)
	echoes(t, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool {
		select {
		case <-worker.sandbox.Done():
			return true
		default:
			return false
		}
	})
	echoes(t, open(t, h, newSpec(t)))
}

// Compiled code outlives the worker, and is another tenant's no more than
// anything else of it.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	p := newPool(t, Config{CacheDir: dir})
	if err := newHost(t, p, "a").Prepare(t.Context(), newSpec(t)); err != nil {
		t.Fatal(err)
	}
	kept := func(tenant string) int {
		names, err := filepath.Glob(filepath.Join(dir, tenant, "wazero-*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	if kept("a") != 1 {
		t.Fatalf("%d files are kept", kept("a"))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = newPool(t, Config{CacheDir: dir})
	before := modified(t, dir, "a")
	echoes(t, open(t, newHost(t, p, "a"), newSpec(t)))
	if after := modified(t, dir, "a"); after != before {
		t.Errorf("what was kept was compiled again")
	}
	if kept("b") != 0 {
		t.Errorf("another tenant has %d files", kept("b"))
	}
	echoes(t, open(t, newHost(t, p, "b"), newSpec(t)))
	if kept("b") != 1 {
		t.Errorf("another tenant keeps %d files", kept("b"))
	}
}

func modified(t *testing.T, dir, tenant string) time.Time {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, tenant, "wazero-*", "*"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	info, err := os.Stat(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// A worker that is killed takes its own requests along and nobody else's.
func TestKilled(t *testing.T) {
	p := newPool(t, Config{})
	a, b := newHost(t, p, "a"), newHost(t, p, "b")
	victim, other := open(t, a, newSpec(t)), open(t, b, newSpec(t))
	idle := open(t, a, newSpec(t))
	done := make(chan error)
	go func() {
		_, err := victim.Serve(t.Context(), request("spin"))
		done <- err
	}()
	served := make(chan error)
	stop := make(chan struct{})
	go func() {
		defer close(served)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got, err := other.Serve(t.Context(), request("echo")); err != nil || got.Failure != nil {
				served <- fmt.Errorf("%v, %w", got, err)
				return
			}
		}
	}()
	worker := running(t, a)
	waitFor(t, func() bool { // the guest spins
		stats, err := worker.sandbox.Stats()
		return err == nil && stats.CPU > 100*time.Millisecond
	})
	if err := worker.program.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, wasm.ErrHostGone) {
		t.Errorf("what ran: %v", err)
	}
	if _, err := idle.Serve(t.Context(), request("echo")); !errors.Is(err, wasm.ErrHostGone) && !errors.Is(err, wasm.ErrNotServed) {
		t.Errorf("an idle session: %v", err)
	}
	echoes(t, open(t, a, newSpec(t)))
	close(stop)
	if err := <-served; err != nil {
		t.Errorf("another tenant: %v", err)
	}
}

// running returns a host's worker.
func running(t *testing.T, h *Host) *process {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == nil || h.current.process == nil {
		t.Fatal("there is no worker")
	}
	return h.current.process
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !what(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

// A function of JavaScript runs in a worker, also in the next one.
func TestJavaScript(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	code := `export const handler = async (event) => ({sum: event.a + event.b, id: typeof crypto.randomUUID()})`
	if err := os.WriteFile(filepath.Join(dir, "index.mjs"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := &wasm.Spec{Digest: "javascript", Dir: dir, Handler: "index.handler", MemoryMB: 128, Log: &lines{}}
	for range 2 {
		p := newPool(t, Config{CacheDir: cache})
		s := open(t, newHost(t, p, "a"), spec)
		if a := ask(t, s, `{"a": 1, "b": 2}`); a.Failure != nil || string(a.Payload) != `{"sum":3,"id":"string"}` {
			t.Errorf("got %s, %v, %s", a.Payload, a.Failure, spec.Log)
		}
	}
	for _, pattern := range []string{"a/javascript-*", "a/wazero-*/*"} {
		if kept, err := filepath.Glob(filepath.Join(cache, pattern)); err != nil || len(kept) != 1 {
			t.Errorf("%s: %v, %v", pattern, kept, err)
		}
	}
}
