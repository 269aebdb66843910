package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// callsItself calls itself by the Lambda API and by its URL in turns, up to
// the depth given, and answers where and why it ended.
const callsItself = `
import json, os, urllib.error, urllib.request
def handler(event, context):
    event = json.loads(event["body"]) if "body" in event else event
    if event["n"] >= event["most"]:
        return {"n": event["n"]}
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/2015-03-31/functions/loop/invocations")
    if event["n"] % 2:
        request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], headers={"Host": event["host"], "Content-Type": "application/json"})
    request.data = json.dumps({**event, "n": event["n"] + 1}).encode()
    try:
        return json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as e:
        return {"n": event["n"], "status": e.code, "type": e.headers["x-amzn-ErrorType"], "body": e.read().decode()}
`

// A function that calls itself is stopped the 17th time, whichever way it
// took, unless it may.
func TestLoopEnds(t *testing.T) {
	s := up(t)
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("loop"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		Timeout: aws.Int32(120), MemorySize: aws.Int32(512),
		Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": callsItself})},
	})
	url := strings.TrimSpace(s.mustCLI("url", "loop", "--create"))
	host := strings.Trim(strings.TrimPrefix(url, "http://"), "/")
	event := `{"n":1,"most":20,"host":"` + host + `"}`

	got := s.invoke("loop", event)
	for _, want := range []string{`"n": 16`, `"status": 400`, `"RecursiveInvocationException"`, `recursive loop`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for late := time.Now().Add(20 * time.Second); !strings.Contains(s.log.String(), "loop of invocations ended"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the operator's log tells nothing of it")
		}
	}

	_, err := s.sdk().PutFunctionRecursionConfig(t.Context(), &lambda.PutFunctionRecursionConfigInput{
		FunctionName: aws.String("loop"), RecursiveLoop: types.RecursiveLoopAllow,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.invoke("loop", event); !strings.Contains(got, `{"n": 20}`) {
		t.Errorf("a function that may loop: %s", got)
	}
	config, err := s.sdk().GetFunctionRecursionConfig(t.Context(), &lambda.GetFunctionRecursionConfigInput{FunctionName: aws.String("loop")})
	if err != nil || config.RecursiveLoop != types.RecursiveLoopAllow {
		t.Errorf("the configuration is %v (%v)", config, err)
	}
}
