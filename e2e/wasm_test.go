package e2e

import (
	"context"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// wasmExamples are the examples that are WebAssembly modules.
var wasmExamples = []string{"wasm-c", "wasm-rust", "wasm-go-command", "wasm-go-reactor", "wasm-assemblyscript"}

// builtWasm builds the examples once, as `make examples-wasm` does. The
// directory has one for each of them.
var builtWasm = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(binary), "wasm")
	cmd := exec.Command("../examples/build-wasm.sh", dir)
	cmd.Stderr = os.Stderr
	return dir, cmd.Run()
})

// wasmModules returns the directory of the examples that are WebAssembly
// modules.
func wasmModules(t *testing.T) string {
	t.Helper()
	need(t, "/usr/bin/clang", "clang")
	need(t, "/usr/lib/wasm32-wasi/libc.a", "wasi-libc")
	need(t, "/usr/lib/rustlib/wasm32-unknown-unknown", "libstd-rust-dev-wasm32")
	need(t, "../examples/wasm-assemblyscript/node_modules/assemblyscript", "assemblyscript of npm, which `make setup-wasm` gets")
	dir, err := builtWasm()
	if err != nil {
		t.Fatalf("build the examples: %v", err)
	}
	return dir
}

// greeted fails the test unless an example greeted somebody.
func greeted(t *testing.T, answer string) {
	t.Helper()
	if !strings.Contains(answer, `"message":"Hello, A\"da!"`) {
		t.Errorf("it answered %s", answer)
	}
}

// Every example that is a WebAssembly module is deployed as its README says,
// called both ways, and its REPORT line tells the fuel that it burnt.
func TestWasmExamples(t *testing.T) {
	dir := wasmModules(t)
	s := up(t)
	for _, name := range wasmExamples {
		t.Run(name, func(t *testing.T) {
			s.mustCLI("deploy", filepath.Join(dir, name))
			for range 3 {
				greeted(t, s.mustCLI("invoke", name, "--payload", `{"name":"A\"da"}`))
			}
			url := strings.TrimSpace(s.mustCLI("url", name))
			if body := s.callURL(t, url+"?name=Bo"); !strings.Contains(body, `"message":"Hello, Bo!"`) {
				t.Errorf("the URL answered %s", body)
			}
			if report := s.report(t, name, `{"name":"A\"da"}`); !strings.Contains(report, "\tFuel: ") || !strings.Contains(report, "\tCPU Time: ") {
				t.Errorf("it reported %s", report)
			}
		})
	}
}

// report invokes a function and returns the REPORT line that its caller gets.
func (s *server) report(t *testing.T, name, event string) string {
	t.Helper()
	out, err := s.sdk().Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(event), LogType: types.LogTypeTail})
	if err != nil {
		s.t.Fatal(err)
	}
	greeted(t, string(out.Payload))
	tail, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if err != nil {
		s.t.Fatal(err)
	}
	_, report, _ := strings.Cut(string(tail), "REPORT RequestId: ")
	return report
}

// The same modules come by the AWS CLI: as the bootstrap of a provided runtime,
// as Terraform deploys them too, and with a runtime of their own.
func TestWasmByAWSCLI(t *testing.T) {
	need(t, "/usr/bin/aws", "awscli")
	dir := wasmModules(t)
	s := up(t)
	module, err := os.ReadFile(filepath.Join(dir, "wasm-rust", "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	for runtime, file := range map[string]string{"provided.al2023": "bootstrap", "wasm": "greet.wasm"} {
		t.Run(runtime, func(t *testing.T) {
			name := strings.ReplaceAll(runtime, ".", "-")
			zip := "fileb://" + zipFile(t, map[string]string{file: string(module)})
			s.awsCLI("lambda", "create-function", "--function-name", name, "--runtime", runtime, "--handler", file, "--role", role, "--zip-file", zip)
			s.awsCLI("lambda", "wait", "function-active-v2", "--function-name", name)
			answer := filepath.Join(t.TempDir(), "answer")
			said := s.awsCLI("lambda", "invoke", "--function-name", name, "--payload", `{"name":"A\"da"}`, "--cli-binary-format", "raw-in-base64-out", answer)
			if strings.Contains(said, "FunctionError") {
				t.Errorf("it failed: %s", said)
			}
			b, err := os.ReadFile(answer)
			if err != nil {
				t.Fatal(err)
			}
			greeted(t, string(b))
		})
	}
}

// awsCLI runs the AWS CLI against the server.
func (s *server) awsCLI(args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "/usr/bin/python3", append([]string{"/usr/bin/aws", "--endpoint-url", s.url()}, args...)...)
	cmd.Env = s.awsEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// A tenant's worker process is killed while two tenants' functions are under
// load. The one's requests that ran fail and say why, and its next ones
// succeed; the other sees nothing.
func TestWasmWorkerKilled(t *testing.T) {
	dir := wasmModules(t)
	module, err := os.ReadFile(filepath.Join(dir, "wasm-rust", "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	s := up(t, "--auth", "sigv4")
	var tenants [2]struct {
		client *lambda.Client
		worker process
		served atomic.Int64
		failed atomic.Int64
	}
	for i, account := range []string{"111111111111", "222222222222"} {
		s.withKeyOf(t, account)
		before := s.descendants()
		s.create(&lambda.CreateFunctionInput{
			FunctionName: aws.String("greet"), Runtime: "wasm", Handler: aws.String("bootstrap"),
			Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"bootstrap": string(module)})},
		})
		greeted(t, s.invoke("greet", `{"name":"A\"da"}`))
		tenants[i].client = s.sdk()
		tenants[i].worker = s.worker(t, before)
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range 8 {
		one := &tenants[i%2]
		load.Go(func() {
			for ctx.Err() == nil {
				out, err := one.client.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("greet"), Payload: []byte(`{}`)})
				switch {
				case ctx.Err() != nil:
				case err != nil || out.FunctionError != nil:
					one.failed.Add(1)
				default:
					one.served.Add(1)
				}
			}
		})
	}
	more := func() { // some more requests of each tenant are served
		for i := range tenants {
			for from := tenants[i].served.Load(); tenants[i].served.Load() < from+50 && t.Context().Err() == nil; {
				time.Sleep(time.Millisecond)
			}
		}
	}
	more()
	if err := syscall.Kill(tenants[0].worker.pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	more()
	stop()
	load.Wait()
	if n := tenants[1].failed.Load(); n > 0 {
		t.Errorf("%d requests of the other tenant failed", n)
	}
	if left := alive(t, []process{tenants[0].worker, tenants[1].worker}); len(left) != 1 || left[0].pid != tenants[1].worker.pid {
		t.Errorf("of the workers %q are left", describe(left))
	}
	t.Logf("%d requests of the one tenant failed, of %d", tenants[0].failed.Load(), tenants[0].failed.Load()+tenants[0].served.Load())
}

// worker returns the only process that runs a tenant's modules and was not
// there before.
func (s *server) worker(t *testing.T, before []process) (found process) {
	t.Helper()
	known := map[int]bool{}
	for _, p := range before {
		known[p.pid] = true
	}
	n := 0
	for _, p := range s.descendants() {
		if !known[p.pid] && strings.Contains(p.command, "millicent-wasm") {
			found = p
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%d workers have come: %q", n, describe(s.descendants()))
	}
	return found
}
