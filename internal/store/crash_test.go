package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// crashDir tells a re-executed test binary to change a store until it is
// killed.
const crashDir = "MILLICENT_STORE_CRASH_DIR"

// step is one change of the crash test, told before it begins and after it
// was acknowledged.
type step struct {
	Done     bool   `json:"done"`
	Function string `json:"function"`
	Kind     string `json:"kind"`
	Marker   string `json:"marker,omitempty"` // description and content of the code
	Number   int    `json:"number,omitempty"`
}

// modelFunction is what should be known of a function.
type modelFunction struct {
	Marker   string
	Last     int
	Versions map[int]string // marker by number
}

// model is what should be in the store.
type model map[string]modelFunction

// after returns the function after a step; ok is false when it is gone.
func (f modelFunction) after(s step) (g modelFunction, ok bool) {
	g = modelFunction{f.Marker, f.Last, maps.Clone(f.Versions)}
	if g.Versions == nil {
		g.Versions = make(map[int]string)
	}
	switch s.Kind {
	case "create":
		return modelFunction{Marker: s.Marker, Versions: map[int]string{}}, true
	case "create published":
		return modelFunction{Marker: s.Marker, Last: 1, Versions: map[int]string{1: s.Marker}}, true
	case "update":
		g.Marker = s.Marker
	case "publish":
		if g.Versions[g.Last] != g.Marker {
			g.Last++
			g.Versions[g.Last] = g.Marker
		}
	case "delete version":
		delete(g.Versions, s.Number)
	case "delete":
		return modelFunction{}, false
	}
	return g, true
}

func (m model) apply(s step) {
	if f, ok := m[s.Function].after(s); ok {
		m[s.Function] = f
	} else {
		delete(m, s.Function)
	}
}

// next chooses a step for a function.
func (m model) next(name string, r *rand.Rand) step {
	f, exists := m[name]
	s := step{Function: name, Marker: fmt.Sprintf("%016x", r.Uint64())}
	switch n := r.IntN(10); {
	case !exists && n < 5:
		s.Kind = "create"
	case !exists:
		s.Kind = "create published"
	case n < 4:
		s.Kind = "update"
	case n < 8:
		s.Kind = "publish"
	case n < 9 && len(f.Versions) > 0:
		s.Kind, s.Number = "delete version", slices.Collect(maps.Keys(f.Versions))[r.IntN(len(f.Versions))]
	default:
		s.Kind = "delete"
	}
	return s
}

// do makes the change in the store.
func (s step) do(t testing.TB, st *Store) error {
	var p millicent.Package
	if s.Kind == "create" || s.Kind == "create published" || s.Kind == "update" {
		p = putZip(t, st, zipOf(t, file{name: "marker", content: s.Marker}))
	}
	switch s.Kind {
	case "create", "create published":
		f := newFunction(s.Function, p)
		f.Draft.Description = s.Marker
		if s.Kind == "create published" {
			f.Published = []int{1}
		}
		_, err := st.Create(t.Context(), f)
		return err
	case "update":
		_, err := st.Update(t.Context(), testTenant, s.Function, func(f *millicent.Function) error {
			f.Draft.Description, f.Draft.Package, f.Draft.LastUpdate = s.Marker, p, millicent.UpdateInProgress
			return nil
		})
		return err
	case "publish":
		_, err := st.Publish(t.Context(), testTenant, s.Function, "", nil)
		return err
	case "delete version":
		return st.DeleteVersion(t.Context(), testTenant, s.Function, strconv.Itoa(s.Number))
	default:
		return st.Delete(t.Context(), testTenant, s.Function)
	}
}

