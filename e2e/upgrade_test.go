package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
)

// upgradeData is a data directory that an earlier server wrote and was killed
// upon: for where there is no history to build that server from. What has an
// age in it is too old by now. To write it anew:
//
//	MILLICENT_BINARY=EARLIER MILLICENT_WRITE_UPGRADE=1 go test ./e2e -run TestUpgrade
const upgradeData = "testdata/upgrade.tar.gz"

// earlier builds the server of the commit before; empty where there is none.
func earlier(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run := func(name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s %s: %w\n%s", name, args, err, out)
		}
		return err
	}
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := run("git", "-C", repository, "archive", "--format=tar", "-o", filepath.Join(dir, "source.tar"), "HEAD^"); err != nil {
		t.Logf("no history, so a directory that was kept is taken: %v", err)
		return ""
	}
	for _, step := range [][]string{
		{"tar", "-xf", "source.tar"},
		{"go", "build", "-trimpath", "-ldflags=-s -w", "-o", "internal/sandbox/helper/init", "./internal/sandbox/init"},
		{"go", "build", "-trimpath", "-ldflags=-s -w", "-o", "earlier", "./cmd/millicent"},
	} {
		if err := run(step[0], step[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "earlier")
}

// earlierData returns a data directory that an earlier server left, and whether
// its events and messages are too old to run.
func earlierData(t *testing.T) (dir string, aged bool) {
	t.Helper()
	server := earlier(t)
	if server == "" {
		dir = t.TempDir()
		if out, err := exec.Command("tar", "-C", dir, "-xzf", upgradeFile(t)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return dir, true
	}
	current := binary
	defer func() { binary = current }()
	binary = server
	s := up(t)
	fillUpgrade(t, s)
	return s.data, false
}

// upgradeParts are what is kept of a data directory: what is durable.
var upgradeParts = []string{"standalone", "packages/format.json", "packages/zip", "messages", "secret"}

const upgradeEvents = 5

// fillUpgrade leaves a bit of everything in a server and kills it.
func fillUpgrade(t *testing.T, s *server) {
	ctx := t.Context()
	s.queue("ran")
	done := s.queue("done")
	s.createTelling("told")
	s.createPython("moody")
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.sdk().PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: aws.String("told")}))
	must(s.sdk().CreateAlias(ctx, &lambda.CreateAliasInput{FunctionName: aws.String("told"), Name: aws.String("live"), FunctionVersion: aws.String("1")}))
	must(s.sdk().CreateFunctionUrlConfig(ctx, &lambda.CreateFunctionUrlConfigInput{FunctionName: aws.String("told"), AuthType: types.FunctionUrlAuthTypeNone}))
	// A dead letter, and a message of each kind of queue.
	s.configureEvents("moody", "", "")
	s.sendEvent("moody", `{"fail":true}`)
	for !strings.Contains(s.mustCLI("dlq", "list", "--json"), "RetriesExhausted") {
		time.Sleep(20 * time.Millisecond)
	}
	create := func(name string, attributes map[string]string) {
		s.mustSQS("CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes}, &struct{}{})
	}
	create("q", map[string]string{"VisibilityTimeout": "77"})
	create("q.fifo", map[string]string{"FifoQueue": "true"})
	create("in", map[string]string{"VisibilityTimeout": "60"})
	s.mustSQS("SendMessage", map[string]any{"QueueUrl": "/000000000000/q", "MessageBody": "one"}, &struct{}{})
	s.mustSQS("SendMessage", map[string]any{"QueueUrl": "/000000000000/q.fifo", "MessageBody": "two", "MessageGroupId": "g", "MessageDeduplicationId": "d"}, &struct{}{})
	must(s.sdk().CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("told"), EventSourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:in")}))
	s.schedule("nightly", "cron(0 3 * * ? *)", done, "night", nil)
	// Events that are not done with when the server is killed, one of them in
	// a file.
	must(s.sdk().PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("moody"), ReservedConcurrentExecutions: aws.Int32(1)}))
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("slow"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), MemorySize: aws.Int32(256), Timeout: aws.Int32(30),
		Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": "import time\ndef handler(e, c):\n    time.sleep(2)\n    return {}\n"})},
	})
	s.configureEvents("slow", done, "")
	for i := range upgradeEvents {
		event := `{}`
		if i == 0 {
			event = `{"padding":"` + strings.Repeat("x", 300<<10) + `"}`
		}
		s.sendEvent("slow", event)
	}
	s.kill()
}

