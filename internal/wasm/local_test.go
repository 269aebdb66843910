package wasm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// newLocal returns a Local, and a Spec of a program of testdata.
func newLocal(t *testing.T, name string, cfg LocalConfig) (*Local, *Spec) {
	t.Helper()
	cfg.CacheDir, cfg.Audit = cacheDir, 1
	l, err := NewLocal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	for file, content := range map[string][]byte{"main.wasm": build(t, name), "data/a.txt": []byte("packed")} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700), os.WriteFile(filepath.Join(dir, file), content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	return l, &Spec{Digest: name, Dir: dir, Module: "main.wasm", MemoryMB: 128, Environ: []string{"COLOUR=blue"}, Log: &bytes.Buffer{}}
}

func begin(t *testing.T, l *Local, spec *Spec) *LocalSession {
	t.Helper()
	s, err := l.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*LocalSession) //nolint:forcetypeassert // a Local's are
}

// gives checks what a session answers.
func gives(t *testing.T, s Session, event, want string) {
	t.Helper()
	a, err := s.Serve(t.Context(), &Request{Event: []byte(event), Deadline: time.Now().Add(soon)})
	if err != nil || a.Failure != nil || strings.TrimSpace(string(a.Payload)) != want {
		t.Errorf("%s: got %+v, %v; want %s", event, a, err, want)
	}
}

func TestSessionsShareAProgram(t *testing.T) {
	l, spec := newLocal(t, "command", LocalConfig{})
	var all sync.WaitGroup
	sessions := make([]*LocalSession, 5)
	for n := range sessions {
		all.Go(func() { sessions[n] = begin(t, l, spec) })
	}
	all.Wait()
	if t.Failed() {
		return
	}
	first := 0
	for _, s := range sessions {
		o := s.Opened()
		if !o.Loaded {
			first++
		}
		if o.Loaded != (o.Init == 0) || !o.Ready || o.Idle < wasmPage || o.Idle > 8<<20 {
			t.Errorf("it opened with %+v", o)
		}
		gives(t, s, `{"do":"env","path":"COLOUR"}`, `"blue"`)
		gives(t, s, `{"do":"read","path":"/var/task/data/a.txt"}`, `"packed"`)
		gives(t, s, `{"do":"list","path":"/var/task"}`, `"data main.wasm"`)
	}
	if first != 1 || len(l.programs) != 1 {
		t.Errorf("%d loadings made %d programs", first, len(l.programs))
	}
	other := *spec
	other.Environ = []string{"COLOUR=red"}
	gives(t, begin(t, l, &other), `{"do":"env","path":"COLOUR"}`, `"red"`)
	if len(l.engine.codes.all) != 1 {
		t.Errorf("the module was compiled %d times", len(l.engine.codes.all))
	}
}

func TestABrokenInstanceIsReplaced(t *testing.T) {
	l, spec := newLocal(t, "reactor", LocalConfig{})
	s := begin(t, l, spec)
	gives(t, s, `{"do":"count"}`, `1`)
	for range 3 {
		a, err := s.Serve(t.Context(), &Request{Event: []byte(`{"do":"panic","value":"no"}`), Deadline: time.Now().Add(soon)})
		if err != nil || a.Failure == nil {
			t.Fatalf("a panic gave %+v, %v", a, err)
		}
		gives(t, s, `{"do":"count"}`, `1`)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.Serve(ctx, &Request{Event: []byte(`{"do":"spin"}`), Deadline: time.Now().Add(soon)})
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request ended with %v", err)
	}
	gives(t, s, `{"do":"count"}`, `1`)
}

