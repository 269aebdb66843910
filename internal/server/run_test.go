package server

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// instance is a running server.
type instance struct {
	addr   string
	data   string
	log    *lockedBuffer
	cancel context.CancelFunc
	done   chan error
}

// lockedBuffer collects a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a server until the test ends or stop is called.
func start(t testing.TB, cfg Config) *instance {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: sandboxes with limits")
	}
	s := &instance{data: cfg.Data, log: &lockedBuffer{}, done: make(chan error, 1)}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	cfg.Log = slog.New(slog.NewTextHandler(s.log, nil))
	ready := make(chan string, 1)
	cfg.Ready = func(addr string) { ready <- addr }
	go func() { s.done <- Run(ctx, cfg) }()
	select {
	case s.addr = <-ready:
	case err := <-s.done:
		s.cancel()
		t.Fatalf("start: %v\n%s", err, s.log)
	}
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("server's log:\n%s", s.log)
		}
	})
	return s
}

// stop stops the server cleanly; once more does nothing.
func (s *instance) stop(t testing.TB) {
	t.Helper()
	if s.cancel == nil {
		return
	}
	s.cancel()
	s.cancel = nil
	if err := <-s.done; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func (s *instance) client() *lambda.Client {
	return lambda.New(lambda.Options{
		BaseEndpoint: aws.String("http://" + s.addr), Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

// echo is a function that answers with its event, and sleeps first when the
// event says so.
const echo = `#!/bin/sh
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while :; do
	h=/tmp/headers
	event=$(curl -sS -D $h "$api/next")
	id=$(grep -i '^lambda-runtime-aws-request-id' $h | tr -d '\r' | cut -d' ' -f2)
	case $event in *slow*) echo started >&2; sleep 2 ;; *endless*) sleep 100 ;; esac
	curl -sS -d "$event" "$api/$id/response" >/dev/null
done
`

func zipped(t testing.TB, script string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	h := &zip.FileHeader{Name: "bootstrap"}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, script); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// deploy creates a function and waits until it is Active.
func deploy(t testing.TB, c *lambda.Client, name, script string) {
	t.Helper()
	_, err := c.CreateFunction(context.Background(), &lambda.CreateFunctionInput{
		FunctionName: &name, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Role: aws.String("arn:aws:iam::000000000000:role/r"), Timeout: aws.Int32(60),
		Code: &types.FunctionCode{ZipFile: zipped(t, script)},
	})
	if err != nil {
		t.Fatal(err)
	}
	wait := lambda.NewFunctionActiveV2Waiter(c, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 50 * time.Millisecond })
	if err := wait.Wait(context.Background(), &lambda.GetFunctionInput{FunctionName: &name}, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func call(t testing.TB, c *lambda.Client, name, event string) string {
	t.Helper()
	out, err := c.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(event)})
	if err != nil {
		t.Fatal(err)
	}
	if out.FunctionError != nil {
		t.Fatalf("%s: %s", *out.FunctionError, out.Payload)
	}
	return string(out.Payload)
}

// get requests a URL, with another Host header when host is not empty.
func get(t testing.TB, url, host string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestLife deploys, invokes, calls by URL, restarts, and finds all there.
func TestLife(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := start(t, Config{Data: data})
	c := s.client()
	deploy(t, c, "fn", echo)
	if got := call(t, c, "fn", `{"n":1}`); got != `{"n":1}` {
		t.Errorf("invoke: got %s", got)
	}
	u, err := c.CreateFunctionUrlConfig(t.Context(), &lambda.CreateFunctionUrlConfigInput{FunctionName: aws.String("fn"), AuthType: types.FunctionUrlAuthTypeNone})
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(*u.FunctionUrl, "http://"), "/")
	id, _, _ := strings.Cut(host, ".")
	check := func(s *instance, c *lambda.Client) {
		t.Helper()
		for _, at := range [][2]string{{"http://" + s.addr + "/_url/" + id + "/a%2Fb?c=d", ""}, {"http://" + s.addr + "/a%2Fb?c=d", host}} {
			status, body := get(t, at[0], at[1])
			var event struct{ RawPath, RawQueryString string }
			if err := json.Unmarshal([]byte(body), &event); err != nil || status != 200 || event.RawPath != "/a%2Fb" || event.RawQueryString != "c=d" {
				t.Errorf("%v: %d %s", at, status, body)
			}
		}
		if got := call(t, c, "fn", `"again"`); got != `"again"` {
			t.Errorf("invoke: got %s", got)
		}
		f, err := c.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("fn")})
		if err != nil {
			t.Fatal(err)
		}
		status, body := get(t, *f.Code.Location, "")
		if status != 200 || body != string(zipped(t, echo)) {
			t.Errorf("code by its link: %d, %d bytes", status, len(body))
		}
	}
	check(s, c)
	secret, err := os.ReadFile(filepath.Join(data, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	s.stop(t)
	if _, err := os.Stat(filepath.Join(data, "admin.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the admin socket is left: %v", err)
	}

	s = start(t, Config{Data: data})
	check(s, s.client())
	if again, err := os.ReadFile(filepath.Join(data, "secret")); err != nil || !bytes.Equal(secret, again) {
		t.Errorf("the secret changed, error %v", err)
	}
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("log:\n%s", s.log)
	}
}

// TestDrain stops the server while a function runs, whose answer must come.
func TestDrain(t *testing.T) {
	s := start(t, Config{Data: t.TempDir()})
	c := s.client()
	deploy(t, c, "fn", echo)
	call(t, c, "fn", `"warm"`)
	answer := make(chan string, 1)
	go func() { answer <- call(t, c, "fn", `"slow"`) }()
	waitFor(t, func() bool { return strings.Contains(logsOf(t, s, "fn"), "started") })
	s.stop(t)
	if got := <-answer; got != `"slow"` {
		t.Errorf("got %s", got)
	}
}

// TestAbort stops the server without patience.
func TestAbort(t *testing.T) {
	abort := make(chan struct{})
	s := start(t, Config{Data: t.TempDir(), Abort: abort})
	c := s.client()
	deploy(t, c, "fn", echo)
	failed := make(chan error, 1)
	go func() {
		_, err := c.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: aws.String("fn"), Payload: []byte(`"endless"`)},
			func(o *lambda.Options) { o.RetryMaxAttempts = 1 })
		failed <- err
	}()
	waitFor(t, func() bool { return strings.Contains(logsOf(t, s, "fn"), "START RequestId") })
	close(abort)
	begin := time.Now()
	s.stop(t)
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	if err := <-failed; err == nil {
		t.Error("the endless invocation was answered")
	}
}

