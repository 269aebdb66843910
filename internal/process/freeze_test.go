package process

import (
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// freeze freezes e once it has come to rest.
func (e *envTest) freeze() {
	e.Helper()
	for range 10_000 {
		frozen, err := e.Freeze(e.Context())
		if err != nil {
			e.Fatal(err)
		}
		if frozen {
			return
		}
		time.Sleep(time.Millisecond)
	}
	e.Fatal("it does not freeze")
}

// cpu returns the processor time that e has used.
func (e *envTest) cpu() time.Duration {
	e.Helper()
	st, err := e.box.Stats()
	if err != nil {
		e.Fatal(err)
	}
	return st.CPU
}

// TestFrozenLeftoversStandStill leaves a busy process behind.
func TestFrozenLeftoversStandStill(t *testing.T) {
	e := script(t, `#!/bin/sh
(while :; do :; done) &
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while :; do
	id=$(curl -s -D - -o /dev/null "$api/next" | tr -d '\r' | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //Ip')
	curl -s -o /dev/null -d '"here"' "$api/$id/response"
done
`)
	e.answers("{}", `"here"`)
	for began := e.cpu(); e.cpu() == began; { // it is busy
		time.Sleep(time.Millisecond)
	}
	e.freeze()
	began := e.cpu()
	time.Sleep(50 * time.Millisecond) // in which it would use some
	if used := e.cpu() - began; used != 0 {
		t.Errorf("frozen, it used %v", used)
	}
	e.answers("{}", `"here"`)
	for began := e.cpu(); e.cpu() == began; { // it is busy again
		time.Sleep(time.Millisecond)
	}
}

// TestLoanOfCPUEndsWithoutAnInvocation has an environment that nobody calls.
func TestLoanOfCPUEndsWithoutAnInvocation(t *testing.T) {
	e := probe(t, nil, nil)
	if !e.lent {
		t.Error("nothing is lent after Init: then there is nothing to test")
	}
	e.freeze()
	if e.lent {
		t.Error("frozen, it has what it was lent for Init")
	}
}

// TestRuntimeAtWorkIsNotFrozen has a runtime that works on after its answer,
// which it may until its deadline.
func TestRuntimeAtWorkIsNotFrozen(t *testing.T) {
	e := probe(t, func(v *millicent.Version) {
		v.Timeout = 3 * time.Second
		v.Environment = map[string]string{"PROBE_RUNTIME": "dawdle"}
	}, nil)
	e.answers("60000", "1")
	if frozen, err := e.Freeze(t.Context()); frozen || err != nil {
		t.Errorf("freeze of a runtime at work: %v, %v", frozen, err)
	}
	e.freeze() // its time is over
	if now := time.Now(); now.Before(e.run.deadline) {
		t.Errorf("frozen %v before the deadline", e.run.deadline.Sub(now))
	}
	e.answers("0", "1") // of another one
}

// TestFrozenSandboxEnds has the sandbox of a frozen environment end.
func TestFrozenSandboxEnds(t *testing.T) {
	e := probe(t, nil, nil)
	e.answers(`{"do":"count"}`, "1")
	e.freeze()
	if err := e.box.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Invoke(t.Context(), e.invocation(`{}`)); millicent.ErrorCode(err) != millicent.CodeEnvironmentDead {
		t.Errorf("got %v, want a dead environment", err)
	}
	if frozen, _ := e.Freeze(t.Context()); frozen {
		t.Error("froze an environment without a sandbox")
	}
}
