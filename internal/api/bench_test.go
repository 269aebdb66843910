package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/api/lambda"
)

// instant is an Invoker whose functions take no time.
type instant struct{ result millicent.Result }

func (i *instant) Invoke(context.Context, *millicent.Invocation) (*millicent.Result, error) {
	return &i.result, nil
}
func (*instant) Enqueue(context.Context, *millicent.Invocation) error { return nil }
func (*instant) Check(context.Context, *millicent.Invocation) error   { return nil }

// A nowhere is a ResponseWriter whose answers nobody reads.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header              { return w.header }
func (w *nowhere) WriteHeader(int)                  {}
func (w *nowhere) Write(p []byte) (int, error)      { return len(p), nil }
func (w *nowhere) SetReadDeadline(time.Time) error  { return nil }
func (w *nowhere) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkInvocation is what the API does for a plain invocation, from the
// parsed request to the Invoker and back.
func BenchmarkInvocation(b *testing.B) {
	f := newFixture(false)
	log := slog.New(slog.DiscardHandler)
	f.cfg.Log = log
	f.cfg.Lambda = lambda.New(lambda.Config{
		Region: testRegion, Log: log, Invoker: &instant{millicent.Result{Payload: []byte("{}"), Version: "1"}},
	})
	event := []byte(`{"key1":"value1","key2":"value2","key3":"value3"}`)
	first := newRequest(http.MethodPost, "/2015-03-31/functions/py/invocations", string(event))
	first.Header.Set("Content-Type", "application/json")
	var in bytes.Reader
	w := &nowhere{}
	b.ReportAllocs()
	for b.Loop() {
		r := *first
		in.Reset(event)
		r.Body = io.NopCloser(&in)
		w.header = make(http.Header, 8)
		f.ServeHTTP(w, &r)
	}
	if w.header.Get("X-Amz-Executed-Version") != "1" {
		b.Errorf("answered %v", w.header)
	}
}
