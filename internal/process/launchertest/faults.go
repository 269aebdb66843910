package launchertest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

// short is a timeout to run into that leaves a busy machine time to start a
// runtime within it.
const short = 3 * time.Second

func timeoutEndsTheInvocation(h *harness) {
	env := h.launch(timeout(short))
	res, inv := h.invoke(env, event("sleep", "ms", 60_000))
	h.fails(res, "Sandbox.Timedout", platformDocument("Sandbox.Timedout", inv.ID, "Task timed out after 3.00 seconds"))
	if got := res.Usage.Duration; got != short {
		h.Errorf("got a duration of %v, want exactly the timeout", got)
	}
	if tail := string(res.LogTail); !strings.Contains(tail, inv.ID+" Task timed out after 3.00 seconds\n\n") || !strings.Contains(tail, "\tStatus: timeout\n") {
		h.Errorf("the tail does not tell of a timeout: %s", tail)
	}
	h.answers(env, event("echo", "value", 1), "1")
}

func timeoutKeepsTmp(h *harness) {
	env := h.launch(timeout(short))
	h.answers(env, event("write", "path", "/tmp/kept", "value", "still here"), "null")
	h.answers(env, event("count"), "1")
	h.answers(env, event("count"), "2")
	if res, _ := h.invoke(env, event("sleep", "ms", 60_000)); res.FunctionError == "" {
		h.Fatal("the invocation did not time out")
	}
	h.answers(env, event("read", "path", "/tmp/kept"), `"still here"`)
	h.answers(env, event("count"), "1")
	h.answers(h.launch(), event("read", "path", "/tmp/kept"), `""`)
}

func exitIsReported(h *harness) {
	env := h.launch()
	for code, message := range map[int]string{
		0:   "Runtime exited without providing a reason",
		1:   "Runtime exited with error: exit status 1",
		129: "Runtime exited with error: exit status 129",
	} {
		res, inv := h.invoke(env, event("exit", "code", code))
		h.fails(res, "Runtime.ExitError", platformDocument("Runtime.ExitError", inv.ID, message))
		tail := string(res.LogTail)
		if want := "RequestId: " + inv.ID + " Error: " + message + "\nRuntime.ExitError\n"; !strings.Contains(tail, want) {
			h.Errorf("got tail %q, want it to hold %q", tail, want)
		}
		if !strings.Contains(tail, "\tStatus: error\tError Type: Runtime.ExitError\n") {
			h.Errorf("got tail %q, want a status in its report", tail)
		}
		h.answers(env, event("count"), "1")
	}
}

func killIsReported(h *harness) {
	env := h.launch()
	res, inv := h.invoke(env, event("kill"))
	h.fails(res, "Runtime.ExitError", platformDocument("Runtime.ExitError", inv.ID, "Runtime exited with error: signal: killed"))
	h.answers(env, event("echo", "value", 1), "1")
}

func memoryLimitIsReported(h *harness) {
	env := h.launch(memory(128))
	if !h.subject.lacks("write") {
		h.answers(env, event("write", "path", "/tmp/kept", "value", "still here"), "null")
	}
	res, inv := h.invoke(env, event("allocate", "mb", 256))
	h.fails(res, "Runtime.OutOfMemory", platformDocument("Runtime.ExitError", inv.ID, "Runtime exited with error: signal: killed"))
	if got := res.Usage.PeakMemoryMB; got != 128 {
		h.Errorf("got a peak of %d MB, want all of it", got)
	}
	if tail := string(res.LogTail); !strings.Contains(tail, "\tMax Memory Used: 128 MB\t") || !strings.Contains(tail, "\tStatus: error\tError Type: Runtime.OutOfMemory\n") {
		h.Errorf("got tail %q, want its report to tell of the memory", tail)
	}
	if h.subject.lacks("write") {
		h.answers(env, event("echo", "value", 1), "1")
		return
	}
	h.answers(env, event("read", "path", "/tmp/kept"), `"still here"`)
}

func initErrorReachesTheCaller(h *harness) {
	env := h.launch(variable("PROBE_INIT", "fail"))
	for range 2 {
		res, _ := h.invoke(env, event("echo"))
		h.fails(res, "Runtime.ProbeError", InitDocument)
		if tail := string(res.LogTail); !strings.Contains(tail, "\tPhase: invoke\tStatus: error\tError Type: Runtime.ProbeError\n") {
			h.Errorf("got tail %q, want the Init phase in it", tail)
		}
	}
}

func initExitReachesTheCaller(h *harness) {
	env := h.launch(variable("PROBE_INIT", "exit"))
	for range 2 {
		res, inv := h.invoke(env, event("echo"))
		h.fails(res, "Runtime.ExitError", platformDocument("Runtime.ExitError", inv.ID, "Runtime exited with error: exit status 3"))
	}
}

func cancelStopsTheFunction(h *harness) {
	env := h.launch()
	h.answers(env, event("count"), "1")
	ctx, cancel := context.WithCancel(h.Context())
	inv := h.invocation(event("sleep", "ms", 60_000))
	defer cancel()
	started := h.logs.Started(inv.ID)
	go func() {
		select {
		case <-started:
		case <-time.After(soon): // the test fails by what it finds then
		}
		cancel()
	}()
	if res, err := env.Invoke(ctx, inv); !errors.Is(err, context.Canceled) {
		h.Errorf("got %v, %v, want the context's error", res, err)
	}
	h.answers(env, event("count"), "1")

	done, cancelled := context.WithCancel(h.Context())
	cancelled()
	if _, err := env.Invoke(done, h.invocation(event("echo"))); !errors.Is(err, context.Canceled) {
		h.Errorf("got %v, want the context's error", err)
	}
	h.counts(env, "2")
}

func closeIsIdempotent(h *harness) {
	env := h.launch()
	h.answers(env, event("echo", "value", 1), "1")
	for range 3 {
		if err := env.Close(); err != nil {
			h.Errorf("close: %v", err)
		}
	}
	_, err := env.Invoke(h.Context(), h.invocation(event("echo")))
	if got := millicent.ErrorCode(err); got != millicent.CodeEnvironmentDead {
		h.Errorf("got %v, want an error of code %s", err, millicent.CodeEnvironmentDead)
	}
}

func closeEndsAnInvocation(h *harness) {
	env := h.launch()
	inv := h.invocation(event("sleep", "ms", 60_000))
	started := h.logs.Started(inv.ID)
	ended := make(chan error, 1)
	go func() {
		_, err := env.Invoke(h.Context(), inv)
		ended <- err
	}()
	h.await(started)
	if err := env.Close(); err != nil {
		h.Errorf("close: %v", err)
	}
	select {
	case err := <-ended:
		if err == nil {
			h.Error("the invocation has a result")
		}
	case <-time.After(soon):
		h.Fatal("the invocation goes on")
	}
}

func launchObeysItsContext(h *harness) {
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	env, err := h.subject.Launcher.Launch(ctx, h.version())
	if err == nil {
		_ = env.Close() // the test has failed already
		h.Error("launched in spite of its context")
	}
}
