package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// nodeEcho answers its version and event, in that order.
const nodeEcho = `exports.handler = async (event, context) => ({ version: context.functionVersion, event });`

const role = "arn:aws:iam::000000000000:role/r"

// runClient runs a client program against the server; it has to print ok.
func runClient(t *testing.T, s *server, dir string, argv ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = s.awsEnv()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "ok") {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

func need(t *testing.T, path, pkg string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not installed (package %s)", path, pkg)
	}
}

func TestBoto3(t *testing.T) {
	need(t, "/usr/lib/python3/dist-packages/boto3", "python3-boto3")
	s := up(t)
	runClient(t, s, ".", "/usr/bin/python3", "testdata/boto3_lifecycle.py", s.url())
}

func TestAWSCLI(t *testing.T) {
	need(t, "/usr/bin/aws", "awscli")
	s := up(t)
	runClient(t, s, ".", "testdata/awscli_lifecycle.sh", s.url(), zipFile(t, map[string]string{"index.js": nodeEcho}))
}

func TestJavaScriptSDK(t *testing.T) {
	need(t, "sdk/node_modules/@aws-sdk/client-lambda", "npm ci in e2e/sdk")
	s := up(t)
	runClient(t, s, "sdk", "/usr/bin/node", "lifecycle.mjs", zipFile(t, map[string]string{"index.js": nodeEcho}))
}

// sdk returns a client of the server; it does not retry.
func (s *server) sdk() *lambda.Client {
	return lambda.New(lambda.Options{
		BaseEndpoint: aws.String(s.url()),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider(s.keyID, s.keySecret, ""),
		Retryer:      aws.NopRetryer{},
		HTTPClient:   s.client,
	})
}

// create makes a function and waits until it is active.
func (s *server) create(in *lambda.CreateFunctionInput) {
	s.t.Helper()
	if in.Role == nil {
		in.Role = aws.String(role)
	}
	if _, err := s.sdk().CreateFunction(s.t.Context(), in); err != nil {
		s.t.Fatal(err)
	}
	s.waitActive(*in.FunctionName)
}

func (s *server) waitActive(name string) {
	s.t.Helper()
	w := lambda.NewFunctionActiveV2Waiter(s.sdk(), func(o *lambda.FunctionActiveV2WaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, time.Second
	})
	if err := w.Wait(s.t.Context(), &lambda.GetFunctionInput{FunctionName: &name}, time.Minute); err != nil {
		s.t.Fatal(err)
	}
}

// invoke calls a function that has to succeed and returns its answer.
func (s *server) invoke(name, event string) string {
	s.t.Helper()
	out, err := s.sdk().Invoke(s.t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(event)})
	if err != nil {
		s.t.Fatal(err)
	}
	if out.FunctionError != nil {
		s.t.Fatalf("%s failed: %s: %s", name, *out.FunctionError, out.Payload)
	}
	return string(out.Payload)
}

func TestGoSDKAndGoHandler(t *testing.T) {
	s := up(t)
	client, ctx := s.sdk(), t.Context()
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("go"),
		Runtime:      types.RuntimeProvidedal2023,
		Handler:      aws.String("bootstrap"),
		Code:         &types.FunctionCode{ZipFile: goPackage(t, "./testdata/gohandler")},
		Environment:  &types.Environment{Variables: map[string]string{"GREETING": "hello"}},
	})
	var got map[string]any
	if err := json.Unmarshal([]byte(s.invoke("go", `{"name":"you"}`)), &got); err != nil {
		t.Fatal(err)
	}
	want := "hello you from go:$LATEST"
	if got["text"] != want {
		t.Errorf("got %v, want %q", got, want)
	}

	failed, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("go"), Payload: []byte(`{"name":"fail"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(failed.FunctionError) != "Unhandled" || string(failed.Payload) != `{"errorMessage":"told to fail","errorType":"errorString"}` {
		t.Errorf("got %q %s", aws.ToString(failed.FunctionError), failed.Payload)
	}

	updated, err := client.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("go"),
		Environment:  &types.Environment{Variables: map[string]string{"GREETING": "bye"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := lambda.NewFunctionUpdatedV2Waiter(client, func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = 50 * time.Millisecond })
	if err := w.Wait(ctx, &lambda.GetFunctionInput{FunctionName: updated.FunctionArn}, time.Minute); err != nil {
		t.Fatal(err)
	}
	version, err := client.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: aws.String("go")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateAlias(ctx, &lambda.CreateAliasInput{
		FunctionName: aws.String("go"), Name: aws.String("live"), FunctionVersion: version.Version,
	}); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(s.invoke("go:live", `{"name":"you"}`)), &got); err != nil {
		t.Fatal(err)
	}
	if want := "bye you from go:1"; got["text"] != want {
		t.Errorf("got %v, want %q", got, want)
	}
	if _, err := client.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: aws.String("go")}); err != nil {
		t.Fatal(err)
	}
}
