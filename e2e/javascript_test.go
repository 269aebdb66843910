package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// TestJavaScript deploys the examples of the built-in JavaScript, and one that
// is broken: in worker processes, and in the server's own.
func TestJavaScript(t *testing.T) {
	for name, args := range map[string][]string{"in a worker": nil, "in the server": {"--wasm-in-process"}} {
		t.Run(name, func(t *testing.T) {
			s := up(t, args...)
			for _, example := range []string{"js-hello", "ts-hello"} {
				s.mustCLI("deploy", "../examples/"+example, "--runtime", "javascript", "--env", "COLOUR=blue")
				for range 3 {
					if out := s.mustCLI("invoke", example, "--payload", `{"name":"tester"}`); !strings.Contains(out, `"Hello tester"`) {
						t.Errorf("%s answered %s", example, out)
					}
				}
				url := strings.TrimSpace(s.mustCLI("url", example))
				if body := s.callURL(t, url+"?name=somebody"); !strings.Contains(body, `"Hello somebody"`) {
					t.Errorf("the URL of %s answered %s", example, body)
				}
			}
			out, errOut, err := s.cli("invoke", "ts-hello", "--payload", `{"name":""}`)
			if err == nil || !strings.Contains(out+errOut, "RangeError") || !strings.Contains(out+errOut, "/var/task/greet.ts:4:") {
				t.Errorf("a handler that throws answered %s, %s, %v", out, errOut, err)
			}
			broken := filepath.Join(t.TempDir(), "broken")
			if err := os.MkdirAll(broken, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(broken, "index.ts"), []byte("export const handler = () => {\n  let a: = 1;\n};\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			out, errOut, err = s.cli("deploy", broken, "--runtime", "javascript")
			if err == nil || !strings.Contains(out+errOut, "Runtime.UserCodeSyntaxError") || !strings.Contains(out+errOut, "index.ts:2:10") {
				t.Errorf("deploying broken source answered %s, %s, %v", out, errOut, err)
			}
			_, err = s.sdk().Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("broken")})
			if conflict := new(types.ResourceConflictException); !errors.As(err, &conflict) || !strings.Contains(conflict.ErrorMessage(), "Failed") {
				t.Errorf("invoking broken source answered %v", err)
			}
		})
	}
}

// TestCompiledBeforeActive: what is Active has been compiled, and a server that
// was killed between the two goes on where it was.
func TestCompiledBeforeActive(t *testing.T) {
	s := up(t)
	for i, kill := range []bool{false, true} {
		name := fmt.Sprintf("compiled-%d", i)
		_, err := s.sdk().CreateFunction(t.Context(), &lambda.CreateFunctionInput{
			FunctionName: &name, Runtime: "javascript", Handler: aws.String("index.handler"), Role: aws.String(role),
			Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"index.js": "export const handler = () => 'answered by " + name + "'"})},
		})
		if err != nil {
			t.Fatal(err)
		}
		if kill {
			s.kill()
			s.start()
		}
		s.waitActive(name)
		e, text := s.explained(s.request(name, `{}`))
		if start := e.Delay.Start; start.Cause == "" || !start.Compiled {
			t.Errorf("%s: got %+v, want a start from what was compiled\n%s", name, start, text)
		}
	}
}
