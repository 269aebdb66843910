package launchertest

import (
	"context"
	"strings"
)

// A sink keeps what an environment streams.
type sink struct {
	version string
	begun   int
	body    strings.Builder
}

// Begin implements millicent.Sink.
func (s *sink) Begin(version, _ string) {
	s.version = version
	s.begun++
}

// Write implements millicent.Sink.
func (s *sink) Write(_ context.Context, p []byte) error {
	s.body.Write(p)
	return nil
}

// A Sink gets all of an answer or nothing of it, and then the Result has it;
// of a failure there is a Result as ever.
func answerIsStreamedOrWhole(h *harness) {
	env := h.launch()
	for _, value := range []string{"hello", strings.Repeat("x", 1<<20)} {
		inv, out := h.invocation(event("echo", "value", value)), &sink{}
		inv.Sink = out
		res, err := env.Invoke(h.Context(), inv)
		if err != nil || res.FunctionError != "" {
			h.Fatalf("got %+v, %v", res, err)
		}
		got, streamed := string(res.Payload)+out.body.String(), int64(out.body.Len())
		if got != `"`+value+`"` || res.Streamed != (out.begun == 1) || streamed != res.Usage.Streamed || streamed > 0 && len(res.Payload) > 0 {
			h.Errorf("got %s, %d bytes of it streamed: %+v", clip([]byte(got)), streamed, res.Usage)
		}
		if res.Streamed && out.version != h.subject.Probe.Number {
			h.Errorf("the stream is of version %q", out.version)
		}
	}
	inv, out := h.invocation(event("fail", "type", "MyError", "message", "so it goes")), &sink{}
	inv.Sink = out
	res, err := env.Invoke(h.Context(), inv)
	if err != nil || res.FunctionError != "Unhandled" || out.begun != 0 || len(res.Payload) == 0 {
		h.Errorf("a failure: %+v, %v, begun %d times", res, err, out.begun)
	}
}
