package invoke

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/scheduler"
)

// calls is a sink that writes down what it gets.
type calls []string

func (c *calls) Begin(version, contentType string) {
	*c = append(*c, "begin "+version+" "+contentType)
}

func (c *calls) Write(_ context.Context, p []byte) error {
	*c = append(*c, string(p))
	return nil
}

// All that a function answers goes to the sink, however it does, and is in the
// record of its use.
func TestSinks(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error)
		calls calls
		res   millicent.Result
		out   int64
	}{
		{
			"a stream", func(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
				inv.Sink.Begin("1", "a/b")
				err := inv.Sink.Write(ctx, []byte("part"))
				return &millicent.Result{Streamed: true, Usage: millicent.Usage{Streamed: 4}}, err
			}, calls{"begin 1 a/b", "part"}, millicent.Result{Streamed: true}, 4,
		},
		{
			"one piece", func(context.Context, *millicent.Invocation) (*millicent.Result, error) {
				return &millicent.Result{Payload: []byte("piece"), ContentType: "a/b"}, nil
			}, calls{"begin 1 a/b", "piece"}, millicent.Result{Streamed: true, ContentType: "a/b"}, 5,
		},
		{
			"nothing", func(context.Context, *millicent.Invocation) (*millicent.Result, error) {
				return &millicent.Result{}, nil
			}, calls{"begin 1 "}, millicent.Result{Streamed: true}, 0,
		},
		{
			"a failure", func(context.Context, *millicent.Invocation) (*millicent.Result, error) {
				return &millicent.Result{Payload: []byte("{}"), FunctionError: "Unhandled"}, nil
			}, nil, millicent.Result{Payload: []byte("{}"), FunctionError: "Unhandled"}, 2,
		},
	} {
		m := &fakeMeter{}
		w := newWorld(t, Config{Meter: m}, scheduler.Config{}, "hello")
		w.launcher.serve = tt.serve
		inv, got := call("hello", "{}"), calls(nil)
		inv.Qualifier, inv.Sink = "1", &got
		res, err := w.Invoke(t.Context(), inv)
		if err != nil {
			t.Fatal(err)
		}
		tt.res.Version, tt.res.Usage = "1", res.Usage
		if diff := cmp.Diff(&tt.res, res); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.calls, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if len(m.records) != 1 || m.records[0].Out != tt.out {
			t.Errorf("%s: %+v, want %d bytes out", tt.name, m.records, tt.out)
		}
	}
}

// A stuck is a sink that takes nothing.
type stuck struct{ calls }

func (s *stuck) Write(ctx context.Context, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestSlowSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{}, "hello")
		inv := call("hello", "{}")
		inv.Sink = &stuck{}
		began := time.Now()
		if _, err := w.Invoke(t.Context(), inv); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != deliverLimit {
			t.Errorf("it was waited for %v", took)
		}
	})
}
