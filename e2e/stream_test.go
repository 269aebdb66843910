package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// goStreamer is the package of the Go function that streams, built once.
var goStreamer struct {
	once sync.Once
	zip  []byte
}

// streamers are functions that stream in each language.
func streamers(t *testing.T) map[string]*lambda.CreateFunctionInput {
	file := func(name, as string) []byte {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return zipOf(t, map[string]string{as: string(text)})
	}
	function := func(runtime types.Runtime, handler string, zip []byte) *lambda.CreateFunctionInput {
		return &lambda.CreateFunctionInput{
			Runtime: runtime, Handler: aws.String(handler), Code: &types.FunctionCode{ZipFile: zip},
			Timeout: aws.Int32(120), MemorySize: aws.Int32(1769),
		}
	}
	goStreamer.once.Do(func() { goStreamer.zip = goPackage(t, "./testdata/gostream") })
	return map[string]*lambda.CreateFunctionInput{
		"node":   function(types.RuntimeNodejs20x, "index.handler", file("stream.mjs", "index.mjs")),
		"python": function(types.RuntimePython311, "app.handler", file("stream.py", "app.py")),
		"go":     function(types.RuntimeProvidedal2023, "bootstrap", goStreamer.zip),
	}
}

// createStreamer creates one of them, and a URL that streams.
func (s *server) createStreamer(name string, in *lambda.CreateFunctionInput) (url string) {
	s.t.Helper()
	in.FunctionName = &name
	s.create(in)
	out, err := s.sdk().CreateFunctionUrlConfig(s.t.Context(), &lambda.CreateFunctionUrlConfigInput{
		FunctionName: &name, AuthType: types.FunctionUrlAuthTypeNone, InvokeMode: types.InvokeModeResponseStream,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if out.InvokeMode != types.InvokeModeResponseStream {
		s.t.Errorf("the URL's mode is %s", out.InvokeMode)
	}
	return *out.FunctionUrl
}

// stream calls a function and returns what it streams, and how that ends.
func (s *server) stream(name, event string) (body string, last types.InvokeWithResponseStreamCompleteEvent) {
	s.t.Helper()
	out, err := s.sdk().InvokeWithResponseStream(s.t.Context(), &lambda.InvokeWithResponseStreamInput{
		FunctionName: &name, Payload: []byte(event), LogType: types.LogTypeTail,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	events := out.GetStream()
	defer events.Close()
	var text strings.Builder
	ended := false
	for event := range events.Events() {
		switch e := event.(type) {
		case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			text.Write(e.Value.Payload)
		case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			last, ended = e.Value, true
		}
	}
	if err := events.Err(); err != nil || !ended {
		s.t.Fatalf("%s: the stream broke off after %.100q: %v", event, text.String(), err)
	}
	return text.String(), last
}

// openURL requests a function URL by its host name.
func (s *server) openURL(ctx context.Context, url string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host, req.URL.Host = req.URL.Host, s.addr
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// TestStreams has a function of each language stream to each kind of caller,
// and fail before, in, and instead of its response.
func TestStreams(t *testing.T) {
	s := up(t)
	for name, in := range streamers(t) {
		t.Run(name, func(t *testing.T) {
			url := s.createStreamer(name, in)
			body, last := s.stream(name, `{}`)
			if !strings.HasPrefix(body, "first,") || last.ErrorCode != nil || last.LogResult == nil {
				t.Errorf("streamed %q, ended %+v", body, last)
			}
			if body := s.invoke(name, `{}`); !strings.HasPrefix(body, "first,") {
				t.Errorf("whole: %q", body)
			}
			for _, tt := range []struct{ fail, body, details string }{
				{"early", "", "early"},
				{"mid", "first,", "mid"},
				{"exit", "first,", "Runtime exited with error: exit status 3"},
			} {
				body, last := s.stream(name, `{"fail":"`+tt.fail+`"}`)
				if body != tt.body || aws.ToString(last.ErrorCode) != "Unhandled" || !strings.Contains(aws.ToString(last.ErrorDetails), tt.details) {
					t.Errorf("%s: %q, then %q %q", tt.fail, body, aws.ToString(last.ErrorCode), aws.ToString(last.ErrorDetails))
				}
			}
			s.checkStreamURL(url)
		})
	}
}

func (s *server) checkStreamURL(url string) {
	t := s.t
	t.Helper()
	resp := s.openURL(t.Context(), url+"?status=201")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 201 || resp.Header.Get("X-A") != "b" || resp.Header.Get("Content-Type") != "text/html" ||
		fmt.Sprint(resp.Header["Set-Cookie"]) != "[c=1 d=2]" || !strings.HasPrefix(string(body), "first,") || resp.ContentLength >= 0 {
		t.Errorf("URL: %s %v %q (%v)", resp.Status, resp.Header, body, err)
	}
	resp = s.openURL(t.Context(), url)
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || !strings.HasPrefix(string(body), "first,") ||
		resp.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("URL without a prelude: %s %v %q (%v)", resp.Status, resp.Header, body, err)
	}
	resp = s.openURL(t.Context(), url+"?fail=early")
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 502 || string(body) != "Internal Server Error" {
		t.Errorf("URL of a failure: %s %q", resp.Status, body)
	}
	resp = s.openURL(t.Context(), url+"?fail=mid")
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "first," || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("URL of a failure in between: %s %q, error %v", resp.Status, body, err)
	}
}

// The time limit ends a stream, in which the caller gets what came before.
func TestStreamTimeout(t *testing.T) {
	s := up(t)
	functions := streamers(t)
	delete(functions, "python") // is told of its end as Node is
	for name, in := range functions {
		in.Timeout = aws.Int32(1)
		url := s.createStreamer(name, in)
		s.stream(name, `{}`) // the next one need not start
		if name == "go" {
			body, last := s.stream(name, `{"fail":"hang"}`)
			if body != "first," || !strings.Contains(aws.ToString(last.ErrorDetails), "Task timed out after 1.00 seconds") {
				t.Errorf("%s: %q, then %q", name, body, aws.ToString(last.ErrorDetails))
			}
			continue
		}
		resp := s.openURL(t.Context(), url+"?fail=hang")
		if body, err := io.ReadAll(resp.Body); string(body) != "first," || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: URL: %q, error %v", name, body, err)
		}
	}
}

// A response arrives while the function writes it, the function waits for who
// reads it, and the server holds little of it.
func TestStreamBackPressure(t *testing.T) {
	s := up(t)
	const hold = 200 * time.Millisecond
	for name, in := range streamers(t) {
		url := s.createStreamer(name, in)
		mb := 24 // more than the buffers of connections and pipes
		if name == "node" {
			mb = 199
		}
		s.stream(name, `{}`)
		before := s.memory("VmRSS")
		s.forgetPeak()
		resp := s.openURL(t.Context(), fmt.Sprintf("%s?mb=%d", url, mb))
		first := make([]byte, len("first,"))
		if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first," {
			t.Fatalf("%s: %q (%v)", name, first, err)
		}
		read := time.Now()
		time.Sleep(hold) // is how long nobody reads
		last := &lastBytes{}
		n, err := io.Copy(last, resp.Body)
		if err != nil || n < int64(mb)<<20 {
			t.Fatalf("%s: %d bytes, %v", name, n, err)
		}
		_, at, _ := strings.Cut(string(last.tail), ",")
		if ms, err := strconv.ParseInt(at, 10, 64); err != nil || time.UnixMilli(ms).Before(read.Add(hold-time.Millisecond)) {
			t.Errorf("%s: all was written at %s, which is before it was read (%v)", name, at, err)
		}
		grown := s.memory("VmHWM") - before
		t.Logf("%s: %d MB, the server grew by %d MB", name, n>>20, grown>>20)
		if grown > 64<<20 {
			t.Errorf("%s: the server grew by %d MB", name, grown>>20)
		}
	}
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct{ tail []byte }

func (l *lastBytes) Write(p []byte) (int, error) {
	l.tail = append(l.tail, p[max(0, len(p)-32):]...)
	l.tail = append([]byte{}, l.tail[max(0, len(l.tail)-32):]...)
	return len(p), nil
}

// memory returns a figure of the server's status, in bytes.
func (s *server) memory(name string) int64 {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid()))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return kb << 10
		}
	}
	s.t.Fatalf("no %s in\n%s", name, text)
	return 0
}

