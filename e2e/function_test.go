package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Every example is deployed as its README says, and called both ways. Those that
// are WebAssembly modules are built first: see TestWasmInspect; those of the
// built-in JavaScript are in TestJavaScript.
func TestExamples(t *testing.T) {
	s := up(t)
	entries, err := os.ReadDir("../examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), "wasm-") || strings.HasPrefix(e.Name(), "js-") || strings.HasPrefix(e.Name(), "ts-") {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			s.mustCLI("deploy", "../examples/"+e.Name())
			out := s.mustCLI("invoke", e.Name(), "--payload", `{"name":"tester"}`)
			if !strings.Contains(out, "tester") {
				t.Errorf("invoke answered %s", out)
			}
			url := strings.TrimSpace(s.mustCLI("url", e.Name()))
			if body := s.callURL(t, url+"?name=tester"); !strings.Contains(body, "tester") {
				t.Errorf("URL answered %s", body)
			}
			s.mustCLI("delete", e.Name(), "--yes")
			if _, _, err := s.cli("invoke", e.Name()); err == nil {
				t.Error("the deleted function still answers")
			}
		})
	}
}

// callURL calls a function URL by its host name, without needing DNS for it.
func (s *server) callURL(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host, req.URL.Host = req.URL.Host, s.addr
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", url, resp.Status, body)
	}
	return string(body)
}

const callsAnother = `
import os, json, boto3
from botocore.config import Config
def handler(event, context):
    client = boto3.client("lambda", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=Config(retries={"max_attempts": 0}))
    if event.get("delete"):
        try:
            client.delete_function(FunctionName=event["delete"])
            return "deleted"
        except client.exceptions.ClientError as e:
            return e.response["Error"]["Code"]
    answer = client.invoke(FunctionName=event["call"], Payload=json.dumps(event["with"]))
    return {"inner": json.load(answer["Payload"])}
`

// A function invokes another with an SDK, the endpoint and the credentials
// that it was given; it may not do more than that.
func TestFunctionInvokesFunction(t *testing.T) {
	need(t, "/usr/lib/python3/dist-packages/boto3", "python3-boto3")
	for _, mode := range []string{"none", "sigv4"} {
		t.Run("auth "+mode, func(t *testing.T) {
			s := up(t, "--auth", mode)
			s.withKey(t)
			for name, code := range map[string]string{"inner": pythonEcho, "outer": callsAnother} {
				s.create(&lambda.CreateFunctionInput{
					FunctionName: &name, Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
					Timeout: aws.Int32(30), MemorySize: aws.Int32(1769),
					Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": code})},
				})
			}
			var got struct{ Inner struct{ Nonce string } }
			out := s.invoke("outer", `{"call":"inner","with":{"nonce":"nested","sleep":0}}`)
			if err := json.Unmarshal([]byte(out), &got); err != nil || got.Inner.Nonce != "nested" {
				t.Errorf("got %s (%v)", out, err)
			}
			if got := s.invoke("outer", `{"delete":"inner"}`); !strings.Contains(got, "AccessDenied") {
				t.Errorf("a function's credentials deleted a function: %s", got)
			}
		})
	}
}
