package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFreeze(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{})
	p, err := s.Start(Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "while :; do :; done"}})
	if err != nil {
		t.Fatal(err)
	}
	cpu := func() time.Duration {
		st, err := s.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return st.CPU
	}
	if err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := cpu()
	if _, err := s.Start(Cmd{Path: "/bin/true", Args: []string{"true"}}); err == nil {
		t.Error("a frozen sandbox started a process")
	}
	time.Sleep(50 * time.Millisecond) // in which a running one would have used some
	if after := cpu(); after != before {
		t.Errorf("frozen, it used %v", after-before)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	for before = cpu(); cpu() == before; {
		runtime.Gosched()
	}
	if err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.KillAll(); err != nil { // thaws
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end of what was frozen")
	if err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // of a frozen one
		t.Fatal(err)
	}
}

// TestFreezeEnds closes sandboxes whose processes are being frozen, or are.
func TestFreezeEnds(t *testing.T) {
	h := openHost(t)
	for round := range 6 {
		s := newSandbox(t, h, Spec{})
		p, err := s.Start(Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "while :; do (:); done"}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Freeze(context.Background()) }()
		if round%2 == 0 {
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			ended <- nil
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		<-ended // frozen or not, there is nothing any more
		waitFor(t, p.Done(), "the end of what was frozen")
		if err := s.Freeze(t.Context()); !errors.Is(err, errEnded) {
			t.Errorf("freeze of a closed sandbox: %v", err)
		}
	}
}

// TestFreezeAgain freezes after a first attempt that was given up.
func TestFreezeAgain(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{})
	given, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if err := s.Freeze(given); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
		if err := s.Freeze(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Thaw(); err != nil {
			t.Error(err)
		}
	}
}

// TestSignalFrozen has a process that is sent a signal while it is frozen act
// on it when it thaws.
func TestSignalFrozen(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := s.Start(Cmd{
		Path: "/bin/sh", Stdout: w,
		Args: []string{"sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do :; done"},
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1) // it may have to wait, as pid 1 may be in the middle of something
	go func() { sent <- p.Signal(syscall.SIGTERM) }()
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end of what was sent a signal")
	if p.Status().Code != 7 {
		t.Errorf("it ended with %+v", p.Status())
	}
}

func TestGiveBack(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Memory: 256 * mib, Tmp: 64 * mib})
	if got := run(t, s, "/bin/dd", "if=/dev/zero", "of=/tmp/x", "bs=1M", "count=32", "conv=fsync"); got.Code != 0 {
		t.Fatalf("%+v", got)
	}
	if err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	freed, err := s.GiveBack()
	if err != nil || freed < 16*mib {
		t.Errorf("%d bytes given back, %v; the cache of a file of 32 MiB is there to be", freed, err)
	}
	if again, err := s.GiveBack(); err != nil || again > freed/2 {
		t.Errorf("the second time %d bytes of %d, %v", again, freed, err)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, s, "cksum < /tmp/x"); got.Code != 0 || !strings.HasSuffix(got.out, "33554432\n") {
		t.Errorf("the file is %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GiveBack(); err == nil {
		t.Error("a closed sandbox gave memory back")
	}
}

// TestCannotFreeze is on machines that lack what it takes.
func TestCannotFreeze(t *testing.T) {
	s := &Sandbox{closing: make(chan struct{})}
	if err := s.Freeze(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without cgroups: %v", err)
	}
	if _, err := s.GiveBack(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without cgroups: %v", err)
	}
	none := t.TempDir()
	for _, g := range []group{
		&group1{}, &group1{dirs: map[string]string{"memory": none}}, &group2{path: filepath.Join(none, "none")},
	} {
		if err := g.freeze(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%T: freeze: %v", g, err)
		}
		if _, err := g.giveBack(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%T: give back: %v", g, err)
		}
	}
}

func TestGiveBack2(t *testing.T) {
	dir := newTree(t, filepath.Join(t.TempDir(), "one"), map[string]string{"memory.current": "5000\n", "memory.reclaim": ""})
	g := &group2{path: string(dir)}
	if freed, err := g.giveBack(); freed != 0 || err != nil { // nothing acts on these files
		t.Errorf("%d bytes, %v", freed, err)
	}
	dir.holds(t, map[string]string{"memory.reclaim": "5000"})
}

// BenchmarkFreeze freezes and thaws a sandbox with a process of four threads
// that sleep; thawed is the time until one of them runs.
func BenchmarkFreeze(b *testing.B) {
	s := newSandbox(b, openHost(b), benchSpec)
	in, inW, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	out, outW, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	const echo = "import os, threading, time\n" +
		"for _ in range(4): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n" +
		"while os.read(0, 1): os.write(1, b'x')"
	_, err = s.Start(Cmd{
		Path: "/usr/bin/python3", Args: []string{"python3", "-c", echo}, Stdin: in, Stdout: outW,
	})
	if err != nil {
		b.Fatal(err)
	}
	answer := func() {
		if _, err := inW.Write([]byte("x")); err != nil {
			b.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
	}
	answer()
	var w stopwatch
	cpu, _ := used()
	for b.Loop() {
		w.start()
		answer()
		w.lap("1-answer")
		if err := s.Freeze(b.Context()); err != nil {
			b.Fatal(err)
		}
		w.lap("2-freeze")
		if err := s.Thaw(); err != nil {
			b.Fatal(err)
		}
		w.lap("3-thaw")
		answer()
		w.lap("4-answer-after")
	}
	now, _ := used()
	w.report(b)
	b.ReportMetric(float64((now-cpu).Microseconds())/float64(b.N), "µs-cpu-server")
	if err := errors.Join(in.Close(), inW.Close(), out.Close(), outW.Close()); err != nil {
		b.Fatal(err)
	}
}