// forgetPeak has the kernel begin anew with the server's VmHWM.
func (s *server) forgetPeak() {
	s.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.pid()), []byte("5"), 0); err != nil {
		s.t.Fatal(err)
	}
}

// A function goes on when its caller has left, as on Lambda.
func TestStreamWithoutReader(t *testing.T) {
	s := up(t)
	functions := streamers(t)
	delete(functions, "python") // writes as Node does
	for name, in := range functions {
		url := s.createStreamer(name, in)
		ctx, leave := context.WithCancel(t.Context())
		resp := s.openURL(ctx, url+"?mb=24")
		if _, err := io.ReadFull(resp.Body, make([]byte, 6)); err != nil {
			t.Fatal(err)
		}
		leave()
		for began := time.Now(); !strings.Contains(s.mustCLI("logs", name), "wrote it all"); {
			if time.Since(began) > time.Minute {
				t.Fatalf("%s did not go on:\n%s", name, s.mustCLI("logs", name))
			}
		}
	}
}

func TestBoto3Stream(t *testing.T) {
	need(t, "/usr/lib/python3/dist-packages/boto3", "python3-boto3")
	s := up(t)
	runClient(t, s, ".", "/usr/bin/python3", "testdata/boto3_stream.py", s.url())
}

func TestJavaScriptSDKStream(t *testing.T) {
	need(t, "sdk/node_modules/@aws-sdk/client-lambda", "npm ci in e2e/sdk")
	s := up(t)
	text, err := os.ReadFile("testdata/stream.mjs")
	if err != nil {
		t.Fatal(err)
	}
	runClient(t, s, "sdk", "/usr/bin/node", "stream.mjs", zipFile(t, map[string]string{"index.mjs": string(text)}))
}
