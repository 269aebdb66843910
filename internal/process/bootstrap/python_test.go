package bootstrap

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A document is an error document, of either language.
type document struct {
	Message    string   `json:"errorMessage"`
	Type       string   `json:"errorType"`
	RequestID  *string  `json:"requestId"`
	StackTrace []string `json:"stackTrace"`
	Trace      []string `json:"trace"`
}

func decodeError(t *testing.T, body string) document {
	t.Helper()
	var d document
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		t.Fatalf("error document %q: %v", body, err)
	}
	return d
}

// evaluate is a handler that answers what the event's expression yields.
const evaluate = `
import decimal, math, collections
D = decimal.Decimal
class Money(D): pass
class Odd: pass
loop = []; loop.append(loop)
def handler(event, context):
    return eval(event)
`

func TestPythonResults(t *testing.T) {
	tests := []struct {
		expression string
		want       string // by python3.11
		want312    string // from python3.12 on, where it differs
		fails      bool   // want is the error's message then
		media      string
	}{
		{expression: "None", want: "null"},
		{expression: "{'a': 1, 'b': [True, None, 1.5]}", want: `{"a": 1, "b": [true, null, 1.5]}`},
		{expression: "'grüß 日本 😀'", want: `"gr\u00fc\u00df \u65e5\u672c \ud83d\ude00"`, want312: `"grüß 日本 😀"`},
		{expression: "math.nan", want: "NaN"},
		{expression: "[math.inf, -math.inf]", want: "[Infinity, -Infinity]"},
		{expression: "D('1.10')", want: "1.10"},
		{expression: "{'a': D('12345678901234567890.123'), 'b': ['x', D('1E+3')], 'c': 'decimal:'}", want: `{"a": 12345678901234567890.123, "b": ["x", 1E+3], "c": "decimal:"}`},
		{expression: "[D('NaN'), D('-Infinity'), Money('2')]", want: "[NaN, -Infinity, 2]"},
		{expression: "(1, 2)", want: "[1, 2]"},
		{expression: "{1: 2, None: 3}", want: `{"1": 2, "null": 3}`},
		{expression: "b'\\x00\\xff raw'", want: "\x00\xff raw", media: "application/unknown"},
		{expression: "{1, 2}", fails: true, want: "Unable to marshal response: Object of type set is not JSON serializable"},
		{expression: "Odd()", fails: true, want: "Unable to marshal response: Object of type Odd is not JSON serializable"},
		{expression: "loop", fails: true, want: "Unable to marshal response: Circular reference detected"},
		{expression: "{(): 1}", fails: true, want: "Unable to marshal response: keys must be str, int, float, bool or None, not tuple"},
	}
	for _, runtime := range []string{"python3.11", "python3.12", "python3.14"} {
		t.Run(runtime, func(t *testing.T) {
			f := start(t, program{runtime: runtime, handler: "app.handler", files: map[string]string{"app.py": evaluate}})
			for _, tt := range tests {
				want, media := tt.want, tt.media
				if tt.want312 != "" && runtime != "python3.11" {
					want = tt.want312
				}
				if media == "" {
					media = "application/json"
				}
				event, _ := json.Marshal(tt.expression)
				o := f.invoke(string(event))
				got := o.body
				if tt.fails {
					d := decodeError(t, o.body)
					if d.Type != "Runtime.MarshalError" || len(d.StackTrace) != 0 {
						t.Errorf("%s: error %s", tt.expression, o.body)
					}
					got = d.Message
				}
				if got != want {
					t.Errorf("%s: got %s, want %s", tt.expression, got, want)
				}
				if got := o.header.Get("Content-Type"); got != media {
					t.Errorf("%s: content type %s, want %s", tt.expression, got, media)
				}
			}
		})
	}
}

