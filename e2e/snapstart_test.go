package e2e

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// pythonSnap tells when it was initialised, and what ran after that.
const pythonSnap = `
import os, threading, time, uuid
from snapshot_restore_py import register_after_restore
initialised, restored = str(uuid.uuid4()), []
register_after_restore(restored.append, 1)
if os.environ.get("BROKEN"):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
def handler(event, context):
    return {"initialised": initialised, "restored": len(restored), "own": str(uuid.uuid4())}
`

type snapAnswer struct {
	Initialised, Own string
	Restored         int
}

// publishSnap publishes the next version of snap and returns it once it is
// settled.
func (s *server) publishSnap(variables map[string]string) *lambda.GetFunctionConfigurationOutput {
	s.t.Helper()
	_, err := s.sdk().UpdateFunctionConfiguration(s.t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("snap"), Environment: &types.Environment{Variables: variables},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.waitActive("snap")
	w := lambda.NewFunctionUpdatedV2Waiter(s.sdk(), func(o *lambda.FunctionUpdatedV2WaiterOptions) {
		o.MinDelay, o.MaxDelay = 10*time.Millisecond, time.Second
	})
	if err := w.Wait(s.t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("snap")}, time.Minute); err != nil {
		s.t.Fatal(err)
	}
	v, err := s.sdk().PublishVersion(s.t.Context(), &lambda.PublishVersionInput{FunctionName: aws.String("snap")})
	if err != nil || v.State != types.StatePending {
		s.t.Fatalf("published as %+v, %v", v, err)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) { // a poll
		c, err := s.sdk().GetFunctionConfiguration(s.t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("snap"), Qualifier: v.Version})
		if err != nil {
			s.t.Fatal(err)
		}
		if c.State != types.StatePending {
			return c
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the version is still Pending")
		}
	}
}

// callSnap invokes version 1 of snap and returns what it says, and its log.
func (s *server) callSnap() (answer snapAnswer, log string) {
	s.t.Helper()
	out, err := s.sdk().Invoke(s.t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("snap"), Qualifier: aws.String("1"), Payload: []byte(`{}`), LogType: types.LogTypeTail,
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

// TestSnapStart takes a version with SnapStart through its life: publishing,
// starts from its snapshot, kill -9, after which it works without one until
// there is another, and a version that cannot have one.
func TestSnapStart(t *testing.T) {
	s := up(t, "--keep-alive", "1ms")
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("snap"), Runtime: types.RuntimePython312, Handler: aws.String("app.handler"), MemorySize: aws.Int32(256),
		Code:      &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": pythonSnap})},
		SnapStart: &types.SnapStart{ApplyOn: types.SnapStartApplyOnPublishedVersions},
	})
	c := s.publishSnap(map[string]string{"NEW": "1"})
	if c.State != types.StateActive || c.SnapStart.OptimizationStatus != types.SnapStartOptimizationStatusOn {
		t.Fatalf("published: %s, %s, %+v", c.State, aws.ToString(c.StateReason), c.SnapStart)
	}
	first, log := s.callSnap()
	if first.Restored != 1 || !strings.Contains(log, "\tRestore Duration: ") || strings.Contains(log, "Init Duration") {
		t.Errorf("the first start: %+v\n%s", first, log)
	}
	second := s.another(first)
	if second.Initialised != first.Initialised || second.Restored != 1 {
		t.Errorf("the second start: %+v, after %+v", second, first)
	}

	s.kill()
	s.start()
	if got, log := s.callSnap(); got.Restored != 0 || !strings.Contains(log, "Init Duration") {
		t.Errorf("without a snapshot: %+v\n%s", got, log)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // a poll
		got, _ := s.callSnap()
		if got.Restored == 1 && got.Initialised != first.Initialised {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no snapshot was made again")
		}
	}

	c = s.publishSnap(map[string]string{"BROKEN": "1"})
	if c.State != types.StateFailed || !strings.Contains(aws.ToString(c.StateReason), "threads") {
		t.Errorf("a version with threads: %s, %s", c.State, aws.ToString(c.StateReason))
	}
}

// another calls until an environment answers that is not the one before.
func (s *server) another(before snapAnswer) snapAnswer {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // a poll
		if got, log := s.callSnap(); got.Own != before.Own && strings.Contains(log, "\tRestore Duration: ") {
			return got
		}
	}
	s.t.Fatal("no other environment answers")
	return snapAnswer{}
}
