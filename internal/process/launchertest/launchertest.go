// Package launchertest is the conformance suite of millicent.Launcher: what
// every kind of execution environment does, whichever way it runs functions.
//
// An implementation brings a probe, a function in a language that it runs.
// The probe answers events of the form {"do": …}:
//
//	{"do":"echo","value":X}               answers X
//	{"do":"fail","type":T,"message":M}    fails with {"errorMessage":M,"errorType":T} and nothing else in the document
//	{"do":"log","lines":[…]}              writes the lines to standard output, answers null
//	{"do":"sleep","ms":N}                 answers null after so long
//	{"do":"exit","code":N}                ends its process or instance
//	{"do":"kill"}                         kills it, as by SIGKILL
//	{"do":"allocate","mb":N}              takes and touches so much memory, answers null
//	{"do":"write","path":P,"value":S}     writes S, a string, to the file P
//	{"do":"read","path":P}                answers what the file holds, "" when there is none
//	{"do":"count"}                        answers how often this was asked since the program started
//	{"do":"bytes","n":N}                  answers a string of N bytes, quotes included
//	{"do":"getenv","name":S}              answers the value of an environment variable
//
// Its environment variable PROBE_INIT makes its Init phase fail: "fail" posts
// [InitDocument] with the type Runtime.ProbeError, "exit" ends the program
// with code 3.
package launchertest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// InitDocument is the error document of a probe that fails in Init.
const InitDocument = `{"errorMessage":"not today","errorType":"Runtime.ProbeError","requestId":"","stackTrace":[]}`

// soon bounds what is expected to happen; only failing tests wait so long.
const soon = 2 * time.Minute

// A Subject is a Launcher to test.
type Subject struct {
	Launcher millicent.Launcher

	// Probe is a version whose code is the probe. The suite runs copies of it
	// with other timeouts, memory and environment variables.
	Probe *millicent.Version

	// Lacks names what this kind of environment does not have, by the word
	// of the probe's event: a kind without processes cannot be killed. One
	// whose environments are no Freezers lacks "freeze"; one that keeps
	// nothing from one invocation to the next lacks "count", and where that
	// goes for /tmp "write".
	Lacks []string
}

// lacks reports whether the kind lacks something.
func (s Subject) lacks(what string) bool { return slices.Contains(s.Lacks, what) }

// Run tests the launcher that newLauncher makes. newLauncher is called once;
// the launcher writes to logs, and newLauncher arranges for its end.
func Run(t *testing.T, newLauncher func(t *testing.T, logs millicent.LogSink) Subject) {
	logs := &Log{}
	s := newLauncher(t, logs)
	for _, tt := range []struct {
		name  string
		needs string
		run   func(*harness)
	}{
		{"AnswerIsThePayload", "echo", answerIsThePayload},
		{"AnswerIsStreamedOrWhole", "echo", answerIsStreamedOrWhole},
		{"ErrorDocumentIsVerbatim", "fail", errorDocumentIsVerbatim},
		{"OneInvocationAtATime", "sleep", oneInvocationAtATime},
		{"StateIsKeptBetweenInvocations", "count", stateIsKept},
		{"UsageIsMeasured", "sleep", usageIsMeasured},
		{"EnvironmentVariablesAreSet", "getenv", environmentVariablesAreSet},
		{"ResponseOverTheLimitFails", "bytes", responseOverTheLimitFails},
		{"AnswersNeverCross", "sleep", answersNeverCross},
		{"TimeoutEndsTheInvocation", "sleep", timeoutEndsTheInvocation},
		{"TimeoutKeepsTmpAndForgetsTheRest", "write", timeoutKeepsTmp},
		{"ExitIsReported", "exit", exitIsReported},
		{"KillIsReported", "kill", killIsReported},
		{"MemoryLimitIsReported", "allocate", memoryLimitIsReported},
		{"InitErrorReachesTheCaller", "fail", initErrorReachesTheCaller},
		{"InitExitReachesTheCaller", "exit", initExitReachesTheCaller},
		{"CancelStopsTheFunction", "sleep", cancelStopsTheFunction},
		{"FrozenEnvironmentServesOn", "freeze", frozenServesOn},
		{"FrozenTimeIsNobodys", "freeze", frozenTimeIsNobodys},
		{"InvocationsCallFreezingOff", "freeze", invocationsCallFreezingOff},
		{"FrozenEnvironmentCloses", "freeze", frozenCloses},
		{"CloseIsIdempotent", "echo", closeIsIdempotent},
		{"CloseEndsAnInvocation", "sleep", closeEndsAnInvocation},
		{"LaunchObeysItsContext", "echo", launchObeysItsContext},
		{"TailHoldsTheInvocationsLog", "log", tailHoldsTheLog},
		{"RecordsNameTheirInvocation", "log", recordsNameTheirInvocation},
	} {
		if s.lacks(tt.needs) {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(&harness{T: t, subject: s, logs: logs})
		})
	}
}

