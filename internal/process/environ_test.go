package process

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
)

func exampleVersion() *millicent.Version {
	return &millicent.Version{
		Tenant: "000000000000", Function: "hello", Number: millicent.Latest,
		Runtime: "python3.11", Handler: "app.handler", Timeout: 3 * time.Second, MemoryMB: 128, TmpMB: 512,
	}
}

var exampleKey = credentials{"AKID", "secret", "token"}

func environMap(t *testing.T, list []string) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, kv := range list {
		name, value, ok := strings.Cut(kv, "=")
		if _, twice := env[name]; !ok || twice {
			t.Errorf("bad or double entry %q", kv)
		}
		env[name] = value
	}
	return env
}

func TestEnvironmentOfPythonIsLambdas(t *testing.T) {
	list := environ(lifecycle.OnDemand, exampleVersion(), Runtime{Name: "python3.11"}, "eu-central-1", "2026/01/02/[$LATEST]0123", exampleKey)
	if !slices.IsSorted(list) {
		t.Error("the variables are in no order")
	}
	want := map[string]string{
		"AWS_LAMBDA_FUNCTION_NAME":        "hello",
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/hello",
		"AWS_LAMBDA_LOG_STREAM_NAME":      "2026/01/02/[$LATEST]0123",
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_RUNTIME_API":          "169.254.100.1:9001",
		"AWS_REGION":                      "eu-central-1",
		"AWS_DEFAULT_REGION":              "eu-central-1",
		"AWS_ACCESS_KEY_ID":               "AKID",
		"AWS_SECRET_ACCESS_KEY":           "secret",
		"AWS_SESSION_TOKEN":               "token",
		"AWS_EXECUTION_ENV":               "AWS_Lambda_python3.11",
		"AWS_ENDPOINT_URL":                "http://169.254.100.1:4566",
		"_HANDLER":                        "app.handler",
		"_LAMBDA_TELEMETRY_LOG_FD":        "3",
		"LAMBDA_TASK_ROOT":                "/var/task",
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"TZ":                              ":UTC",
		"LANG":                            "en_US.UTF-8",
		"LC_CTYPE":                        "C.UTF-8",
		"PATH":                            "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"LD_LIBRARY_PATH":                 "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
		"PYTHONPATH":                      "/var/runtime",
		"AWS_XRAY_CONTEXT_MISSING":        "LOG_ERROR",
		"AWS_XRAY_DAEMON_ADDRESS":         "169.254.100.1:2000",
		"_AWS_XRAY_DAEMON_ADDRESS":        "169.254.100.1",
		"_AWS_XRAY_DAEMON_PORT":           "2000",
		"PWD":                             "/var/task",
		"SHLVL":                           "0",
	}
	if diff := cmp.Diff(want, environMap(t, list)); diff != "" {
		t.Error(diff)
	}
}

func TestOwnVariablesOverrideDefaultsButNothingReserved(t *testing.T) {
	v := exampleVersion()
	v.Environment = map[string]string{
		"GREETING": "hi=there", "TZ": "Europe/Berlin", "AWS_ENDPOINT_URL": "http://elsewhere",
		"AWS_REGION": "mars", "AWS_LAMBDA_RUNTIME_API": "10.0.0.1:1", "AWS_SESSION_TOKEN": "forged", "AWS_EXECUTION_ENV": "x",
	}
	env := environMap(t, environ(lifecycle.OnDemand, v, Runtime{Name: "provided.al2023"}, "us-east-1", "s", credentials{id: "AKID", secret: "secret"}))
	for name, want := range map[string]string{
		"GREETING": "hi=there", "TZ": "Europe/Berlin", "AWS_ENDPOINT_URL": "http://elsewhere",
		"AWS_REGION": "us-east-1", "AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001",
	} {
		if env[name] != want {
			t.Errorf("%s: got %q, want %q", name, env[name], want)
		}
	}
	for _, name := range []string{"AWS_SESSION_TOKEN", "AWS_EXECUTION_ENV", "_LAMBDA_TELEMETRY_LOG_FD", "PYTHONPATH"} {
		if value, ok := env[name]; ok {
			t.Errorf("%s is %q, want it unset", name, value)
		}
	}
}

func TestNodePathNamesTheRequestedVersion(t *testing.T) {
	env := environMap(t, environ(lifecycle.OnDemand, exampleVersion(), Runtime{Name: "nodejs22.x", Version: "20.20.0"}, "r", "s", exampleKey))
	want := "/opt/nodejs/node22/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
	if got := env["NODE_PATH"]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLogFormatReachesTheRuntimeOnlyAsJSON(t *testing.T) {
	v := exampleVersion()
	v.LogFormat, v.LogLevel = "JSON", "WARN"
	env := environMap(t, environ(lifecycle.OnDemand, v, Runtime{Name: "python3.11"}, "r", "s", exampleKey))
	if env["AWS_LAMBDA_LOG_FORMAT"] != "JSON" || env["AWS_LAMBDA_LOG_LEVEL"] != "WARN" {
		t.Errorf("got format %q, level %q", env["AWS_LAMBDA_LOG_FORMAT"], env["AWS_LAMBDA_LOG_LEVEL"])
	}
	v.LogFormat = "Text"
	env = environMap(t, environ(lifecycle.OnDemand, v, Runtime{Name: "python3.11"}, "r", "s", exampleKey))
	if _, ok := env["AWS_LAMBDA_LOG_LEVEL"]; ok {
		t.Error("the level is set for text")
	}
}