// TestCrashChild is the process that TestCrash kills.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		return // not the child
	}
	js, _ := startJetStream(t, filepath.Join(dir, "state"))
	st, err := Open(t.Context(), js, Config{Dir: filepath.Join(dir, "packages")})
	if err != nil {
		t.Fatal(err)
	}
	m := read(t, st)
	var mu sync.Mutex // guards m and standard output
	tell := func(s step) {
		b, err := json.Marshal(s)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(os.Stdout, "%s\n", b)
	}
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(worker)))
			for !t.Failed() {
				mu.Lock()
				s := m.next(fmt.Sprintf("f%d-%d", worker, r.IntN(3)), r)
				tell(s)
				mu.Unlock()
				if err := s.do(t, st); err != nil {
					t.Errorf("%+v: %v", s, err)
					return
				}
				s.Done = true
				mu.Lock()
				m.apply(s)
				tell(s)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// read returns what a store holds, and checks that each function and version
// has the code that goes with it.
func read(t testing.TB, st *Store) model {
	t.Helper()
	m := make(model)
	for _, f := range st.Functions(testTenant) {
		g := modelFunction{Marker: f.Draft.Description, Last: f.LastVersion, Versions: make(map[int]string)}
		wantCode(t, st, awaitSettled(t, st, f.Name, millicent.Latest))
		for _, n := range f.Published {
			v := awaitSettled(t, st, f.Name, strconv.Itoa(n))
			wantCode(t, st, v)
			g.Versions[n] = v.Description
		}
		m[f.Name] = g
	}
	return m
}

func wantCode(t testing.TB, st *Store, v *millicent.Version) {
	t.Helper()
	if v.State != millicent.StateActive || v.LastUpdate != millicent.UpdateSuccessful {
		t.Errorf("%s:%s is %s, %s: %s", v.Function, v.Number, v.State, v.LastUpdate, v.StateReason)
		return
	}
	dir, err := st.PackageDir(testContext(t), v.Package)
	if err != nil {
		t.Errorf("%s:%s: %v", v.Function, v.Number, err)
		return
	}
	if got, err := os.ReadFile(filepath.Join(dir, "marker")); err != nil || string(got) != v.Description {
		t.Errorf("%s:%s has the code of %q, %v, want %q", v.Function, v.Number, got, err, v.Description)
	}
}

// TestCrash kills a process that changes a store, at random moments, and
// checks that all it acknowledged is there and nothing is half done.
func TestCrash(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	m := make(model)
	acknowledged := 0
	for round := range rounds {
		steps := runAndKill(t, dir, 1+rand.IntN(20))
		pending := make(map[string]step)
		for _, s := range steps {
			if !s.Done {
				pending[s.Function] = s
				continue
			}
			delete(pending, s.Function)
			m.apply(s)
			acknowledged++
		}
		m = checkAfterCrash(t, dir, m, pending)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	if acknowledged < rounds {
		t.Errorf("%d changes were acknowledged in %d rounds", acknowledged, rounds)
	}
	t.Logf("%d rounds, %d changes acknowledged", rounds, acknowledged)
}

// runAndKill runs the child, kills it a moment after the given line of what it
// tells, and
// returns the steps that it told of.
func runAndKill(t *testing.T, dir string, after int) []step {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var steps []step
	var kill *time.Timer
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Errorf("the child says %q", lines.Text())
			continue
		}
		steps = append(steps, s)
		if after--; after <= 0 && kill == nil {
			moment := time.Duration(rand.IntN(10)) * time.Millisecond
			kill = time.AfterFunc(moment, func() { _ = cmd.Process.Kill() }) // it may have ended by itself, which Wait tells
		}
	}
	err = cmd.Wait()
	if kill == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v\n%s", err, stderr.String())
	}
	kill.Stop()
	return steps
}

// checkAfterCrash opens the store and compares it with the model. A step that
// was not acknowledged may have been done or not; the model that was found is
// returned.
func checkAfterCrash(t *testing.T, dir string, want model, pending map[string]step) model {
	t.Helper()
	js, stop := startJetStream(t, filepath.Join(dir, "state"))
	defer stop()
	st, err := Open(testContext(t), js, Config{Dir: filepath.Join(dir, "packages")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	got := read(t, st)
	alternative := maps.Clone(want)
	for name, s := range pending {
		alternative.apply(s)
		if cmp.Equal(got[name], alternative[name]) {
			want = maps.Clone(want)
			want.apply(s)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the store after the crash, with %v not acknowledged (-want +got):\n%s", pending, diff)
	}
	st.sweepOrphans(testContext(t), time.Now().Add(2*orphanAge))
	versions := 0
	for _, f := range got {
		versions += len(f.Versions)
	}
	if n := len(st.index.versions); n != versions {
		t.Errorf("%d version records for %d versions", n, versions)
	}
	return got
}
