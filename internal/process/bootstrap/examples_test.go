package bootstrap

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The hello functions answer plain events and HTTP requests alike.
func TestExamples(t *testing.T) {
	tests := []struct{ runtime, handler, file string }{
		{"python3.11", "app.handler", "python-hello/app.py"},
		{"nodejs20.x", "index.handler", "node-hello/index.mjs"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			source, err := os.ReadFile(filepath.Join("../../../examples", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			f := start(t, program{runtime: tt.runtime, handler: tt.handler, files: map[string]string{filepath.Base(tt.file): string(source)}})
			for event, want := range map[string]string{`{}`: "Hello, world!", `{"name":"Ada"}`: "Hello, Ada!"} {
				var got struct{ Message string }
				if err := json.Unmarshal([]byte(f.respond(event)), &got); err != nil || got.Message != want {
					t.Errorf("event %s: message %q, %v; want %q", event, got.Message, err, want)
				}
			}
			var got struct {
				StatusCode int
				Body       string
			}
			body := f.respond(`{"version":"2.0","requestContext":{"http":{"method":"GET","path":"/hi"}},"queryStringParameters":{"name":"Ada"}}`)
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			if got.StatusCode != 200 || !strings.Contains(got.Body, "Hello, Ada!") || !strings.Contains(got.Body, "/hi") {
				t.Errorf("request: %s", body)
			}
		})
	}
}
