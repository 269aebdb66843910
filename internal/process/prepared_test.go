package process

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/process/launchertest"
)

// filled waits until a launcher has so many of a kind prepared.
func filled(t testing.TB, l *Launcher, kind string, n int) {
	t.Helper()
	for deadline := time.Now().Add(testWait); len(l.pool.ready(kind)) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %q are prepared, want %d", len(l.pool.ready(kind)), kind, n)
		}
	}
}

// networked gives a launcher all that a server does.
func networked(t testing.TB) func(*Config) {
	return func(c *Config) {
		gw, err := egress.New(egress.Config{Mode: egress.Public, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		c.Egress, c.API = gw, http.NotFoundHandler()
	}
}

// world asks a probe for all that it sees. What is new with every environment
// is taken out.
func (e *envTest) world() map[string][]string {
	e.Helper()
	res := e.invoke(`{"do":"world"}`)
	var w map[string][]string
	if err := json.Unmarshal(res.Payload, &w); err != nil {
		e.Fatalf("%v: %s", err, res.Payload)
	}
	for i, v := range w["environment"] {
		if strings.HasPrefix(v, "AWS_LAMBDA_LOG_STREAM_NAME=") {
			w["environment"][i] = "a stream"
		}
	}
	return w
}

func TestPreparedSandboxCarriesNothingOver(t *testing.T) {
	t.Parallel()
	machine.need(t)
	fresh := machine.launcher(t, machine.code("probe"), &launchertest.Log{}, networked(t))
	pooling := machine.launcher(t, machine.code("probe"), &launchertest.Log{}, networked(t))
	v := probeVersion()
	v.Environment = map[string]string{"MINE": "yes"}
	want := startEnv(t, fresh, v)
	if want.started.From != millicent.FromNothing {
		t.Fatalf("the first environment came from a %s", want.started.From)
	}
	pooling.Expect(v.Runtime)
	filled(t, pooling, bare, 1)
	got := startEnv(t, pooling, v)
	if got.started.From != millicent.FromSandbox {
		t.Fatalf("the second environment came from %s", got.started.From)
	}
	if diff := cmp.Diff(want.world(), got.world()); diff != "" {
		t.Errorf("a prepared sandbox is another world (- fresh, + prepared):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"bootstrap\n"}, want.world()["processes"]); diff != "" {
		t.Errorf("processes: %s", diff)
	}
	a, err := want.box.Stats()
	if err != nil {
		t.Fatal(err)
	}
	b, err := got.box.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if more := b.PeakMemory - a.PeakMemory; more > 4<<20 {
		t.Errorf("the prepared sandbox's peak memory is %d bytes more", more)
	}
}

// TestPreparedSandboxHasTheVersionsLimits compares what a prepared sandbox
// does to memory and processors with what the version asks for.
func TestPreparedSandboxHasTheVersionsLimits(t *testing.T) {
	t.Parallel()
	machine.need(t)
	l := machine.launcher(t, machine.code("probe"), &launchertest.Log{}, nil)
	for _, mb := range []int{128, 3000} {
		l.Expect("provided.al2023")
		filled(t, l, bare, 1)
		v := probeVersion()
		v.MemoryMB = mb
		e := startEnv(t, l, v)
		if e.started.From != millicent.FromSandbox {
			t.Fatalf("%d MB: from %s", mb, e.started.From)
		}
		res := e.invoke(`{"do":"allocate","mb":256}`)
		if died := res.ErrorType == "Runtime.OutOfMemory"; died != (mb < 256) {
			t.Errorf("%d MB: 256 MB taken: %s %s", mb, res.ErrorType, res.Payload)
		}
	}
}

func TestVersionsThatNeedAnotherSandboxGetOne(t *testing.T) {
	t.Parallel()
	machine.need(t)
	l := machine.launcher(t, machine.code("probe"), &launchertest.Log{}, nil)
	l.Expect("provided.al2023")
	filled(t, l, bare, 1)
	v := probeVersion()
	v.TmpMB = 600
	if e := startEnv(t, l, v); e.started.From != millicent.FromNothing {
		t.Errorf("a /tmp of 600 MB came from a %s", e.started.From)
	}
}

// TestFirstResultTellsOfTheStart reads the record of starts.
func TestFirstResultTellsOfTheStart(t *testing.T) {
	e := probe(t, nil, nil)
	res := e.invoke(`{"do":"sleep","ms":20}`)
	rec := res.Start
	if rec == nil {
		t.Fatal("the first invocation's result has no record")
	}
	if rec.From != millicent.FromNothing || rec.Acquire <= 0 || rec.Boot <= 0 || rec.Init <= 0 || rec.FirstByte < 20*time.Millisecond || rec.Memory <= 0 {
		t.Errorf("got %+v", rec)
	}
	if rec := e.invoke(`{"do":"echo"}`).Start; rec != nil {
		t.Errorf("the second one has %+v", rec)
	}
	var told []millicent.Delay
	for _, rec := range e.logs.Records() {
		if rec.Delay != nil {
			told = append(told, *rec.Delay)
		}
	}
	if len(told) != 1 || *told[0].Start != *rec || rec.Environment != e.logs.Records()[0].Stream {
		t.Errorf("the log tells of %+v, want %+v of %s", told, *rec, e.logs.Records()[0].Stream)
	}
}

// TestStartCarriesWhatWasKnownOfIt launches with a cause.
func TestStartCarriesWhatWasKnownOfIt(t *testing.T) {
	t.Parallel()
	machine.need(t)
	logs := new(launchertest.Log)
	l := machine.launcher(t, machine.code("probe"), logs, nil)
	v := probeVersion()
	v.LogFormat, v.SystemLogLevel = lifecycle.FormatJSON, "DEBUG"
	ctx := millicent.WithStart(t.Context(), millicent.StartRecord{Cause: millicent.StartScaleOut, Others: 3})
	env, err := l.Launch(ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	res, err := env.Invoke(t.Context(), &millicent.Invocation{ID: "1", Event: []byte(`{"do":"echo"}`)})
	if err != nil {
		t.Fatal(err)
	}
	rec := res.Start
	if rec == nil || rec.Cause != millicent.StartScaleOut || rec.Others != 3 {
		t.Fatalf("got %+v", rec)
	}
	var told struct {
		Type   string
		Record struct{ Millicent millicent.StartRecord }
	}
	for _, line := range logs.Records() {
		if json.Unmarshal([]byte(line.Message), &told) == nil && told.Type == "platform.initReport" {
			break
		}
	}
	want := *rec
	want.FirstByte, want.Memory = 0, 0 // to come
	for _, d := range []*time.Duration{&want.Acquire, &want.Attach, &want.Boot, &want.Init} {
		*d = d.Truncate(time.Microsecond)
	}
	if diff := cmp.Diff(want, told.Record.Millicent); diff != "" {
		t.Errorf("platform.initReport (-want +got):\n%s", diff)
	}
}

// TestRuntimesStartedAfreshAreRecorded ends the runtime, and leaves the
// sandbox.
func TestRuntimesStartedAfreshAreRecorded(t *testing.T) {
	e := probe(t, func(v *millicent.Version) { v.Timeout = time.Second }, nil)
	for _, tt := range []struct {
		event string
		cause millicent.StartCause // of the start before it; empty where there is none
	}{
		{`{"do":"exit","code":1}`, millicent.StartAfterFailure},
		{`{"do":"echo"}`, millicent.StartAfterFailure},
		{`{"do":"sleep","ms":60000}`, ""},
		{`{"do":"echo"}`, millicent.StartAfterTimeout},
		{`{"do":"echo"}`, ""},
	} {
		res := e.invoke(tt.event)
		rec := res.Start
		switch {
		case res.Usage.Cold: // the first one
		case rec == nil && tt.cause == "":
		case rec == nil || rec.Cause != tt.cause:
			t.Errorf("%s: started %+v, want cause %q", tt.event, rec, tt.cause)
		case rec.From != millicent.FromEnvironment || rec.Boot <= 0 || rec.Init <= 0 || rec.FirstByte <= 0 || rec.Memory <= 0:
			t.Errorf("%s: got %+v", tt.event, rec)
		}
	}
}

// TestDeadPreparedSandboxIsNotUsed ends one on the shelf.
func TestDeadPreparedSandboxIsNotUsed(t *testing.T) {
	t.Parallel()
	machine.need(t)
	l := machine.launcher(t, machine.code("probe"), &launchertest.Log{}, nil)
	l.Expect("provided.al2023")
	filled(t, l, bare, 1)
	box := l.pool.ready(bare)[0].box
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	<-box.Done()
	e := startEnv(t, l, probeVersion())
	if e.box == box {
		t.Error("a dead sandbox is used")
	}
	e.answers(`{"do":"echo","value":1}`, "1")
}

func TestPoolLeavesNothingBehind(t *testing.T) {
	machine.need(t)
	round := func() {
		l := machine.launcher(t, machine.code("probe"), &launchertest.Log{}, networked(t))
		for range 3 {
			env, err := l.Launch(t.Context(), probeVersion())
			if err != nil {
				t.Fatal(err)
			}
			if err := env.Close(); err != nil {
				t.Fatal(err)
			}
		}
		filled(t, l, bare, 2)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Launch(t.Context(), probeVersion()); err == nil {
			t.Error("a closed launcher launches")
		}
	}
	for range 3 { // until the host has disks in stock for all of them
		round()
	}
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 3 {
		round()
	}
	for deadline := time.Now().Add(testWait); runtime.NumGoroutine() > goroutines || openFiles(t) > files+4; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines and %d files, from %d and %d", runtime.NumGoroutine(), openFiles(t), goroutines, files)
		}
	}
}