func TestPythonErrors(t *testing.T) {
	const source = `
class Odd(Exception):
    def __str__(self): raise ValueError('no text')
def inner(): return {}['x']
def handler(event, context):
    if event == 'plain': raise Exception("x")
    if event == 'nested': inner()
    if event == 'odd': raise Odd()
    if event == 'unicode': raise ValueError('grüß \ud800')
    if event == 'deep': handler(event, context)
    return event
`
	f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{"app.py": source}})
	frame := func(line int, name, text string) string {
		return fmt.Sprintf(`"  File \"%s/app.py\", line %d, in %s\n    %s\n"`, f.root, line, name, text)
	}
	tests := []struct{ event, kind, want string }{
		{`"plain"`, "Exception", `{"errorMessage": "x", "errorType": "Exception", "requestId": "request-1", "stackTrace": [` +
			frame(6, "handler", `if event == 'plain': raise Exception(\"x\")`) + `]}`},
		{`"nested"`, "KeyError", `{"errorMessage": "'x'", "errorType": "KeyError", "requestId": "request-2", "stackTrace": [` +
			frame(7, "handler", "if event == 'nested': inner()") + ", " + frame(4, "inner", "def inner(): return {}['x']") + `]}`},
		{`"odd"`, "Odd", `{"errorMessage": "", "errorType": "Odd", "requestId": "request-3", "stackTrace": [` +
			frame(8, "handler", "if event == 'odd': raise Odd()") + `]}`},
		{`"unicode"`, "ValueError", `{"errorMessage": "gr\u00fc\u00df \ud800", "errorType": "ValueError", "requestId": "request-4", "stackTrace": [` +
			frame(9, "handler", `if event == 'unicode': raise ValueError('gr\u00fc\u00df \\ud800')`) + `]}`},
		{`{`, "Runtime.UnmarshalError", `{"errorMessage": "Unable to unmarshal input: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)", "errorType": "Runtime.UnmarshalError", "requestId": "request-5", "stackTrace": []}`},
		{``, "Runtime.UnmarshalError", `{"errorMessage": "Unable to unmarshal input: Expecting value: line 1 column 1 (char 0)", "errorType": "Runtime.UnmarshalError", "requestId": "request-6", "stackTrace": []}`},
		{"\"\xff\"", "Runtime.UnmarshalError", `{"errorMessage": "Unable to unmarshal input: 'utf-8' codec can't decode byte 0xff in position 1: invalid start byte", "errorType": "Runtime.UnmarshalError", "requestId": "request-7", "stackTrace": []}`},
	}
	for _, tt := range tests {
		o := f.invoke(tt.event)
		if !strings.HasSuffix(o.path, "/error") {
			t.Errorf("%s: posted to %s", tt.event, o.path)
		}
		if diff := cmp.Diff(tt.want, o.body); diff != "" {
			t.Errorf("%s: body (-want +got):\n%s", tt.event, diff)
		}
		if got := o.header.Get("Lambda-Runtime-Function-Error-Type"); got != tt.kind {
			t.Errorf("%s: error type header %q, want %q", tt.event, got, tt.kind)
		}
	}
	if d := decodeError(t, f.invoke(`"deep"`).body); d.Type != "RecursionError" || len(d.StackTrace) > 10 {
		t.Errorf("deep: %+v", d)
	}
	if got := f.respond(`"fine"`); got != `"fine"` {
		t.Errorf("after the errors: %s", got)
	}
}

// The oldest runtime's error documents have no request id.
func TestPythonErrorOf38(t *testing.T) {
	f := start(t, program{runtime: "python3.8", handler: "app.handler", files: map[string]string{
		"app.py": "def handler(event, context): raise ValueError('x')\n",
	}})
	if got, want := f.invoke("{}").body, `{"errorMessage": "x", "errorType": "ValueError", "stackTrace": [`; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s…", got, want)
	}
}