func TestCloseEndsWhatRuns(t *testing.T) {
	l, spec := newLocal(t, "reactor", LocalConfig{})
	s, log := begin(t, l, spec), started{make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Serve(t.Context(), &Request{Event: []byte(`{"do":"spin"}`), Deadline: time.Now().Add(soon), Log: log})
		ended <- err
	}()
	<-log.c
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrHostGone) {
		t.Errorf("the request ended with %v", err)
	}
	if _, err := s.Serve(t.Context(), &Request{Deadline: time.Now().Add(soon)}); !errors.Is(err, ErrNotServed) {
		t.Errorf("a request afterwards: %v", err)
	}
	if _, err := l.Open(t.Context(), spec); err == nil {
		t.Error("it opens sessions still")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// started is a log that tells that something was written.
type started struct{ c chan struct{} }

func (s started) Write(b []byte) (int, error) {
	select {
	case s.c <- struct{}{}:
	default:
	}
	return len(b), nil
}

func TestIdleProgramsAreDropped(t *testing.T) {
	l, spec := newLocal(t, "reactor", LocalConfig{Keep: time.Hour})
	s := begin(t, l, spec)
	p := s.loaded
	l.forget(p) // too late: it is used
	gives(t, s, `{"do":"count"}`, `1`)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if o := begin(t, l, spec).Opened(); !o.Loaded {
		t.Error("a program that was in use just now was loaded again")
	}
	for s := range l.sessions {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	l.forget(p)
	if len(l.programs) != 0 || len(l.engine.codes.all) != 0 {
		t.Errorf("%d programs and %d codes are left", len(l.programs), len(l.engine.codes.all))
	}
	if o := begin(t, l, spec).Opened(); o.Loaded {
		t.Error("a program that was dropped is there")
	}
}

// A program whose instances are initialised one by one is never ready for the
// next one.
func TestNotReadyWithoutAnImage(t *testing.T) {
	l, spec := newLocal(t, "tables.wat", LocalConfig{})
	for range 2 {
		if o := begin(t, l, spec).Opened(); o.Ready {
			t.Errorf("it opened with %+v", o)
		}
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	l, spec := newLocal(t, "reactor", LocalConfig{})
	for name, change := range map[string]func(*Spec){
		"no such file":            func(s *Spec) { s.Module = "other.wasm" },
		"is no file of":           func(s *Spec) { s.Module = "../" + filepath.Base(s.Dir) + "/main.wasm" },
		"path escapes":            func(s *Spec) { s.Module = "out" },
		"is no file of at most":   func(s *Spec) { s.Module = "data" },
		"not a WebAssembly":       func(s *Spec) { s.Module = "data/a.txt" },
		"Runtime.MalformedHandle": func(s *Spec) { s.Module = "" }, // JavaScript
		"are what it may have":    func(s *Spec) { s.MemoryMB = 1 },
		"Task timed out":          func(s *Spec) { s.InitTime = 1 },
		"no such file or directo": func(s *Spec) { s.Dir += "/nowhere" },
	} {
		other := *spec
		change(&other)
		if s, err := l.Open(t.Context(), &other); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, %v", name, s, err)
		}
		if err := l.Prepare(t.Context(), &other); name != "Task timed out" && (err == nil || !strings.Contains(err.Error(), name)) {
			t.Errorf("%s: it was prepared: %v", name, err)
		}
	}
	if err := l.Prepare(t.Context(), spec); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Open(ctx, spec); !errors.Is(err, context.Canceled) {
		t.Errorf("in spite of its context: %v", err)
	}
	gives(t, begin(t, l, spec), `{"do":"count"}`, `1`)
}

// A program that serves nothing has no instance, and gets one when it does.
func TestProgramsRest(t *testing.T) {
	l, spec := newLocal(t, "reactor", LocalConfig{Rest: time.Hour})
	s := begin(t, l, spec)
	p, later := s.loaded, time.Now().Add(time.Hour)
	for range 3 {
		gives(t, s, `{"do":"count"}`, "1")
		if p.rest(time.Now().Add(-time.Hour)) || len(p.spares) != 1 {
			t.Error("a program rests that has just served")
		}
		if !p.rest(later) || len(p.spares) != 0 || p.rest(later) {
			t.Error("a program does not rest")
		}
	}
	i, err := p.spare(t.Context(), nil) // as while a request runs
	if err != nil || p.rest(later) {
		t.Errorf("a program rests while it serves, or %v", err)
	}
	i.Close()
	gives(t, s, `{"do":"count"}`, "1")
}

// Sessions of a program use one instance after the other, the last one first,
// and have one each while they serve at the same time. One that broke is not
// used again.
func TestSessionsShareInstances(t *testing.T) {
	l, spec := newLocal(t, "reactor", LocalConfig{Rest: time.Hour})
	a, b := begin(t, l, spec), begin(t, l, spec)
	p := a.loaded
	only := p.spares[0].Instance
	for _, s := range []*LocalSession{a, b, a} {
		gives(t, s, `{"do":"count"}`, "1")
		if len(p.spares) != 1 || p.spares[0].Instance != only {
			t.Errorf("there are %d instances, or another one", len(p.spares))
		}
	}
	req := &Request{Event: []byte(`{"do":"count"}`), Deadline: time.Now().Add(soon)}
	for _, s := range []*LocalSession{a, b} {
		if _, err := s.Run(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.spares) != 0 || a.instance != only || b.instance == only {
		t.Error("two requests are in one instance")
	}
	b.Renew()
	a.Renew()
	if len(p.spares) != 2 || p.spares[1].Instance != only {
		t.Error("what was used last is not the first to be used again")
	}
	if answer, err := b.Serve(t.Context(), &Request{Event: []byte(`{"do":"panic","value":"no"}`), Deadline: req.Deadline}); err != nil || answer.Failure == nil {
		t.Fatalf("a panic gave %+v, %v", answer, err)
	}
	if len(p.spares) != 1 || p.spares[0].Instance == only {
		t.Error("an instance that broke is to be used again")
	}
	for range 2 {
		gives(t, b, `{"do":"count"}`, "1")
	}
}

// Whoever is in charge of a process is told when programs rest.
func TestRested(t *testing.T) {
	told := make(chan bool, 10)
	l, spec := newLocal(t, "reactor", LocalConfig{Rest: time.Millisecond, Rested: func() { told <- true }})
	s := begin(t, l, spec)
	<-told
	gives(t, s, `{"do":"count"}`, "1")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