// waitFor polls a condition of the world outside this process.
func waitFor(t testing.TB, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if met() {
			return
		}
	}
	t.Fatal("not within 30 s")
}

func logsOf(t testing.TB, s *instance, function string) string {
	t.Helper()
	_, body := get(t, "http://"+s.addr+"/_millicent/logs?function="+function, "")
	return body
}

func TestRefusals(t *testing.T) {
	s := start(t, Config{Data: t.TempDir()})
	data := t.TempDir()
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"port in use": {Config{Data: data, Listen: s.addr}, "the address " + s.addr + " is in use"},
		"bad account": {Config{Data: data, Account: "x"}, "twelve digits"},
		"other files": {Config{Data: "/usr", Listen: "127.0.0.1:0"}, "not a data directory"},
	} {
		c.cfg.Log = slog.New(slog.DiscardHandler)
		if err := Run(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestInterruptedStart stops before the start is over: no failure.
func TestInterruptedStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Ready: func(string) { t.Error("ready all the same") },
	}
	if err := Run(ctx, cfg); err != nil {
		t.Error(err)
	}
}

func TestSecondOnData(t *testing.T) {
	data := t.TempDir()
	s := start(t, Config{Data: data})
	err := Run(t.Context(), Config{Data: data, Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "is in use by another millicent server") {
		t.Errorf("got %v", err)
	}
	if status, _ := get(t, "http://"+s.addr+"/_millicent/health", ""); status != 200 {
		t.Errorf("the first one answers %d", status)
	}
}

// TestNothingOutlivesRun counts goroutines and descriptors before and after,
// with work and followers in between.
func TestNothingOutlivesRun(t *testing.T) {
	data := t.TempDir()
	cycle := func() {
		s := start(t, Config{Data: data})
		c := s.client()
		if _, err := c.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("fn")}); err != nil {
			deploy(t, c, "fn", echo)
		}
		call(t, c, "fn", "1")
		resp, err := http.Get("http://" + s.addr + "/_millicent/logs?function=fn&follow=1")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		s.stop(t)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Errorf("the follower's end: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	}
	cycle() // what is made once per process is made now
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for range 3 {
		cycle()
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= goroutines && descriptors(t) <= files })
	if g, f := runtime.NumGoroutine(), descriptors(t); g > goroutines || f > files {
		t.Errorf("goroutines %d, were %d; descriptors %d, were %d", g, goroutines, f, files)
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// admin returns an HTTP client on the admin socket.
func (s *instance) admin() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.data, "admin.sock"))
		},
	}}
}

func TestAdminSocket(t *testing.T) {
	data := t.TempDir()
	s := start(t, Config{Data: data, Auth: AuthSigV4})
	sock := filepath.Join(data, "admin.sock")
	if info, err := os.Stat(sock); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if status, body := get(t, "http://"+s.addr+"/_millicent/keys", ""); status != 403 {
		t.Errorf("unsigned by TCP: %d %s", status, body)
	}
	resp, err := s.admin().Post("http://admin/_millicent/keys", "application/json", strings.NewReader(`{"tenant":"123456789012"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var key struct{ ID, Secret, Tenant string }
	if err := json.NewDecoder(resp.Body).Decode(&key); err != nil || key.Secret == "" || key.Tenant != "123456789012" {
		t.Fatalf("key %+v, error %v", key, err)
	}
	c := lambda.New(lambda.Options{
		BaseEndpoint: aws.String("http://" + s.addr), Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, nil
		}),
	})
	if _, err := c.ListFunctions(t.Context(), &lambda.ListFunctionsInput{}); err != nil {
		t.Errorf("signed with the key: %v", err)
	}
	if strings.Contains(s.log.String(), key.Secret) {
		t.Error("the secret is in the log")
	}
}
