package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const (
	loadCallers   = 200
	loadFunctions = 50
)

// loadTime is how long the callers call. MILLICENT_LOAD_TIME makes it longer.
func loadTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("MILLICENT_LOAD_TIME")); err == nil {
		return d
	}
	return 30 * time.Second
}

const (
	pythonEcho = `
import time
def handler(event, context):
    time.sleep(event["sleep"])
    return {"nonce": event["nonce"], "id": context.aws_request_id}
`
	nodeNonce = `
exports.handler = async (event, context) => {
  await new Promise((r) => setTimeout(r, event.sleep * 1000));
  return { nonce: event.nonce, id: context.awsRequestId };
};`
	pythonCrash   = "import os\ndef handler(event, context):\n    os._exit(3)\n"
	pythonTimeout = "import time\ndef handler(event, context):\n    time.sleep(60)\n"
	pythonOOM     = "def handler(event, context):\n    b = []\n    while True:\n        b.append(bytearray(1 << 22))\n"
)

// A loadFunction is one of the functions under load and what it has to answer.
type loadFunction struct {
	name  string
	fault string // substring of the expected error document; empty for an echo
}

// deployLoad deploys the functions: one in twenty fails, each in its own way.
func deployLoad(s *server) []loadFunction {
	var fns []loadFunction
	for i := range loadFunctions {
		f := loadFunction{name: fmt.Sprintf("load-%02d", i)}
		in := &lambda.CreateFunctionInput{
			FunctionName: &f.name, Role: aws.String(role), Timeout: aws.Int32(30), MemorySize: aws.Int32(256),
			Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		}
		files := map[string]string{"app.py": pythonEcho}
		switch {
		case i == 0:
			files["app.py"], f.fault = pythonCrash, "Runtime exited with error: exit status 3"
		case i == 1:
			files["app.py"], f.fault = pythonTimeout, "Task timed out after 1.00 seconds"
			in.Timeout = aws.Int32(1)
		case i == 2:
			files["app.py"], f.fault = pythonOOM, "Runtime exited with error: signal: killed"
			in.MemorySize = aws.Int32(128)
		case i%2 == 1:
			in.Runtime, in.Handler = types.RuntimeNodejs20x, aws.String("index.handler")
			files = map[string]string{"index.js": nodeNonce}
		}
		in.Code = &types.FunctionCode{ZipFile: zipOf(s.t, files)}
		if _, err := s.sdk().CreateFunction(s.t.Context(), in); err != nil {
			s.t.Fatal(err)
		}
		fns = append(fns, f)
	}
	for _, f := range fns {
		s.waitActive(f.name)
	}
	return fns
}

// TestLoadWithFaults has many callers call many functions of which some crash,
// time out and run out of memory: each answer belongs to its call, and
// afterwards nothing is left.
func TestLoadWithFaults(t *testing.T) {
	s := up(t, "--keep-alive", "3s")
	fns := deployLoad(s)
	s.invoke(fns[4].name, `{"nonce":"warm","sleep":0}`)
	waitIdle(t, s, 30*time.Second)
	base := s.footprint()

	var calls, throttles atomic.Int64
	var wg sync.WaitGroup
	stop := time.Now().Add(loadTime())
	for c := range loadCallers {
		wg.Go(func() {
			client := s.sdk()
			for n := 0; time.Now().Before(stop) && !t.Failed(); n++ {
				f := fns[rand.IntN(len(fns))]
				nonce := fmt.Sprintf("%d-%d", c, n)
				event := fmt.Sprintf(`{"nonce":%q,"sleep":%.3f}`, nonce, rand.Float64()*0.05)
				out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &f.name, Payload: []byte(event)})
				var throttled *types.TooManyRequestsException
				switch {
				case errors.As(err, &throttled):
					throttles.Add(1)
					time.Sleep(100 * time.Millisecond)
				case err != nil:
					t.Errorf("%s: %v", f.name, err)
				default:
					calls.Add(1)
					checkAnswer(t, f, nonce, out)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d calls answered, %d throttled", calls.Load(), throttles.Load())
	if calls.Load() < 1000 {
		t.Errorf("only %d calls in %v", calls.Load(), loadTime())
	}
	waitIdle(t, s, 60*time.Second)
	s.settle(base, 60*time.Second)
}

func checkAnswer(t *testing.T, f loadFunction, nonce string, out *lambda.InvokeOutput) {
	payload := string(out.Payload)
	if f.fault != "" {
		if aws.ToString(out.FunctionError) != "Unhandled" || !strings.Contains(payload, f.fault) {
			t.Errorf("%s: got %q %s, want %s", f.name, aws.ToString(out.FunctionError), payload, f.fault)
		}
		return
	}
	if out.FunctionError != nil || !strings.Contains(payload, fmt.Sprintf("%q", nonce)) {
		t.Errorf("%s: got %q %s, want nonce %q", f.name, aws.ToString(out.FunctionError), payload, nonce)
	}
}

// waitIdle waits until the server runs no sandbox but those that it has
// prepared.
func waitIdle(t *testing.T, s *server, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for s.footprint().Processes > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("environments still there after %v, beside %+v: %v", within, s.stock(), describe(s.descendants()))
		}
		time.Sleep(100 * time.Millisecond)
	}
}
