package server

import (
	"archive/zip"
	"bytes"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millicent-run/millicent"
)

// BenchmarkInvoke invokes warm functions behind the API, as the API does, one
// at a time and eight, and reports the processor time that an invocation takes
// of this process.
func BenchmarkInvoke(b *testing.B) {
	s, c := built(b, Config{Data: b.TempDir(), Egress: "none"})
	for _, f := range []struct{ name, runtime, file, text string }{
		{"python", "python3.11", "app.py", "def handler(event, context):\n    return event\n"},
		{"node", "nodejs20.x", "app.mjs", "export const handler = async (event) => event\n"},
	} {
		deployCode(b, c, f.name, f.runtime, f.file, f.text)
		for _, callers := range []int{1, 8} {
			b.Run(f.name+"/"+string(rune('0'+callers)), func(b *testing.B) { invokeWarm(b, s, f.name, callers) })
		}
	}
}

// built is a server that lives as long as the benchmark.
func built(b *testing.B, cfg Config) (*server, *lambda.Client) {
	b.Helper()
	cfg.Listen, cfg.Log = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	cfg, err := cfg.complete()
	if err != nil {
		b.Fatal(err)
	}
	slack := make([]byte, heapSlack)
	s := &server{cfg: cfg, log: cfg.Log, begin: time.Now(), launches: make(chan struct{})}
	if err := s.build(b.Context()); err != nil {
		b.Fatal(s.abandon(err))
	}
	b.Cleanup(func() {
		if err := s.abandon(nil); err != nil {
			b.Error(err)
		}
		clear(slack[:1])
	})
	return s, (&instance{addr: s.listeners.address()}).client()
}

func deployCode(b *testing.B, c *lambda.Client, name, runtime, file, text string) {
	b.Helper()
	var code bytes.Buffer
	w := zip.NewWriter(&code)
	f, err := w.Create(file)
	if err == nil {
		_, err = io.WriteString(f, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	_, err = c.CreateFunction(b.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, Runtime: types.Runtime(runtime), Handler: aws.String("app.handler"), MemorySize: aws.Int32(1769),
		Role: aws.String("arn:aws:iam::000000000000:role/r"), Code: &types.FunctionCode{ZipFile: code.Bytes()},
	})
	if err != nil {
		b.Fatal(err)
	}
	call(b, c, name, "{}")
}

func invokeWarm(b *testing.B, s *server, name string, callers int) {
	event := []byte(`{"key1":"value1","key2":"value2","key3":"value3"}`)
	before := processorTime(b)
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for n := i; n < b.N; n += callers {
				res, err := s.invoker.Invoke(b.Context(), &millicent.Invocation{Tenant: s.cfg.Account, Function: name, Event: event})
				if err != nil || res.FunctionError != "" {
					b.Errorf("got %+v, %v", res, err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}
