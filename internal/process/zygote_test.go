package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// zygoteOf returns that of a version's runtime, once it has forked.
func zygoteOf(t *testing.T, l *Launcher, runtime string) *zygote {
	t.Helper()
	rt, _ := l.cfg.Runtimes.Lookup(runtime)
	z := l.zygote(rt)
	if z.process() == nil {
		t.Fatal("nothing was forked")
	}
	return z
}

func (z *zygote) process() *sandbox.Trusted {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.latest == nil {
		return nil
	}
	return z.latest.proc
}

// forked is how many forks the latest process was asked for.
func (z *zygote) forked() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.latest.mu.Lock()
	defer z.latest.mu.Unlock()
	return z.latest.forks
}

// TestForkedStemIsInItsSandbox compares the namespaces of a runtime that was
// forked with those of a process that is started beside it. The rest of what
// can be seen of it TestStemIsNoOtherWorld compares.
func TestForkedStemIsInItsSandbox(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	e := fromStem(t, l, v)
	zygoteOf(t, l, v.Runtime)
	var forked, started map[string]string
	if err := json.Unmarshal(e.invoke(`{"do":"namespaces"}`).Payload, &forked); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := e.box.Start(sandbox.Cmd{
		Path: "/usr/bin/python3", Args: []string{"python3", "-c", "import app; print(app.do_namespaces({}).__repr__().replace(\"'\", '\"'))"},
		Dir: taskRoot, Stdout: w, Stderr: w,
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := json.Unmarshal(out, &started); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// It has one of its own, whose root is the same group: see the cgroups
	// that worlds tell of.
	own, err := os.Readlink("/proc/self/ns/cgroup")
	if err != nil || forked["cgroup"] == own {
		t.Errorf("cgroup namespace %s: the server's is %s, %v", forked["cgroup"], own, err)
	}
	delete(forked, "cgroup")
	delete(started, "cgroup")
	if diff := cmp.Diff(started, forked); diff != "" || len(forked) < 7 {
		t.Errorf("namespaces (- started, + forked): %s", diff)
	}
}

// awaitZygote waits until a runtime's zygote can be asked, and returns it.
func awaitZygote(t *testing.T, l *Launcher, runtime string) *zygote {
	t.Helper()
	rt, _ := l.cfg.Runtimes.Lookup(runtime)
	z := l.zygote(rt)
	for deadline := time.Now().Add(testWait); z.current() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there is no zygote")
		}
	}
	return z
}

// TestForkedAtOnceIsNoOtherWorld: where nothing is prepared, the second
// environment is forked while its caller waits.
func TestForkedAtOnceIsNoOtherWorld(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", func(c *Config) { c.Pool = PoolConfig{} })
	want := startEnv(t, l, v)
	z := awaitZygote(t, l, v.Runtime)
	got := startEnv(t, l, v)
	if z.forked() != 1 || got.started.From != millicent.FromNothing {
		t.Fatalf("%d forks, from %s", z.forked(), got.started.From)
	}
	if diff := cmp.Diff(want.world(), got.world()); diff != "" {
		t.Errorf("what is forked at once is another world (- started, + forked):\n%s", diff)
	}
	got.failsWith(`{"do":"exit","code":7}`, "Runtime.ExitError", "Runtime exited with error: exit status 7")
	got.answers(`{"do":"count"}`, "1")
	if z.forked() != 1 {
		t.Error("a runtime is forked where the function has run")
	}
}

func TestForkedStemsEndAsStartedOnes(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	e := fromStem(t, l, v)
	e.failsWith(`{"do":"exit","code":7}`, "Runtime.ExitError", "Runtime exited with error: exit status 7")
	e.answers(`{"do":"count"}`, "1")
	e = fromStem(t, l, v)
	e.failsWith(`{"do":"kill"}`, "Runtime.ExitError", "Runtime exited with error: signal: killed")
	e = fromStem(t, l, v)
	if res := e.invoke(`{"do":"allocate","mb":256}`); res.ErrorType != "Runtime.OutOfMemory" {
		t.Errorf("got %s (%s)", res.Payload, res.ErrorType)
	}
}

// TestForkedStemsDrawTheirOwnLots: what is random differs between children of
// one process.
func TestForkedStemsDrawTheirOwnLots(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	var draws [2][]any
	var from [2]*sandbox.Trusted
	for i := range draws {
		e := fromStem(t, l, v)
		from[i] = zygoteOf(t, l, v.Runtime).process()
		if err := json.Unmarshal(e.invoke(`{"do":"draw"}`).Payload, &draws[i]); err != nil {
			t.Fatal(err)
		}
	}
	if from[0] != from[1] {
		t.Fatal("they came from two processes")
	}
	for i := range draws[0] {
		if draws[0][i] == draws[1][i] {
			t.Errorf("both drew %v", draws[0][i])
		}
	}
}

func TestForkedStemsHaveTheWholeLibrary(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	v.MemoryMB = 512
	fromStem(t, l, v).answers(`{"do":"libraries"}`,
		`[[1, 2, 3], 16, "x", [1], 1, 0, "sub\n", [1], 7, "e3b0c442", "0.25"]`)
}

