package process

import (
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/process/launchertest"
)

// provision starts the probe with PROBE_INIT set to how its Init shall go.
func provision(t *testing.T, how string) (*envTest, error) {
	t.Helper()
	t.Parallel()
	machine.need(t)
	v := probeVersion()
	v.LogFormat, v.SystemLogLevel = lifecycle.FormatJSON, "DEBUG"
	v.Environment = map[string]string{"PROBE_INIT": how}
	logs := &launchertest.Log{}
	env, err := machine.launcher(t, machine.code("probe"), logs, nil).Provision(t.Context(), v)
	if err != nil {
		return &envTest{T: t, logs: logs}, err
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &envTest{T: t, environment: env.(*environment), logs: logs}, nil
}

func TestProvisionedEnvironmentIsWarmFromItsFirstInvocation(t *testing.T) {
	e, err := provision(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if !millicent.Initialised(e.environment) {
		t.Error("it is not initialised")
	}
	res := e.invoke(`{"do":"getenv","name":"AWS_LAMBDA_INITIALIZATION_TYPE"}`)
	if string(res.Payload) != `"provisioned-concurrency"` {
		t.Errorf("the function sees the initialization type %s", res.Payload)
	}
	if res.Usage.Cold || res.Usage.Init != 0 || res.Start != nil || strings.Contains(string(res.LogTail), "initDurationMs") {
		t.Errorf("the first invocation is not a warm one: %+v, start %v\n%s", res.Usage, res.Start, res.LogTail)
	}
	if init := strings.Join(e.logs.Of(""), "\n"); strings.Count(init, `"initializationType":"provisioned-concurrency"`) != 3 {
		t.Errorf("got log %s", init)
	}
}

func TestProvisionedEnvironmentWithoutRuntimeIsNotInitialised(t *testing.T) {
	e, err := provision(t, "")
	if err != nil {
		t.Fatal(err)
	}
	e.failsWith(`{"do":"exit","code":3}`, "Runtime.ExitError", "Runtime exited with error: exit status 3")
	if millicent.Initialised(e.environment) {
		t.Error("it is taken for initialised after its runtime has ended")
	}
	e.answers(`{"do":"count"}`, "1")
	if !millicent.Initialised(e.environment) {
		t.Error("it is not initialised after another invocation")
	}
}

func TestFailedInitLeavesNoProvisionedEnvironment(t *testing.T) {
	e, err := provision(t, "fail")
	if millicent.ErrorCode(err) != millicent.CodeInitFailed || !strings.Contains(err.Error(), "Runtime.ProbeError") {
		t.Errorf("got %v", err)
	}
	if init := strings.Join(e.logs.Of(""), "\n"); !strings.Contains(init, `"errorType":"Runtime.ProbeError"`) {
		t.Errorf("got log %s", init)
	}
}

func TestInitIsLimitedByWhoWaitsForIt(t *testing.T) {
	if got := lifecycle.OnDemand.Limit(); got != lifecycle.InitLimit {
		t.Errorf("an invocation waits %v for Init", got)
	}
	if got := lifecycle.Provisioned.Limit(); got.Minutes() != 15 {
		t.Errorf("a provisioned environment has %v for Init", got)
	}
}
