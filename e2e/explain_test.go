package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// pythonMoody fails, dawdles or answers, as it is told.
const pythonMoody = `
import os, time
def handler(event, context):
    if event.get("exit"):
        os._exit(1)
    time.sleep(event.get("sleep", 0))
    return "answered"
`

// moody deploys a function and adds a line to its code, which updates it if
// it was there.
func (s *server) moody(name, line string) {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "app.py"), []byte(pythonMoody+line+"\n"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.mustCLI("deploy", dir, "--no-url", "--timeout", "2")
}

// request invokes a function, which may fail, and returns the request's id.
func (s *server) request(function, event string) string {
	s.t.Helper()
	out, errOut, _ := s.cli("invoke", function, "--payload", event, "--json") // it fails with the function
	var answer struct {
		RequestID string `json:"requestId"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.RequestID == "" {
		s.t.Fatalf("invoke %s %s: %v\n%s%s", function, event, err, out, errOut)
	}
	return answer.RequestID
}

// An explanation is a part of what --json prints.
type explanation struct {
	Function string
	Delay    struct{ Start start }
}

type start struct {
	Compiled                         bool
	Cause, From, Runtime             string
	InitUs, FirstByteUs, MemoryBytes int64
}

// explained returns what the command line says of a request.
func (s *server) explained(id string) (e explanation, text string) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.mustCLI("explain", id, "--json")), &e); err != nil {
		s.t.Fatal(err)
	}
	return e, s.mustCLI("explain", id)
}

// A said is what is to be said of a request.
type said struct {
	id    string
	cause string // empty: nothing was started
	from  string // empty: any
	text  string // a part of it
}

func (s *server) wantSaid(when string, want said) {
	s.t.Helper()
	e, text := s.explained(want.id)
	start := e.Delay.Start
	if start.Cause != want.cause || want.from != "" && start.From != want.from || !strings.Contains(text, want.text) {
		s.t.Errorf("%s: got %+v, want %+v\n%s", when, start, want, text)
	}
	if want.cause != "" && (start.InitUs <= 0 || start.FirstByteUs <= 0 || start.MemoryBytes <= 0 || !strings.HasPrefix(start.Runtime, "python")) {
		s.t.Errorf("%s: %+v", when, start)
	}
}

// TestStartsAreExplained brings about each cause of a start but expiry, and
// has them told before and after a restart.
func TestStartsAreExplained(t *testing.T) {
	s := up(t, "--max-environments", "2", "--keep-alive", "1h", "--pool", "2")
	var all []said
	want := func(w said) {
		t.Helper()
		all = append(all, w)
		s.wantSaid("at first", w)
	}
	s.moody("a", "")
	want(said{s.request("a", `{}`), "first", "", "Cold start: first call of version $LATEST"})
	want(said{s.request("a", `{}`), "", "", "Warm: an idle environment was there"})

	want(said{s.request("a", `{"exit":1}`), "", "", "error: Runtime.ExitError"})
	want(said{s.request("a", `{}`), "after-failure", "environment", "it ended in or after an earlier invocation"})
	want(said{s.request("a", `{"sleep":9}`), "", "", "timeout"})
	want(said{s.request("a", `{}`), "after-timeout", "environment", "stopped at the timeout of an earlier invocation"})

	s.moody("a", "# new")
	want(said{s.request("a", `{}`), "updated", "", "Cold start: updated code or configuration"})

	want(scaledOut(s, "a"))

	// There are two environments of a, and there is room for no more: b takes
	// that of one of them, c that of the other or of b.
	s.moody("b", "")
	s.moody("c", "")
	want(said{s.request("b", `{}`), "first", "", "Cold start: first call"})
	want(said{s.request("c", `{}`), "first", "", "Cold start: first call"})
	evicted := s.request("a", `{}`)
	if e, _ := s.explained(evicted); e.Delay.Start.Cause == "" {
		evicted = s.request("b", `{}`)
	}
	want(said{evicted, "after-eviction", "", "to make room for c"})

	_, metrics := s.get("/metrics")
	for _, line := range []string{
		`millicent_starts_total{cause="scale-out",`,
		`millicent_starts_total{cause="after-timeout",from="environment",`,
		`millicent_start_phase_duration_seconds_bucket{cause="updated",phase="init",`,
		`millicent_queue_wait_seconds_bucket{reason="start",`,
		`millicent_warm_starts_total{function="a"}`,
	} {
		if !strings.Contains(metrics, "\n"+line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}

	s.stop()
	s.start()
	for _, w := range all {
		w.text = strings.TrimPrefix(w.text, "timeout") // of a success or not, text logs do not say
		s.wantSaid("after the restart", w)
	}
	s.wantSaid("of the new server", said{s.request("a", `{}`), "first", "", "Cold start: first call"})
}

// scaledOut makes two requests at a time and returns what is to be said of
// the one that needed a second environment.
func scaledOut(s *server, function string) said {
	s.t.Helper()
	var ids [2]string
	var both sync.WaitGroup
	for i := range ids {
		both.Go(func() { ids[i] = s.request(function, `{"sleep":1.5}`) })
	}
	both.Wait()
	for _, id := range ids {
		if e, _ := s.explained(id); e.Delay.Start.Cause != "" {
			return said{id, "scale-out", "", "Cold start: scale-out, 1 other environment was busy"}
		}
	}
	s.t.Fatal("neither of two at a time was a start")
	return said{}
}

func TestExpiryIsExplained(t *testing.T) {
	s := up(t, "--keep-alive", "200ms")
	s.moody("a", "")
	s.request("a", `{}`)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if s.environments() == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the environment is still there after 30 s")
		}
	}
	s.wantSaid("after expiry", said{s.request("a", `{}`), "after-expiry", "", "had been idle for too long and was closed"})
}

// TestExplanationsAreTheTenantsOwn asks for another tenant's request.
func TestExplanationsAreTheTenantsOwn(t *testing.T) {
	s := up(t, "--auth", "sigv4")
	s.withKey(t)
	s.moody("a", "")
	id := s.request("a", `{}`)
	if e, _ := s.explained(id); e.Function != "a" {
		t.Errorf("the owner got %+v", e)
	}
	s.withKeyOf(t, "222222222222")
	if out, errOut, err := s.cli("explain", id); err == nil || !strings.Contains(errOut, "No invocation") {
		t.Errorf("another tenant got %s%s", out, errOut)
	}
	if out := s.mustCLI("explain", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("another tenant's list is %s", out)
	}
}
