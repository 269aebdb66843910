package launchertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

func answerIsThePayload(h *harness) {
	env := h.launch()
	h.answers(env, event("echo", "value", "hällo"), `"hällo"`)
	h.answers(env, event("echo", "value", nil), `null`)
	large := strings.Repeat("x", 3<<20)
	h.answers(env, event("echo", "value", large), `"`+large+`"`)
	res, _ := h.invoke(env, event("echo", "value", 1))
	if got, want := res.Version, h.subject.Probe.Number; got != want {
		h.Errorf("got version %q, want %q", got, want)
	}
}

func errorDocumentIsVerbatim(h *harness) {
	env := h.launch()
	res, _ := h.invoke(env, event("fail", "type", "MyError", "message", "so it goes"))
	if got, want := string(res.Payload), `{"errorMessage":"so it goes","errorType":"MyError"}`; got != want || res.FunctionError != "Unhandled" {
		h.Errorf("got %s (%q), want %s", got, res.FunctionError, want)
	}
	if res.ErrorType == "" {
		h.Error("got no error type")
	}
	h.answers(env, event("count"), "1")
}

func oneInvocationAtATime(h *harness) {
	env := h.launch()
	inv := h.invocation(event("sleep", "ms", 60_000))
	ctx, cancel := context.WithCancel(h.Context())
	defer cancel()
	started := h.logs.Started(inv.ID)
	ended := make(chan error, 1)
	go func() {
		_, err := env.Invoke(ctx, inv)
		ended <- err
	}()
	h.await(started)
	_, err := env.Invoke(h.Context(), h.invocation(event("echo")))
	if got := millicent.ErrorCode(err); got != millicent.CodeInternal {
		h.Errorf("second invocation: got error %v, want one of code %s", err, millicent.CodeInternal)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		h.Errorf("first invocation: got %v, want it to have run until cancelled", err)
	}
}

// await waits for what must happen.
func (h *harness) await(c <-chan struct{}) {
	h.Helper()
	select {
	case <-c:
	case <-time.After(soon):
		h.Fatal("waited in vain")
	}
}

func stateIsKept(h *harness) {
	env, other := h.launch(), h.launch()
	h.answers(env, event("count"), "1")
	h.answers(env, event("count"), "2")
	h.answers(other, event("count"), "1")
	h.answers(env, event("count"), "3")
}

func usageIsMeasured(h *harness) {
	env := h.launch(memory(256))
	before := time.Now()
	res, _ := h.invoke(env, event("sleep", "ms", 30))
	u := res.Usage
	if !u.Cold || u.Init <= 0 {
		h.Errorf("first invocation: got cold %v, init %v", u.Cold, u.Init)
	}
	if u.Duration < 30*time.Millisecond || u.Duration > time.Since(before) {
		h.Errorf("got a duration of %v", u.Duration)
	}
	if u.Start.Before(before) || u.Start.After(time.Now()) {
		h.Errorf("got start %v, want one after %v", u.Start, before)
	}
	if u.MemoryMB != 256 || u.PeakMemoryMB < 1 || u.PeakMemoryMB > 256 {
		h.Errorf("got %d MB of %d MB", u.PeakMemoryMB, u.MemoryMB)
	}
	res, _ = h.invoke(env, event("echo"))
	if res.Usage.Cold || res.Usage.Init != 0 {
		h.Errorf("second invocation: got cold %v, init %v", res.Usage.Cold, res.Usage.Init)
	}
}

func environmentVariablesAreSet(h *harness) {
	env := h.launch(variable("GREETING", "hello there"))
	h.answers(env, event("getenv", "name", "GREETING"), `"hello there"`)
	h.answers(env, event("getenv", "name", "AWS_LAMBDA_FUNCTION_NAME"), `"`+h.subject.Probe.Function+`"`)
}

func responseOverTheLimitFails(h *harness) {
	const limit = 6291556
	env := h.launch(memory(512))
	res, _ := h.invoke(env, event("bytes", "n", limit))
	if len(res.Payload) != limit || res.FunctionError != "" {
		h.Errorf("got %d bytes (%q), want %d", len(res.Payload), res.FunctionError, limit)
	}
	res, _ = h.invoke(env, event("bytes", "n", limit+1))
	h.fails(res, "Function.ResponseSizeTooLarge",
		`{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`)
	h.answers(env, event("echo", "value", 1), "1")
}

// answersNeverCross runs invocations of which some time out or crash while
// they have an answer on its way; each answer must be its invocation's own.
func answersNeverCross(h *harness) {
	const environments, rounds = 3, 12
	var all sync.WaitGroup
	for e := range environments {
		env := h.launch(timeout(time.Second))
		all.Go(func() {
			for i := range rounds {
				nonce := fmt.Sprintf("%d/%d", e, i)
				data := event("echo", "value", nonce)
				if i%6 == 2 {
					data = event("sleep", "ms", 990+i, "value", nonce) // answers when its time is over
				}
				inv := h.invocation(data)
				res, err := env.Invoke(h.Context(), inv)
				switch {
				case err != nil:
					h.Errorf("%s: %v", nonce, err)
				case res.FunctionError != "" && !strings.Contains(string(res.Payload), inv.ID):
					h.Errorf("%s: got the failure of another: %s", nonce, res.Payload)
				case res.FunctionError == "" && i%6 != 2 && string(res.Payload) != `"`+nonce+`"`:
					h.Errorf("%s: got %s", nonce, res.Payload)
				}
			}
		})
	}
	all.Wait()
}
