package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// pythonProvisioned tells which version an environment is of, how it was
// started, and ends its runtime when asked to.
const pythonProvisioned = `
import os, uuid
if os.environ.get("BROKEN"):
    raise RuntimeError("not today")
me = str(uuid.uuid4())
def handler(event, context):
    if event.get("exit"):
        os._exit(1)
    return {"version": context.function_version, "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "environment": me}
`

// provisionedAnswer is what pythonProvisioned answers.
type provisionedAnswer struct{ Version, Type, Environment string }

// createProvisioned makes the function prov with version 1 and its alias live.
func (s *server) createProvisioned() {
	s.t.Helper()
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("prov"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), MemorySize: aws.Int32(256),
		Code: &types.FunctionCode{ZipFile: zipOf(s.t, map[string]string{"app.py": pythonProvisioned})},
	})
	s.publishProvisioned(nil)
	_, err := s.sdk().CreateAlias(s.t.Context(), &lambda.CreateAliasInput{
		FunctionName: aws.String("prov"), Name: aws.String("live"), FunctionVersion: aws.String("1"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// publishProvisioned publishes the next version of prov with variables.
func (s *server) publishProvisioned(variables map[string]string) {
	s.t.Helper()
	_, err := s.sdk().UpdateFunctionConfiguration(s.t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("prov"), Environment: &types.Environment{Variables: variables}, Description: aws.String(fmt.Sprint(time.Now())),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	w := lambda.NewFunctionUpdatedV2Waiter(s.sdk(), func(o *lambda.FunctionUpdatedV2WaiterOptions) {
		o.MinDelay, o.MaxDelay = 10*time.Millisecond, time.Second
	})
	if err := w.Wait(s.t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("prov")}, time.Minute); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.sdk().PublishVersion(s.t.Context(), &lambda.PublishVersionInput{FunctionName: aws.String("prov")}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) putProvisioned(qualifier string, n int32) *lambda.PutProvisionedConcurrencyConfigOutput {
	s.t.Helper()
	out, err := s.sdk().PutProvisionedConcurrencyConfig(s.t.Context(), &lambda.PutProvisionedConcurrencyConfigInput{
		FunctionName: aws.String("prov"), Qualifier: &qualifier, ProvisionedConcurrentExecutions: &n,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// awaitProvisioned waits until a configuration of prov has a status.
func (s *server) awaitProvisioned(qualifier string, want types.ProvisionedConcurrencyStatusEnum) *lambda.GetProvisionedConcurrencyConfigOutput {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // a poll
		out, err := s.sdk().GetProvisionedConcurrencyConfig(s.t.Context(), &lambda.GetProvisionedConcurrencyConfigInput{
			FunctionName: aws.String("prov"), Qualifier: &qualifier,
		})
		if err != nil {
			s.t.Fatal(err)
		}
		if out.Status == want {
			return out
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("it is %s, reason %q; %d are allocated", out.Status, aws.ToString(out.StatusReason), *out.AllocatedProvisionedConcurrentExecutions)
		}
	}
}

// callProvisioned invokes prov and returns what it says, and its log.
func (s *server) callProvisioned(qualifier string) (answer provisionedAnswer, log string) {
	s.t.Helper()
	out, err := s.sdk().Invoke(s.t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("prov"), Qualifier: &qualifier, Payload: []byte(`{}`), LogType: types.LogTypeTail,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(out.Payload, &answer); err != nil || out.FunctionError != nil {
		s.t.Fatalf("answer %s", out.Payload)
	}
	tail, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if err != nil {
		s.t.Fatal(err)
	}
	return answer, string(tail)
}

// wantWarm calls prov and wants an answer of one of some versions, from a
// provisioned environment that nobody waited for.
func (s *server) wantWarm(versions ...string) provisionedAnswer {
	s.t.Helper()
	got, log := s.callProvisioned("live")
	if !slices.Contains(versions, got.Version) || got.Type != "provisioned-concurrency" || strings.Contains(log, "Init Duration") {
		s.t.Errorf("got version %s, %s, want %s from a provisioned environment:\n%s", got.Version, got.Type, versions, log)
	}
	return got
}

// TestProvisionedConcurrency takes provisioned environments through their
// life: allocation, use, breakage, a clean restart, kill -9, another version,
// a version that fails, and the end.
func TestProvisionedConcurrency(t *testing.T) {
	s := up(t)
	s.createProvisioned()
	if out := s.putProvisioned("live", 2); out.Status != "IN_PROGRESS" || *out.AllocatedProvisionedConcurrentExecutions != 0 {
		t.Errorf("put answers %s with %d allocated", out.Status, *out.AllocatedProvisionedConcurrentExecutions)
	}
	if out := s.awaitProvisioned("live", "READY"); *out.AvailableProvisionedConcurrentExecutions != 2 || *out.AllocatedProvisionedConcurrentExecutions != 2 {
		t.Errorf("ready, with %d available and %d allocated", *out.AvailableProvisionedConcurrentExecutions, *out.AllocatedProvisionedConcurrentExecutions)
	}
	first := s.wantWarm("1")

	out, err := s.sdk().Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("prov"), Qualifier: aws.String("live"), Payload: []byte(`{"exit":true}`),
	})
	if err != nil || out.FunctionError == nil {
		t.Fatalf("the runtime did not end: %v", err)
	}
	s.awaitProvisioned("live", "READY")
	if s.wantWarm("1").Environment == first.Environment {
		t.Error("the environment whose runtime ended is still there")
	}

	s.stop()
	s.start()
	s.awaitProvisioned("live", "READY")
	s.wantWarm("1")
	s.kill()
	s.start()
	s.awaitProvisioned("live", "READY")
	s.wantWarm("1")

	s.publishProvisioned(map[string]string{"NEW": "1"})
	s.pointLive("2")
	for s.wantWarm("1", "2").Version != "2" { // never a cold start on the way
		time.Sleep(time.Millisecond) // a poll
	}
	s.awaitProvisioned("live", "READY")

	s.publishProvisioned(map[string]string{"BROKEN": "1"})
	s.pointLive("3")
	if out := s.awaitProvisioned("live", "FAILED"); aws.ToString(out.StatusReason) != "FUNCTION_ERROR_INIT_FAILURE" {
		t.Errorf("reason %q", aws.ToString(out.StatusReason))
	}
	s.wantWarm("2") // a version that fails gets nothing to do
	s.pointLive("2")
	s.awaitProvisioned("live", "READY")

	if _, err := s.sdk().DeleteAlias(t.Context(), &lambda.DeleteAliasInput{FunctionName: aws.String("prov"), Name: aws.String("live")}); err != nil {
		t.Fatal(err)
	}
	list, err := s.sdk().ListProvisionedConcurrencyConfigs(t.Context(), &lambda.ListProvisionedConcurrencyConfigsInput{FunctionName: aws.String("prov")})
	if err != nil || len(list.ProvisionedConcurrencyConfigs) != 0 {
		t.Errorf("after the alias's end: %v, %v", list, err)
	}
	for deadline := time.Now().Add(time.Minute); s.environments() > 0; time.Sleep(10 * time.Millisecond) { // a poll
		if time.Now().After(deadline) {
			t.Fatalf("%v environments are left", s.environments())
		}
	}
}

func (s *server) pointLive(version string) {
	s.t.Helper()
	_, err := s.sdk().UpdateAlias(s.t.Context(), &lambda.UpdateAliasInput{
		FunctionName: aws.String("prov"), Name: aws.String("live"), FunctionVersion: &version,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// environments returns how many there are, in any state.
func (s *server) environments() (n float64) {
	for _, state := range []string{"launching", "idle", "frozen", "busy", "closing"} {
		n += s.metric(`millicent_environments{state="` + state + `"}`)
	}
	return n
}

// TestProvisionedByAWSCLI does it by the commands that users know.
func TestProvisionedByAWSCLI(t *testing.T) {
	need(t, "/usr/bin/aws", "awscli")
	s := up(t)
	s.createProvisioned()
	runClient(t, s, ".", "testdata/awscli_provisioned.sh", s.url())
}