// writeUpgrade writes upgradeData with the binary under test.
func writeUpgrade(t *testing.T) {
	t.Helper()
	s := up(t)
	fillUpgrade(t, s)
	args := append([]string{"-C", s.data, "-czf", upgradeFile(t)}, upgradeParts...)
	if out, err := exec.Command("tar", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func upgradeFile(t *testing.T) string {
	t.Helper()
	name, err := filepath.Abs(upgradeData)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// What an earlier server left is there, and runs: functions, versions, aliases,
// URLs, packages, queues and their messages, mappings, schedules, events and
// dead letters.
func TestUpgrade(t *testing.T) {
	if os.Getenv("MILLICENT_WRITE_UPGRADE") != "" {
		writeUpgrade(t)
		return
	}
	ctx := t.Context()
	data, aged := earlierData(t)
	s := upOn(t, data)
	if aged {
		for strings.Count(s.mustCLI("dlq", "list", "slow", "--json"), "EventAgeExceeded") != upgradeEvents {
			time.Sleep(20 * time.Millisecond)
		}
	} else {
		s.upgradedWork(t)
	}
	out, err := s.sdk().Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("told"), Qualifier: aws.String("live")})
	if err != nil || *out.ExecutedVersion != "1" || string(out.Payload) != `{"done": true}` {
		t.Errorf("the alias: %+v (%v)", out, err)
	}
	s.await("ran")
	s.mustSQS("SendMessage", map[string]any{"QueueUrl": "/000000000000/in", "MessageBody": "mapped"}, &struct{}{})
	if m := s.await("ran"); !strings.Contains(*m.Body, "mapped") {
		t.Errorf("the mapping ran %s", *m.Body)
	}
	s.upgradedURL(t)
	if letters := s.mustCLI("dlq", "list", "moody", "--json"); strings.Count(letters, "RetriesExhausted") != 1 {
		t.Errorf("dead letters %s", letters)
	}
	s.mustCLI("dlq", "replay", "moody", "--all")
	got, err := s.schedules().GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String("nightly")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.schedules().UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
		Name: got.Name, ScheduleExpression: aws.String(soon(1)), FlexibleTimeWindow: got.FlexibleTimeWindow, Target: got.Target})
	if err != nil {
		t.Fatal(err)
	}
	if m := s.await("done"); *m.Body != "night" {
		t.Errorf("the schedule sent %s", *m.Body)
	}
}

// upgradedWork waits for what was accepted before.
func (s *server) upgradedWork(t *testing.T) {
	t.Helper()
	for range upgradeEvents {
		if r := s.receiveRecord("done"); r.RequestContext.Condition != "Success" || !strings.Contains(r.RequestContext.FunctionARN, "slow") {
			t.Errorf("an event ended as %+v", r)
		}
	}
	for queue, want := range map[string]string{"q": "one", "q.fifo": "two"} {
		if m := s.await(queue); *m.Body != want {
			t.Errorf("%s has %q", queue, *m.Body)
		}
	}
}

// upgradedURL calls the function's URL, which is what it was.
func (s *server) upgradedURL(t *testing.T) {
	t.Helper()
	config, err := s.sdk().GetFunctionUrlConfig(t.Context(), &lambda.GetFunctionUrlConfigInput{FunctionName: aws.String("told")})
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(*config.FunctionUrl, "http://"), "/")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url()+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the URL %s: %s", *config.FunctionUrl, resp.Status)
	}
	s.await("ran")
}
