package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func TestRestartKeepsEverything(t *testing.T) {
	s := up(t)
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("kept"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		Code:        &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": pythonEcho})},
		Environment: &types.Environment{Variables: map[string]string{"STAGE": "b"}},
		Tags:        map[string]string{"team": "x"},
	})
	ctx := t.Context()
	if _, err := s.sdk().PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: aws.String("kept")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.sdk().CreateAlias(ctx, &lambda.CreateAliasInput{
		FunctionName: aws.String("kept"), Name: aws.String("live"), FunctionVersion: aws.String("1"),
	}); err != nil {
		t.Fatal(err)
	}
	link, err := s.sdk().CreateFunctionUrlConfig(ctx, &lambda.CreateFunctionUrlConfigInput{
		FunctionName: aws.String("kept"), AuthType: types.FunctionUrlAuthTypeNone,
	})
	if err != nil {
		t.Fatal(err)
	}
	before := describeFunction(s)
	s.stop()
	s.start()
	if after := describeFunction(s); after != before {
		t.Errorf("after restart\n%s\nbefore\n%s", after, before)
	}
	if got := s.invoke("kept:live", `{"nonce":"n","sleep":0}`); !strings.Contains(got, `"nonce": "n"`) && !strings.Contains(got, `"nonce":"n"`) {
		t.Errorf("got %s", got)
	}
	again, err := s.sdk().GetFunctionUrlConfig(ctx, &lambda.GetFunctionUrlConfigInput{FunctionName: aws.String("kept")})
	if err != nil {
		t.Fatal(err)
	}
	if *again.FunctionUrl != *link.FunctionUrl {
		t.Errorf("URL changed: %s, was %s", *again.FunctionUrl, *link.FunctionUrl)
	}
}

func describeFunction(s *server) string {
	s.t.Helper()
	cmd := exec.Command("/usr/bin/curl", "-s", s.url()+"/2015-03-31/functions/kept/configuration",
		s.url()+"/2015-03-31/functions/kept/versions", s.url()+"/2015-03-31/functions/kept/aliases")
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

func TestSecondServerOnTheSameDirectoryIsRefused(t *testing.T) {
	s := up(t)
	out, err := exec.Command(binary, "up", "--data", s.data, "--listen", freeAddr(t)).CombinedOutput()
	if err == nil {
		t.Fatalf("a second server ran on %s:\n%s", s.data, out)
	}
	if !strings.Contains(string(out), s.data) || !strings.Contains(string(out), "in use") {
		t.Errorf("not a clear refusal: %s", out)
	}
	if code, _ := s.get("/_millicent/health"); code != 200 {
		t.Errorf("the first server answers %d", code)
	}
}

func TestListeningBeyondLoopbackNeedsAuth(t *testing.T) {
	out, err := exec.Command(binary, "up", "--data", t.TempDir(), "--listen", "0.0.0.0:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--auth sigv4") {
		t.Errorf("got %v: %s", err, out)
	}
}

// A stop drains: an invocation that runs when Ctrl-C comes is answered.
func TestStopDrains(t *testing.T) {
	s := up(t)
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("slow"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), Timeout: aws.Int32(20),
		Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": pythonEcho})},
	})
	s.invoke("slow", `{"nonce":"warm","sleep":0}`)
	answer := make(chan string, 1)
	go func() {
		out, err := s.sdk().Invoke(t.Context(), &lambda.InvokeInput{
			FunctionName: aws.String("slow"), Payload: []byte(`{"nonce":"drained","sleep":2}`),
		})
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- string(out.Payload)
	}()
	for s.metric(`millicent_environments{state="busy"}`) != 1 {
		time.Sleep(10 * time.Millisecond)
	}
	s.stop()
	if got := <-answer; !strings.Contains(got, "drained") {
		t.Errorf("got %s", got)
	}
}