func TestZygotesAreReplaced(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	e := fromStem(t, l, v)
	z := zygoteOf(t, l, v.Runtime)
	first := z.process()
	fresh := func() {
		t.Helper()
		p, err := l.prepare(t.Context(), l.preparedSpec(), false)
		if err != nil {
			t.Fatal(err)
		}
		if p.stem, err = z.fork(t.Context(), p.box, nil); err != nil {
			t.Error(err)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
	set := func(change func(*zygoteProcess)) {
		z.mu.Lock()
		defer z.mu.Unlock()
		z.latest.mu.Lock()
		defer z.latest.mu.Unlock()
		change(z.latest)
	}
	for name, change := range map[string]func(*zygoteProcess){
		"after so many forks": func(p *zygoteProcess) { p.forks = zygoteForks },
		"after a while":       func(p *zygoteProcess) { p.until = time.Now() },
		"when it has ended":   func(p *zygoteProcess) { _ = p.proc.Kill() },
	} {
		before := z.process()
		set(change)
		fresh()
		if z.process() == before {
			t.Errorf("not %s", name)
		}
	}
	select {
	case <-first.Done():
	case <-time.After(testWait):
		t.Error("the first one is still there")
	}
	e.answers(`{"do":"count"}`, "1") // its children are not touched
}

// TestZygotesAreReplacedAhead: forks go on while the successor of a process
// begins, and what it was asked for before is done.
func TestZygotesAreReplacedAhead(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", func(c *Config) { c.Pool = PoolConfig{} })
	startEnv(t, l, v)
	z := awaitZygote(t, l, v.Runtime)
	first := z.process()
	z.mu.Lock()
	z.latest.mu.Lock()
	z.latest.forks = zygoteForks - zygoteAhead - 1
	z.latest.mu.Unlock()
	z.mu.Unlock()
	for deadline := time.Now().Add(testWait); z.process() == first; {
		p, err := l.prepare(t.Context(), l.preparedSpec(), false)
		if err != nil {
			t.Fatal(err)
		}
		if p.stem, err = z.forkNow(t.Context(), p.box); p.stem == nil {
			t.Errorf("nothing is forked: %v", err)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not replaced")
		}
	}
	select {
	case <-first.Done():
	case <-time.After(testWait):
		t.Error("the first one is still there")
	}
}

// TestZygoteEndsWithItsServer: a server that is killed does not end it.
func TestZygoteEndsWithItsServer(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	fromStem(t, l, v)
	z := zygoteOf(t, l, v.Runtime)
	ended := z.process().Done()
	z.mu.Lock()
	z.latest.conn.CloseWrite()
	z.mu.Unlock()
	select {
	case <-ended:
	case <-time.After(testWait):
		t.Error("it goes on")
	}
}

func TestStemsAreStartedWhereNoneCanBeForked(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	rt, _ := l.cfg.Runtimes.Lookup(v.Runtime)
	z := l.zygote(rt)
	z.pause()
	fromStem(t, l, v).answers(`{"do":"count"}`, "1")
	if z.process() != nil {
		t.Error("there is a zygote")
	}
}

// TestPausedZygote: after a child that could not be confined, a process that
// is there is asked for no other.
func TestPausedZygote(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	fromStem(t, l, v)
	z := zygoteOf(t, l, v.Runtime)
	z.pause()
	p, err := l.prepare(t.Context(), l.preparedSpec(), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.fork(t.Context(), p.box, nil); !errors.Is(err, errZygotePaused) {
		t.Errorf("forked all the same: %v", err)
	}
	if st, err := z.forkNow(t.Context(), p.box); st != nil || err != nil {
		t.Errorf("forked at once all the same: %v", err)
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

// TestZygoteIsOutOfReach: a runtime that was forked can reach nothing
// of what it came from.
func TestZygoteIsOutOfReach(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	e := fromStem(t, l, v)
	zygoteOf(t, l, v.Runtime)
	w := e.world()
	if got := w["processes"]; len(got) != 1 { // pid 1 hides
		t.Errorf("processes: %v", got)
	}
	if got := len(w["descriptors"]); got != 6 { // three standard ones, the log, two of the link
		t.Errorf("%d descriptors: %v", got, w["descriptors"])
	}
}

// TestNoFunctionIsInTheZygote: environments of two tenants are forked from one
// process, and nothing of either is in its memory.
func TestNoFunctionIsInTheZygote(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", pooling)
	const mark = "mark of a tenant: "
	var from [2]*sandbox.Trusted
	for i, tenant := range []string{"000000000000", "111122223333"} {
		own := v.Clone()
		own.Tenant = tenant
		own.Environment = map[string]string{"MARK": mark + tenant}
		e := fromStem(t, l, own)
		e.answers(`{"do":"count"}`, "1")
		from[i] = zygoteOf(t, l, v.Runtime).process()
	}
	if from[0] != from[1] {
		t.Fatal("they came from two processes")
	}
	memory := memoryOf(t, from[0].PID())
	for _, text := range []string{mark, "do_libraries"} {
		if bytes.Contains(memory, []byte(text)) {
			t.Errorf("the zygote's memory has %q", text)
		}
	}
	if !bytes.Contains(memory, []byte("_practise")) {
		t.Error("nothing of the zygote itself is in its memory: the test tests nothing")
	}
}

// memoryOf reads what a process can write to.
func memoryOf(t *testing.T, pid int) (all []byte) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		var begin, end uint64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &begin, &end, &rights); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(rights, "rw") {
			continue
		}
		part := make([]byte, end-begin)
		n, err := mem.ReadAt(part, int64(begin))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, part[:n]...)
	}
	return all
}
