package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's program be the bare handler, as bench itself is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "baseline" {
		main()
		return
	}
	os.Exit(m.Run())
}

// tiny is a run that measures little, and each thing nevertheless.
var tiny = sizes{
	starts: 2, emptyStarts: 1, snapStarts: 1, bundleStarts: 1, pause: time.Millisecond,
	bursts: 1, sustained: time.Second, sustainedFunctions: 30,
	rounds: 2, round: 50 * time.Millisecond, duels: 1, fours: 1, runIn: 10 * time.Millisecond, turn: 20 * time.Millisecond, ledger: 50 * time.Millisecond,
	environments: 1, idle: 100 * time.Millisecond, deployed: 20, deployedStarts: 1, peerStarts: 1,
	mappings: 3, watch: 100 * time.Millisecond, streams: 2, streamMB: 1,
}

// TestSmoke measures a real server, a little of it.
func TestSmoke(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: sandboxes with limits")
	}
	binary := os.Getenv("MILLICENT_BINARY")
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "millicent")
		cmd := exec.Command("go", "build", "-o", binary, "github.com/millicent-run/millicent/cmd/millicent")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build millicent: %v\n%s", err, out)
		}
	}
	c, err := parse([]string{"--binary", binary, "--only", "cold|snapstart|sustained|warm|stream|memory|deployed|floors"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c.size = tiny
	c.peers = []peer{
		{name: "a peer", path: "/", alone: true, start: func(ctx context.Context, _ *bench) (*process, error) { return startBare(ctx) }},
		{name: "a peer that ends", path: "/", start: func(ctx context.Context, _ *bench) (*process, error) {
			return startPeer(ctx, exec.Command("false"), "127.0.0.1:1", answers("/", true))
		}},
	}
	r, err := c.measure(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	report := r.markdown(nil)
	for _, f := range r.Figures {
		if f.Verdict == failed {
			t.Errorf("%s, %s: %s", f.Scenario, f.Name, f.Note)
		}
		if f.Value <= 0 && f.Verdict != pass && f.Unit != "" {
			t.Errorf("%s, %s: it is %v", f.Scenario, f.Name, f.Value)
		}
	}
	for _, name := range []string{
		"Python: p50", "Node: p50", "Go: p99", "Python: p50 above bare net/http", "a peer: p50",
		"Python: private memory", "Python starts a second", "the Go function, warm: from event to answer", "Go: first byte, p50", "Node: 1 MB", "20 functions: resident memory after a restart",
	} {
		if !slices.ContainsFunc(r.Figures, func(f figure) bool { return f.Name == name }) {
			t.Errorf("no figure %q in\n%s", name, report)
		}
	}
	if !strings.Contains(report, "| a peer that ends |  |  | **peer failed** |") {
		t.Errorf("nothing of the peer that ends in\n%s", report)
	}
	checkGone(t)
}

// checkGone checks that nothing of a run is left.
func checkGone(t *testing.T) {
	t.Helper()
	below, err := descendants(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range below {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // it may end now
		t.Errorf("process %d is left: %s", pid, name)
	}
}

func TestCommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"--only nothing":         "no scenario is named so",
		"--only (":               "missing closing",
		"--peer-rie /nowhere":    "is not an executable",
		"--peer-workerd /etc":    "is not an executable",
		"warm":                   `unexpected argument "warm"`,
		"--slow":                 "not defined",
		"--only cold.* --quick":  "",
		"--only warm|throughput": "",
		"":                       "",
	} {
		c, err := parse(strings.Fields(line), io.Discard)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %q", line, err, want)
		case err == nil && line == "" && (len(c.measured) != len(scenarios) || c.out != filepath.Join("bench", "results")):
			t.Errorf("%s: %d scenarios into %s", line, len(c.measured), c.out)
		case err == nil && line != "" && (len(c.measured) != 2 || c.out != filepath.Join("bin", "bench")):
			t.Errorf("%s: %d scenarios into %s", line, len(c.measured), c.out)
		}
	}
}

func TestBundle(t *testing.T) {
	text := bundle()
	if len(text) < bundleSize-10_000 || len(text) > bundleSize+10_000 {
		t.Errorf("it has %d bytes, want about %d", len(text), bundleSize)
	}
	if text != bundle() {
		t.Error("it is another each time")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs Node.js: ", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(node, "-e", "require(process.argv[1]).handler().then((r) => console.log(JSON.stringify(r)))", filepath.Join(dir, "index.js")).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), `{"n":1,"shape":`) {
		t.Errorf("node says %v, %s", err, out)
	}
}

func TestMemoryOf(t *testing.T) {
	h, err := memoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	resident, err := residentMB(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if h.private <= 0 || h.pss < h.private || resident < h.private {
		t.Errorf("private %v MB, PSS %v MB, resident %v MB", h.private, h.pss, resident)
	}
	if _, err := holdingOf("pid:[1]"); err == nil {
		t.Error("somebody is in a namespace that does not exist")
	}
}

func TestFootprintBeyond(t *testing.T) {
	base := footprint{processes: 2, mounts: 20, cgroups: 6, files: 40}
	for name, c := range map[string]struct {
		after footprint
		want  int
	}{
		"the same":     {base, 0},
		"less":         {footprint{}, 0},
		"connections":  {footprint{processes: 2, mounts: 20, cgroups: 6, files: 48}, 0},
		"files":        {footprint{processes: 2, mounts: 20, cgroups: 6, files: 50}, 2},
		"a process":    {footprint{processes: 3, mounts: 1, cgroups: 6, files: 40}, 1},
		"a bit of all": {footprint{processes: 3, mounts: 21, cgroups: 7, loops: 1, files: 49}, 5},
	} {
		if got := c.after.beyond(base); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestReadStock(t *testing.T) {
	got := readStock("# TYPE millicent_prepared_sandboxes gauge\n" +
		"millicent_prepared_sandboxes{kind=\"bare\"} 2\nmillicent_prepared_sandboxes{kind=\"nodejs20.x\"} 3\n" +
		"millicent_prepared_sandboxes{kind=\"python3.11\"} 4\nmillicent_zygotes 1\nmillicent_changing_sandboxes 5\nmillicent_spare_disks 6\n")
	if want := (stock{bare: 2, booted: 7, python: 4, zygotes: 1, changing: 5, disks: 6}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if f := got.footprint(5); f.processes != 18 || f.cgroups != 50 || f.loops != 16 {
		t.Errorf("a stock takes %+v", f)
	}
}
