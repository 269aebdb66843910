package escape

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// TestLeftovers leaves a process and files behind. In the same environment of
// the same function they are there for the next invocation, as on Lambda; no
// other function, nor another environment, sees any of it.
func TestLeftovers(t *testing.T) {
	a := open(t)
	fn := a.attacker(nil)
	other := a.attacker(func(in *lambda.CreateFunctionInput) { in.FunctionName = aws.String(name(t, "other")) })
	const loop = "while :; do date >> /tmp/left; echo here >> /dev/shm/left; sleep 0.05; done"
	var left string
	a.do(fn, map[string]any{"do": "leave", "args": []string{loop}}, &left)
	if left != "ok" {
		t.Fatal(left)
	}
	same := []attempt{
		{Op: "exec", Arg: "pgrep -f 'date >>' -c", want: "ok: 0 2"}, // it, and the asking shell
		{Op: "exec", Arg: "sleep 0.3; head -1 /dev/shm/left", want: "ok: 0 here"},
	}
	elsewhere := []attempt{
		{Op: "exec", Arg: "pgrep -f 'date >>' -c", want: "ok: 0 1"},
		{Op: "list", Arg: "/tmp", want: "ok"},
		{Op: "list", Arg: "/dev/shm", want: "ok"},
		{Op: "exec", Arg: "cat /proc/sysvipc/shm | wc -l", want: "ok: 0 1"},
	}
	a.during(func() {
		a.tryAs(fn, same)
		a.tryAs(other, elsewhere)
	})
	// A new environment of the function itself is new.
	a.restart(fn)
	a.tryAs(fn, elsewhere)
}

// restart changes a function, so that its environments are new.
func (a *arena) restart(fn string) {
	a.t.Helper()
	if _, err := a.SDK().UpdateFunctionConfiguration(a.t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: &fn, Description: aws.String("anew"), MemorySize: aws.Int32(640),
	}); err != nil {
		a.t.Fatal(err)
	}
	w := lambda.NewFunctionUpdatedV2Waiter(a.SDK(), func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = 20 * time.Millisecond })
	if err := w.Wait(a.t.Context(), &lambda.GetFunctionInput{FunctionName: &fn}, time.Minute); err != nil {
		a.t.Fatal(err)
	}
}

// TestLeftoversEndWithTheRuntime: what an invocation leaves behind ends when
// the runtime is started anew, after a timeout or a crash.
func TestLeftoversEndWithTheRuntime(t *testing.T) {
	a := open(t)
	fn := a.attacker(with(512, 0, 3))
	var left string
	a.do(fn, map[string]any{"do": "leave", "args": []string{"trap '' TERM INT HUP; while :; do sleep 0.05; done"}}, &left)
	a.during(func() {
		a.fails(a.call(fn, map[string]any{"do": "dribble"}), "Task timed out")
		a.tryAs(fn, []attempt{{Op: "exec", Arg: "pgrep -f 'trap ' -c", want: "ok: 0 1"}})
	})
}

// TestSegments leaves shared memory of the kind that outlives processes, until
// there is no more: it is the function's own memory, and goes with its
// environment.
func TestSegments(t *testing.T) {
	a := open(t)
	fn := a.python("bombs.handler", with(128, 0, 30))
	a.during(func() {
		for range 3 {
			if got := a.call(fn, map[string]any{"do": "segments"}); !strings.Contains(got.Payload, killed) {
				t.Errorf("got %+v", got)
			}
		}
	})
}
