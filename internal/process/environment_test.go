package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/process/launchertest"
)

// An envTest is one environment under test.
type envTest struct {
	*testing.T
	*environment
	logs *launchertest.Log
	n    int
}

// startEnv launches v on l; the environment ends with the test.
func startEnv(t *testing.T, l *Launcher, v *millicent.Version) *envTest {
	t.Helper()
	env, err := l.Launch(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &envTest{T: t, environment: env.(*environment), logs: l.cfg.Logs.(*launchertest.Log)}
}

// probe launches the probe, changed by change if that is not nil.
func probe(t *testing.T, change func(*millicent.Version), config func(*Config)) *envTest {
	t.Helper()
	t.Parallel()
	machine.need(t)
	v := probeVersion()
	if change != nil {
		change(v)
	}
	return startEnv(t, machine.launcher(t, machine.code("probe"), &launchertest.Log{}, config), v)
}

// script launches a shell script that is the bootstrap.
func script(t *testing.T, text string) *envTest {
	t.Helper()
	t.Parallel()
	machine.need(t)
	return startEnv(t, machine.launcher(t, machine.script(t, text), &launchertest.Log{}, nil), probeVersion())
}

func (e *envTest) invocation(event string) *millicent.Invocation {
	e.n++
	return &millicent.Invocation{
		ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", e.n), Tenant: "000000000000", Function: "probe",
		ARN: "arn:aws:lambda:us-east-1:000000000000:function:probe:7", Event: []byte(event), Tail: true,
	}
}

func (e *envTest) invoke(event string) *millicent.Result {
	e.Helper()
	return e.serveInvocation(e.invocation(event))
}

func (e *envTest) serveInvocation(inv *millicent.Invocation) *millicent.Result {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), testWait)
	defer cancel()
	res, err := e.Invoke(ctx, inv)
	if err != nil {
		e.Fatalf("invoke %s: %v", inv.Event, err)
	}
	return res
}

// logged waits until an invocation's log holds a message.
func (e *envTest) logged(id, message string) {
	for deadline := time.Now().Add(testWait); !slices.Contains(e.logs.Of(id), message); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			e.Errorf("%q was not logged", message)
			return
		}
	}
}

func (e *envTest) answers(event, want string) {
	e.Helper()
	if res := e.invoke(event); res.FunctionError != "" || string(res.Payload) != want {
		e.Errorf("%s: got %s (%s), want %s", event, res.Payload, res.FunctionError, want)
	}
}

// failsWith checks a failure that the platform words.
func (e *envTest) failsWith(event, errorType, message string) *millicent.Result {
	e.Helper()
	res := e.invoke(event)
	want := fmt.Sprintf(`{"errorType":%q,"errorMessage":"RequestId: 00000000-0000-4000-8000-%012d Error: %s"}`, errorType, e.n, message)
	if res.FunctionError != "Unhandled" || string(res.Payload) != want {
		e.Errorf("%s: got %s (%s), want %s", event, res.Payload, res.FunctionError, want)
	}
	return res
}

