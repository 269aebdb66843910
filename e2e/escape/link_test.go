package escape

import (
	_ "embed"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

//go:embed testdata/link.py
var linkPython string

// linked makes an attacker of the link that has 3 s for each call.
func (a *arena) linked() string {
	return a.make("link", &lambda.CreateFunctionInput{
		Runtime: types.RuntimePython311, Handler: aws.String("link.handler"),
		Code: &types.FunctionCode{ZipFile: millicenttest.Zip(a.t, map[string]string{"link.py": linkPython})},
	}, with(3538, 0, 3)) // two cores: it can write as fast as anyone reads
}

// within calls an attacker and demands that it is over, one way or another,
// soon after its time.
func (a *arena) within(fn string, event map[string]any) millicenttest.Answer {
	a.t.Helper()
	begin := time.Now()
	got := a.call(fn, event)
	if took := time.Since(begin); took > 13*time.Second { // Init may be run again in it
		a.t.Errorf("%v: a call of at most 3 s took %v", event, took)
	}
	return got
}

// TestLinkViolations sends what the link's protocol does not have at that
// point: the runtime ends, and the function can be called again.
func TestLinkViolations(t *testing.T) {
	a := open(t)
	fn := a.linked()
	a.during(func() {
		for _, do := range []string{
			"foreign", "ready", "booted", "trailer", "chunk", "init", "invoke", "unknown", "empty", "huge", "larger", "garbage",
			"short", "close",
		} {
			got := a.within(fn, map[string]any{"do": do, "id": "00000000-0000-4000-8000-000000000000"})
			if got.Error != "Unhandled" || !strings.Contains(got.Payload, killed) && !strings.Contains(got.Payload, "timed out") {
				t.Errorf("%s: got %+v", do, got)
			}
		}
		if got := a.within(fn, map[string]any{"do": "twice"}); got.Payload != `"first"` {
			t.Errorf("two answers: got %+v, want the first", got)
		}
		if got := a.within(fn, map[string]any{"do": "deaf"}); got.Payload != `"deaf"` {
			t.Errorf("an answer without a reader of what follows: got %+v", got)
		}
		if got := a.within(fn, map[string]any{"do": "ready", "id": strings.Repeat("x", 5<<20)}); got.Error != "Unhandled" {
			t.Errorf("a large event that nobody reads: got %+v", got)
		}
	})
}

// TestLinkFlood answers in parts without an end, from a runtime and from a
// process that it leaves behind: the call ends when its time is over.
func TestLinkFlood(t *testing.T) {
	for do, want := range map[string]string{"flood": "Runtime exited with error: exit status 3", "parts": "Task timed out after 3.00 seconds"} {
		t.Run(do, func(t *testing.T) {
			a := open(t)
			fn := a.linked()
			a.during(func() { a.fails(a.within(fn, map[string]any{"do": do}), want) })
		})
	}
}