func TestPythonContext(t *testing.T) {
	const source = `
import os
def handler(event, context):
    os.environ.pop('AWS_LAMBDA_FUNCTION_NAME', None)
    cc = context.client_context
    return {
        'aws_request_id': context.aws_request_id,
        'log_group_name': context.log_group_name,
        'log_stream_name': context.log_stream_name,
        'function_name': context.function_name,
        'memory_limit_in_mb': context.memory_limit_in_mb,
        'function_version': context.function_version,
        'invoked_function_arn': context.invoked_function_arn,
        'tenant_id': context.tenant_id,
        'client_context': cc and [cc.client and [cc.client.app_title, cc.client.installation_id], cc.custom, cc.env],
        'identity': [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        'remaining': context.get_remaining_time_in_millis(),
        'trace': os.environ.get('_X_AMZN_TRACE_ID'),
        'channel': os.environ.get('_LAMBDA_TELEMETRY_LOG_FD'),
    }
`
	f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{"app.py": source}})
	want := func(changes map[string]any) map[string]any {
		m := map[string]any{
			"aws_request_id": "one", "log_group_name": "/aws/lambda/f",
			"log_stream_name": "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef", "function_name": "f",
			"memory_limit_in_mb": "128", "function_version": "$LATEST",
			"invoked_function_arn": "arn:aws:lambda:us-east-1:000000000000:function:f", "tenant_id": nil,
			"client_context": nil, "identity": []any{nil, nil}, "remaining": float64(0), "trace": nil, "channel": nil,
		}
		for k, v := range changes {
			m[k] = v
		}
		return m
	}
	tests := []struct {
		name    string
		headers map[string]string
		want    map[string]any
	}{
		{"full", map[string]string{
			"Lambda-Runtime-Deadline-Ms":        "1000",
			"Lambda-Runtime-Trace-Id":           "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
			"Lambda-Runtime-Aws-Tenant-Id":      "blue",
			"Lambda-Runtime-Client-Context":     `{"client":{"app_title":"grüß","other":1},"custom":{"k":"v"},"env":{"e":"f"}}`,
			"Lambda-Runtime-Cognito-Identity":   `{"cognitoIdentityId":"id","cognitoIdentityPoolId":"pool"}`,
			"Lambda-Runtime-Invoked-Something":  "ignored",
			"Lambda-Runtime-Unknown-Future-Key": "ignored",
		}, want(map[string]any{
			"tenant_id": "blue", "identity": []any{"id", "pool"}, "trace": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
			"client_context": []any{[]any{"grüß", nil}, map[string]any{"k": "v"}, map[string]any{"e": "f"}},
		})},
		{"empty after full", map[string]string{"Lambda-Runtime-Deadline-Ms": "1000"}, want(nil)},
		{"client context without a client", map[string]string{
			"Lambda-Runtime-Deadline-Ms": "1000", "Lambda-Runtime-Client-Context": `{"custom":{}}`,
		}, want(map[string]any{"client_context": []any{nil, map[string]any{}, nil}})},
	}
	for _, tt := range tests {
		f.send(event{id: "one", body: "{}", headers: tt.headers})
		var got map[string]any
		if err := json.Unmarshal([]byte(f.outcome().body), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}

	f.send(event{body: "{}", headers: map[string]string{"Lambda-Runtime-Client-Context": "{"}})
	if d := decodeError(t, f.outcome().body); d.Type != "Runtime.LambdaContextUnmarshalError" {
		t.Errorf("bad client context: %+v", d)
	}
	f.send(event{body: "{}"})
	var got struct{ Remaining int64 }
	if err := json.Unmarshal([]byte(f.outcome().body), &got); err != nil || got.Remaining < 1e12 {
		t.Errorf("remaining time %d, %v", got.Remaining, err)
	}
}

// Signals reach the main thread while it waits for an event.
func TestPythonSignalWhileIdle(t *testing.T) {
	f := start(t, program{runtime: "python3.12", handler: "app.handler", files: map[string]string{"app.py": `
import signal
seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
def handler(event, context): return seen
`}})
	f.idle(1)
	if err := f.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if got, want := f.respond("{}"), fmt.Sprintf("[%d]", syscall.SIGUSR1); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPythonSurvives(t *testing.T) {
	tests := []struct{ name, source string }{
		{"patched json and socket", "import json, socket\njson.loads = json.dumps = json.JSONEncoder = None\nsocket.socket = None\nsocket.setdefaulttimeout(0.001)\n"},
		{"patched os and time", "import os, time\nos.write = os.fstat = os.getpid = time.time = time.time_ns = None\n"},
		{"closed standard output", "import os, sys\nos.close(1)\nsys.stdout.close()\nsys.stdout = None\n"},
		{"closed descriptors", "import os\ndef each(): os.closerange(3, 64)\n"},
		{"another directory", "import os\nos.chdir('/')\n"},
		{"empty environment", "import os\nos.environ.clear()\n"},
		{"replaced environment", "import os\nos.environ = {}\n"},
		{"empty path", "import sys\nsys.path.clear()\n"},
		{"a forked child that returns", "import os\ndef each():\n  if os.fork(): os.wait()\n"},
		{"a forked child that raises", "import os, sys\ndef each():\n  if os.fork() == 0: raise SystemExit(0)\n  os.wait()\n"},
		{"a default JSON encoder", "import json\njson.JSONEncoder.default = lambda self, o: 'hidden'\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{
				"app.py": tt.source + "if 'each' not in globals():\n  def each(): pass\ndef handler(event, context):\n  each()\n  return event\n",
			}})
			for i := range 3 {
				want := strconv.Itoa(i)
				if got := f.respond(want); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			if o := f.invoke("{"); decodeError(t, o.body).Type != "Runtime.UnmarshalError" {
				t.Errorf("error %s", o.body)
			}
		})
	}
}

func TestPythonReconnects(t *testing.T)          { testReconnects(t, echoPython) }
func TestPythonLargePayloads(t *testing.T)       { testLargePayloads(t, echoPython) }
func TestPythonRefusedResponse(t *testing.T)     { testRefusedResponse(t, echoPython) }
func TestPythonKeepsNothing(t *testing.T)        { testKeepsNothing(t, echoPython) }
func TestPythonEndsWithThePlatform(t *testing.T) { testEndsWithThePlatform(t, echoPython) }

var echoPython = program{runtime: "python3.11", handler: "app.handler", files: map[string]string{
	"app.py": "def handler(event, context): return event\n",
}}

// residentKB reads a process's resident memory.
func residentKB(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