// Log is a sink that keeps records in memory. The zero value is ready.
type Log struct {
	mu      sync.Mutex
	records []millicent.LogRecord
	waiting map[string]chan struct{} // closed with the first record of an invocation
}

// Write implements millicent.LogSink.
func (l *Log) Write(rec millicent.LogRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, rec)
	if c := l.waiting[rec.Invocation]; c != nil {
		close(c)
		delete(l.waiting, rec.Invocation)
	}
}

// Started returns a channel that is closed once an invocation's log has
// begun. It is called once for each invocation, before it begins.
func (l *Log) Started(invocation string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = map[string]chan struct{}{}
	}
	c := make(chan struct{})
	l.waiting[invocation] = c
	return c
}

// Records returns all records so far.
func (l *Log) Records() []millicent.LogRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

// Of returns the messages about an invocation, in their order.
func (l *Log) Of(invocation string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, rec := range l.records {
		if rec.Invocation == invocation {
			list = append(list, rec.Message)
		}
	}
	return list
}

// counts checks that the probe has been asked to count as often as want says,
// by an environment that keeps what it knows; by others never before.
func (h *harness) counts(env millicent.Environment, want string) {
	h.Helper()
	if h.subject.lacks("count") {
		want = "1"
	}
	h.answers(env, event("count"), want)
}

type harness struct {
	*testing.T
	subject Subject
	logs    *Log
}

// An option changes the version that a test runs.
type option func(*millicent.Version)

func timeout(d time.Duration) option { return func(v *millicent.Version) { v.Timeout = d } }
func memory(mb int) option           { return func(v *millicent.Version) { v.MemoryMB = mb } }
func variable(name, value string) option {
	return func(v *millicent.Version) { v.Environment[name] = value }
}

// version returns a version of the probe.
func (h *harness) version(options ...option) *millicent.Version {
	v := h.subject.Probe.Clone()
	v.Environment = maps.Clone(v.Environment)
	if v.Environment == nil {
		v.Environment = map[string]string{}
	}
	v.Timeout = 30 * time.Second
	for _, o := range options {
		o(v)
	}
	return v
}

// launch starts an environment that ends with the test.
func (h *harness) launch(options ...option) millicent.Environment {
	h.Helper()
	env, err := h.subject.Launcher.Launch(h.Context(), h.version(options...))
	if err != nil {
		h.Fatalf("launch: %v", err)
	}
	h.Cleanup(func() {
		if err := env.Close(); err != nil {
			h.Errorf("close: %v", err)
		}
	})
	return env
}

// event makes an event for the probe of names and values.
func event(do string, members ...any) []byte {
	doc := map[string]any{"do": do}
	for i := 0; i < len(members); i += 2 {
		doc[members[i].(string)] = members[i+1]
	}
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return data
}

// invocation returns a new invocation of an event.
func (h *harness) invocation(data []byte) *millicent.Invocation {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	p := h.subject.Probe
	return &millicent.Invocation{
		ID:       fmt.Sprintf("%x-%x-4%x-8%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])[:36],
		Tenant:   p.Tenant,
		Function: p.Function,
		ARN:      p.ARN("us-east-1"),
		Event:    data,
		Tail:     true,
		Received: time.Now(),
	}
}

// invoke runs an event and returns its result, which must be one.
func (h *harness) invoke(env millicent.Environment, data []byte) (*millicent.Result, *millicent.Invocation) {
	h.Helper()
	inv := h.invocation(data)
	ctx, cancel := context.WithTimeout(h.Context(), soon)
	defer cancel()
	res, err := env.Invoke(ctx, inv)
	if err != nil {
		h.Fatalf("invoke %s: %v", data, err)
	}
	return res, inv
}

// answers checks that an event is answered with want.
func (h *harness) answers(env millicent.Environment, data []byte, want string) {
	h.Helper()
	res, _ := h.invoke(env, data)
	if res.FunctionError != "" || res.ErrorType != "" || string(res.Payload) != want {
		h.Fatalf("%s: got %s (%s %s), want %s", data, clip(res.Payload), res.FunctionError, res.ErrorType, want)
	}
}

// fails checks that res is a failure with the given type and payload.
func (h *harness) fails(res *millicent.Result, errorType, payload string) {
	h.Helper()
	if res.FunctionError != "Unhandled" || string(res.Payload) != payload {
		h.Errorf("got %s (%q), want %s (\"Unhandled\")", clip(res.Payload), res.FunctionError, payload)
	}
	if res.ErrorType != errorType {
		h.Errorf("got error type %q, want %q", res.ErrorType, errorType)
	}
}

// platformDocument is the document of a failure that the platform words.
func platformDocument(errorType, id, message string) string {
	return fmt.Sprintf(`{"errorType":%q,"errorMessage":"RequestId: %s Error: %s"}`, errorType, id, message)
}

func clip(b []byte) string {
	if len(b) > 500 {
		return fmt.Sprintf("%s… (%d bytes)", b[:500], len(b))
	}
	return string(b)
}
