package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process/launchertest"
)

// language launches a function of one file in an interpreted language; the
// test is skipped where the machine has no interpreter.
func language(t *testing.T, name, file, text string, change func(*millicent.Version)) *envTest {
	t.Helper()
	t.Parallel()
	machine.need(t)
	dir := filepath.Join(t.TempDir(), "code")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	l := machine.launcher(t, dir, &launchertest.Log{}, nil)
	v := probeVersion()
	v.Runtime, v.Handler = name, "app.handler"
	if change != nil {
		change(v)
	}
	needRuntime(t, l, v.Runtime)
	return startEnv(t, l, v)
}

const pythonApp = `
import os, sys
print("loading")
def handler(event, context):
    print("hello", event["name"])
    print("to stderr", file=sys.stderr)
    if event["name"] == "nobody":
        raise ValueError("nobody is there")
    return {"greeting": "hello " + event["name"], "id": context.aws_request_id}
`

func TestPythonFunction(t *testing.T) {
	e := language(t, "python3.11", "app.py", pythonApp, nil)
	res := e.invoke(`{"name":"world"}`)
	if got, want := string(res.Payload), `{"greeting": "hello world", "id": "00000000-0000-4000-8000-000000000001"}`; got != want || res.FunctionError != "" {
		t.Errorf("got %s (%s), want %s", got, res.FunctionError, want)
	}
	if tail := string(res.LogTail); !strings.Contains(tail, "hello world\n") || !strings.Contains(tail, "to stderr\n") ||
		strings.Index(tail, "hello world") > strings.Index(tail, "END RequestId") {
		t.Errorf("got tail %q", tail)
	}
	if log := strings.Join(e.logs.Of(""), "\n"); !strings.Contains(log, "INIT_START Runtime Version: python:3.") || !strings.Contains(log, "loading") {
		t.Errorf("got log %q", log)
	}
	res = e.invoke(`{"name":"nobody"}`)
	if got, want := string(res.Payload), `{"errorMessage": "nobody is there", "errorType": "ValueError", "requestId": "00000000-0000-4000-8000-000000000002", "stackTrace": [`; !strings.HasPrefix(got, want) || res.FunctionError != "Unhandled" {
		t.Errorf("got %s (%s), want %s…", got, res.FunctionError, want)
	}
	if tail := string(res.LogTail); !strings.Contains(tail, "[ERROR] ValueError: nobody is there") {
		t.Errorf("got tail %q", tail)
	}
}

func TestPythonInitErrorReachesTheCaller(t *testing.T) {
	e := language(t, "python3.11", "app.py", "import nothing_of_that_name\n", nil)
	res := e.invoke(`{}`)
	if !strings.Contains(string(res.Payload), "Unable to import module 'app': No module named 'nothing_of_that_name'") || res.ErrorType != "Runtime.ImportModuleError" {
		t.Errorf("got %s (%s)", res.Payload, res.ErrorType)
	}
}

const nodeApp = `
console.log("loading")
export const handler = async (event, context) => {
  console.log("hello", event.name)
  process.stderr.write("to stderr\n")
  if (event.name === "nobody") throw new RangeError("nobody is there")
  return { greeting: "hello " + event.name, id: context.awsRequestId }
}
`

func TestNodeFunction(t *testing.T) {
	e := language(t, "nodejs20.x", "app.mjs", nodeApp, nil)
	res := e.invoke(`{"name":"world"}`)
	if got, want := string(res.Payload), `{"greeting":"hello world","id":"00000000-0000-4000-8000-000000000001"}`; got != want || res.FunctionError != "" {
		t.Errorf("got %s (%s), want %s", got, res.FunctionError, want)
	}
	if tail := string(res.LogTail); !strings.Contains(tail, "\tINFO\thello world\n") || !strings.Contains(tail, "to stderr\n") {
		t.Errorf("got tail %q", tail)
	}
	res = e.invoke(`{"name":"nobody"}`)
	if got, want := string(res.Payload), `{"errorType":"RangeError","errorMessage":"nobody is there","trace":["RangeError: nobody is there"`; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s…", got, want)
	}
}

func TestRuntimeThatIsNotInstalledIsServedWithANotice(t *testing.T) {
	e := language(t, "python3.8", "app.py", pythonApp, nil)
	if e.runtime.Exact {
		t.Skip("this machine has Python 3.8")
	}
	if log := strings.Join(e.logs.Of(""), "\n"); !strings.Contains(log, "python3.8 is not installed here; Python 3.") {
		t.Errorf("got log %q, want the notice in it", log)
	}
}

func TestWrapperRunsTheRuntime(t *testing.T) {
	wrap := func(path string) func(*millicent.Version) {
		return func(v *millicent.Version) { v.Environment = map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": path} }
	}
	t.Run("there", func(t *testing.T) {
		// env runs the command that it is given.
		e := language(t, "python3.11", "app.py", pythonApp, wrap("/usr/bin/env"))
		if res := e.invoke(`{"name":"world"}`); res.FunctionError != "" {
			t.Errorf("got %s", res.Payload)
		}
	})
	t.Run("missing", func(t *testing.T) {
		e := language(t, "python3.11", "app.py", pythonApp, wrap("/var/task/wrapper"))
		e.failsWith("{}", "Runtime.ExitError", "Runtime exited with error: exit status 127")
	})
	t.Run("not executable", func(t *testing.T) {
		e := language(t, "python3.11", "app.py", pythonApp, wrap("/var/task/app.py"))
		e.failsWith("{}", "Runtime.ExitError", "Runtime exited with error: exit status 126")
	})
}

// TestRuntimesOutlastTheTimeoutWhenIdle lets more time pass between two
// invocations than one may take.
func TestRuntimesOutlastTheTimeoutWhenIdle(t *testing.T) {
	for runtime, app := range map[string][2]string{
		"python3.11": {"app.py", "import os\ndef handler(event, context):\n    return os.getpid()\n"},
		"nodejs20.x": {"app.mjs", "export const handler = async () => process.pid\n"},
	} {
		t.Run(runtime, func(t *testing.T) {
			e := language(t, runtime, app[0], app[1], func(v *millicent.Version) { v.Timeout = time.Second })
			first := e.invoke(`{}`)
			time.Sleep(e.version.Timeout + e.version.Timeout/2)
			second := e.invoke(`{}`)
			if second.Start != nil || string(second.Payload) != string(first.Payload) {
				t.Errorf("process %s, then %s, which was started by %+v", first.Payload, second.Payload, second.Start)
			}
		})
	}
}