func TestMissingBootstrapIsAnInvalidEntrypoint(t *testing.T) {
	t.Parallel()
	machine.need(t)
	e := startEnv(t, machine.launcher(t, t.TempDir(), &launchertest.Log{}, nil), probeVersion())
	for range 2 {
		res := e.failsWith("{}", "Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
		if tail := string(res.LogTail); !strings.Contains(tail, "\nRuntime.InvalidEntrypoint\n") || !strings.Contains(tail, "Phase: invoke") {
			t.Errorf("got tail %q", tail)
		}
	}
}

func TestBootstrapThatCannotBeExecutedIsAnInvalidEntrypoint(t *testing.T) {
	t.Parallel()
	machine.need(t)
	dir := machine.script(t, "#!/bin/sh\nexit 0\n")
	if err := os.Chmod(filepath.Join(dir, "bootstrap"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := startEnv(t, machine.launcher(t, dir, &launchertest.Log{}, nil), probeVersion())
	e.failsWith("{}", "Runtime.InvalidEntrypoint", "fork/exec /var/task/bootstrap: permission denied")
}

func TestBootstrapOfNoFormatIsAnInvalidEntrypoint(t *testing.T) {
	script(t, "\x7fELF but not really").failsWith("{}", "Runtime.InvalidEntrypoint", "fork/exec /var/task/bootstrap: exec format error")
}

func TestSegmentationFaultIsReported(t *testing.T) {
	script(t, "#!/bin/sh\nkill -SEGV $$\n").failsWith("{}", "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault")
}

func TestBootstrapRunsAsItsPathInTheTaskRoot(t *testing.T) {
	e := script(t, "#!/bin/sh\necho \"$0 in $(pwd)\"\nls /opt | wc -l\nexit 9\n")
	res := e.failsWith("{}", "Runtime.ExitError", "Runtime exited with error: exit status 9")
	if got := string(res.LogTail); !strings.Contains(got, "/var/task/bootstrap in /var/task\n0\n") {
		t.Errorf("got log %q", got)
	}
}

func TestRuntimesThatAreNotServedAreRefused(t *testing.T) {
	t.Parallel()
	machine.need(t)
	l := machine.launcher(t, machine.code("probe"), &launchertest.Log{}, func(c *Config) {
		c.Strict = true
		c.Runtimes = &Runtimes{list: []Runtime{
			choose("python3.13", []interpreter{{familyPython, "/usr/bin/python3.11", [3]int{3, 11, 2}}}),
			choose("nodejs22.x", nil),
		}}
	})
	for name, want := range map[string]string{
		"java21":     "The runtime java21 is not served on this machine: the platform does not know it.",
		"nodejs22.x": "The runtime nodejs22.x is not served on this machine. No interpreter for it was found in /usr/local/bin or /usr/bin.",
		"python3.13": "The runtime python3.13 is not served on this machine: its exact version is asked for, and the nearest is 3.11.2.",
	} {
		v := probeVersion()
		v.Runtime = name
		_, err := l.Launch(t.Context(), v)
		if got := millicent.ErrorCode(err); got != millicent.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func TestHangingInitIsCutOffAndRunAgainUnderTheTimeout(t *testing.T) {
	e := probe(t, func(v *millicent.Version) {
		v.Timeout = time.Second
		v.Environment = map[string]string{"PROBE_INIT": "hang"}
	}, nil)
	init := strings.Join(e.logs.Of(""), "\n")
	if !strings.Contains(init, "INIT_REPORT Init Duration: 10") || !strings.Contains(init, " ms\tPhase: init\tStatus: timeout") {
		t.Errorf("got log %q", init)
	}
	res := e.failsWith("{}", "Sandbox.Timedout", "Task timed out after 1.00 seconds")
	if res.Usage.Init != 0 || res.Usage.Duration != time.Second {
		t.Errorf("got usage %+v", res.Usage)
	}
}

func TestPanicIsAnsweredAndTheRuntimeStartedAfresh(t *testing.T) {
	e := probe(t, nil, nil)
	e.answers(`{"do":"count"}`, "1")
	res := e.invoke(`{"do":"panic","message":"oh"}`)
	if res.FunctionError != "Unhandled" || !strings.HasPrefix(string(res.Payload), `{"errorMessage":"oh","errorType":"string","stackTrace":[`) {
		t.Errorf("got %s (%s)", res.Payload, res.FunctionError)
	}
	if tail := string(res.LogTail); !strings.Contains(tail, "Runtime exited with error: exit status 1\nRuntime.ExitError\n") {
		t.Errorf("got tail %q, want the runtime's end in it", tail)
	}
	e.answers(`{"do":"count"}`, "1")
}

func TestRuntimeMayWorkOnAfterItsAnswer(t *testing.T) {
	e := probe(t, func(v *millicent.Version) {
		v.Environment = map[string]string{"PROBE_RUNTIME": "dawdle"}
	}, nil)
	e.answers("3000", "1")
	res := e.invoke("0")
	if got := string(res.Payload); got != "2" {
		t.Errorf("got %s, want the answer of the same runtime", got)
	}
	if got := res.Usage.Duration; got > 2*time.Second {
		t.Errorf("the second invocation was charged %v of the first one's work", got)
	}
}

func TestRuntimeThatWorksOnForTooLongIsReplaced(t *testing.T) {
	e := probe(t, func(v *millicent.Version) {
		v.Timeout = 3 * time.Second
		v.Environment = map[string]string{"PROBE_RUNTIME": "dawdle"}
	}, nil)
	e.answers("60000", "1")
	e.answers("0", "1")
}

func TestTruncatedAnswerIsAFailureAndAnExitSaysMore(t *testing.T) {
	e := probe(t, func(v *millicent.Version) {
		v.Environment = map[string]string{"PROBE_RUNTIME": "truncate"}
	}, nil)
	e.failsWith(`"stay"`, "Runtime.TruncatedResponse", "HTTP request detected as truncated")
	e.failsWith(`"exit"`, "Runtime.ExitError", "Runtime exited with error: exit status 7")
}

func TestEndOfTheSandboxIsACrashThenDeath(t *testing.T) {
	e := probe(t, nil, nil)
	e.answers(`{"do":"count"}`, "1")
	inv := e.invocation(`{"do":"log and sleep","message":"here","ms":60000}`)
	go func() {
		e.logged(inv.ID, "here")
		if err := e.box.Close(); err != nil {
			t.Error(err)
		}
	}()
	res := e.serveInvocation(inv)
	if got, want := string(res.Payload), `Runtime exited with error: signal: killed"}`; !strings.HasSuffix(got, want) || res.ErrorType != "Runtime.ExitError" {
		t.Errorf("got %s (%s)", got, res.ErrorType)
	}
	_, err := e.Invoke(t.Context(), e.invocation(`{}`))
	if got := millicent.ErrorCode(err); got != millicent.CodeEnvironmentDead {
		t.Errorf("got %v, want a dead environment", err)
	}
}

func TestRuntimeThatEndsWhileIdleIsStartedAgain(t *testing.T) {
	e := probe(t, nil, nil)
	e.answers(`{"do":"count"}`, "1")
	process := e.run.process
	if err := process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-process.Done()
	e.answers(`{"do":"count"}`, "1")
}

func TestLingeringProcessesStayUntilTheRuntimeEnds(t *testing.T) {
	e := probe(t, func(v *millicent.Version) { v.Timeout = 3 * time.Second }, nil)
	pid := string(e.invoke(`{"do":"spawn"}`).Payload)
	e.answers(`{"do":"alive","n":`+pid+`}`, "true")
	e.failsWith(`{"do":"sleep","ms":60000}`, "Sandbox.Timedout", "Task timed out after 3.00 seconds")
	e.answers(`{"do":"alive","n":`+pid+`}`, "false")
}

func TestOnlyRuntimesWithExtensionsAreAskedToEnd(t *testing.T) {
	for _, tt := range []struct{ value, want string }{{"yes", "asked to end"}, {"", ""}} {
		t.Run(tt.value, func(t *testing.T) {
			e := probe(t, func(v *millicent.Version) { v.Environment = map[string]string{"PROBE_SIGTERM": tt.value} }, nil)
			e.answers(`{"do":"echo","value":1}`, "1")
			began := time.Now()
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
			log := strings.Join(e.logs.Of(""), "\n")
			if got := strings.Contains(log, "asked to end"); got != (tt.want != "") {
				t.Errorf("got log %q, want %q in it", log, tt.want)
			}
		})
	}
}

func TestFunctionsReachThePlatformAsThemselves(t *testing.T) {
	e := probe(t, nil, func(c *Config) {
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller, _ := millicent.CallerFrom(r.Context())
			fmt.Fprintf(w, "%s %s %s %d %s", caller.Tenant, caller.Function, caller.Root, caller.Hops, r.URL.Path)
		})
	})
	inv := e.invocation(`{"do":"get","path":"http://169.254.100.1:4566/2015-03-31/functions"}`)
	if got, want := string(e.serveInvocation(inv).Payload), `"200 000000000000 probe `+inv.ID+` 0 /2015-03-31/functions"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	inv = e.invocation(string(inv.Event))
	inv.Root, inv.Hops = "the-root", 4
	if got, want := string(e.serveInvocation(inv).Payload), `"200 000000000000 probe the-root 4 /2015-03-31/functions"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestConnectionsGoThroughTheEgressPolicy(t *testing.T) {
	gw, err := egress.New(egress.Config{Mode: egress.Public, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e := probe(t, nil, func(c *Config) {
		c.Egress = gw
		c.Allow = func(*millicent.Version) []string { return []string{"example.com"} }
	})
	res := e.invoke(`{"do":"get","path":"http://10.1.2.3/"}`)
	if res.FunctionError == "" {
		t.Errorf("got %s, want a refusal", res.Payload)
	}
	if tail := string(res.LogTail); !strings.Contains(tail, "A connection to 10.1.2.3:80 was refused: ") {
		t.Errorf("got tail %q, want the reason in it", tail)
	}
	// The name server answers, and refuses what is not on the list.
	res = e.invoke(`{"do":"get","path":"http://elsewhere.invalid/"}`)
	if res.FunctionError == "" || strings.Contains(string(res.Payload), "i/o timeout") {
		t.Errorf("got %s, want a refusal by the name server", res.Payload)
	}
}

func TestWithoutEgressNothingIsReached(t *testing.T) {
	e := probe(t, nil, nil)
	if res := e.invoke(`{"do":"get","path":"http://10.1.2.3/"}`); res.FunctionError == "" || res.Usage.Duration > 20*time.Second {
		t.Errorf("got %s after %v, want a refusal at once", res.Payload, res.Usage.Duration)
	}
}

func TestFloodOfOutputIsKeptInOrderAndWhole(t *testing.T) {
	e := probe(t, nil, nil)
	inv := e.invocation(`{"do":"flood","n":2000000}`)
	e.serveInvocation(inv)
	if got := len(e.logs.Of(inv.ID)); got != 20_000+3 {
		t.Errorf("got %d records, want 20003", got)
	}
}

func TestJSONFormatLogsThePlatformsEvents(t *testing.T) {
	e := probe(t, func(v *millicent.Version) { v.LogFormat = "JSON" }, nil)
	tail := string(e.invoke(`{"do":"log","lines":["mine"]}`).LogTail)
	lines := strings.Split(strings.TrimSuffix(tail, "\n"), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], `"type":"platform.start"`) || lines[1] != "mine" || !strings.Contains(lines[2], `"type":"platform.report"`) {
		t.Errorf("got tail %q", tail)
	}
	if init := strings.Join(e.logs.Of(""), "\n"); !strings.Contains(init, `"type":"platform.initStart"`) {
		t.Errorf("got log %q", init)
	}
}

func TestCPUIsTheMemorysShareOnceInitIsOver(t *testing.T) {
	e := probe(t, nil, nil)
	before, err := e.box.Stats()
	if err != nil {
		t.Fatal(err)
	}
	e.answers(`{"do":"spin","ms":2000}`, "null")
	after, err := e.box.Stats()
	if err != nil {
		t.Fatal(err)
	}
	// 128 MB are 7 % of a core: some 145 ms of two seconds.
	if used := after.CPU - before.CPU; used > 500*time.Millisecond {
		t.Errorf("used %v of CPU in two seconds", used)
	}
}

func TestEnvironmentsLeaveNothingBehind(t *testing.T) {
	machine.need(t)
	l := machine.launcher(t, machine.code("probe"), &launchertest.Log{}, func(c *Config) {
		gw, err := egress.New(egress.Config{Mode: egress.Public, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		c.Egress, c.API = gw, http.NotFoundHandler()
		c.Pool.Max = 0 // see TestPoolLeavesNothingBehind
	})
	cycle := func() {
		env, err := l.Launch(t.Context(), probeVersion())
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range []string{`{"do":"echo"}`, `{"do":"exit"}`, `{"do":"echo"}`} {
			inv := &millicent.Invocation{ID: "00000000-0000-4000-8000-000000000000", Event: []byte(event)}
			if _, err := env.Invoke(t.Context(), inv); err != nil {
				t.Fatal(err)
			}
		}
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 5 {
		cycle()
	}
	// What has just been told to end may need a moment.
	for deadline := time.Now().Add(testWait); runtime.NumGoroutine() > goroutines || openFiles(t) > files; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines and %d files, from %d and %d:\n%s", runtime.NumGoroutine(), openFiles(t), goroutines, files, buf[:runtime.Stack(buf, true)])
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return len(names)
}

func TestPackagesOfEnvironmentsAreInUse(t *testing.T) {
	const digest = "0123456789abcdef"
	t.Parallel()
	machine.need(t)
	l := machine.launcher(t, machine.code("probe"), &launchertest.Log{}, nil)
	v := probeVersion()
	v.Package.SHA256 = digest
	var envs []millicent.Environment
	for range 2 {
		env, err := l.Launch(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		envs = append(envs, env)
	}
	for i, env := range envs {
		if !l.Uses(digest) {
			t.Errorf("with %d environments: the package is not in use", len(envs)-i)
		}
		if err := errors.Join(env.Close(), env.Close()); err != nil {
			t.Error(err)
		}
	}
	if l.Uses(digest) || l.Uses("another") {
		t.Error("without environments: a package is in use")
	}
}
