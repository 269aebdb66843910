package invoke

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/scheduler"
)

// fakeMeter writes down what it is told.
type fakeMeter struct {
	ready, durable error

	mu      sync.Mutex
	records []millicent.UsageRecord
	waits   int
}

func (m *fakeMeter) Ready() error { return m.ready }

func (m *fakeMeter) Record(rec millicent.UsageRecord) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, rec)
	return uint64(len(m.records))
}

func (m *fakeMeter) RecordOnce(_ context.Context, rec millicent.UsageRecord) (uint64, error) {
	n := m.Record(rec)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits++
	return n, m.durable
}

// An invocation's record says who called what, and what it used.
func TestMetered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeMeter{}
		w := newWorld(t, Config{Meter: m, Book: func() string { return "own@3" }}, scheduler.Config{}, "hello")
		w.store.change("hello", func(f *millicent.Function) {
			f.Tags = map[string]string{"team": "blue"}
			f.Aliases = map[string]*millicent.Alias{"live": {Name: "live", Version: "7"}}
		})
		usage := millicent.Usage{
			Start: time.Now(), Duration: 1500 * time.Microsecond, Init: 40 * time.Millisecond, Cold: true,
			MemoryMB: 128, PeakMemoryMB: 30, CPU: time.Millisecond, Egress: 5,
		}
		w.launcher.serve = func(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
			return &millicent.Result{Payload: []byte("failed"), FunctionError: "Unhandled", ErrorType: "Sandbox.Timedout", Usage: usage}, nil
		}
		ctx := millicent.WithIdentity(t.Context(), millicent.Identity{Tenant: tenant, AccessKey: "AKIA"})
		ctx = millicent.WithCaller(ctx, millicent.Caller{Tenant: tenant, Function: "first", Invocation: "cause", Lineage: millicent.Lineage{Root: "root"}})
		inv := call("hello", "four")
		inv.Qualifier = "live"
		if _, err := w.Invoke(ctx, inv); err != nil {
			t.Fatal(err)
		}
		want := []millicent.UsageRecord{{
			Kind: millicent.UsageInvocation, ID: inv.ID, Attempt: 1, Tenant: tenant, Function: "hello", Version: "7", Alias: "live",
			Key: "AKIA", Tags: map[string]string{"team": "blue"}, Root: "root", Parent: "cause",
			Start: usage.Start, Duration: usage.Duration, Init: usage.Init, Billed: 42 * time.Millisecond,
			MemoryMB: 128, PeakMemoryMB: 30, CPU: time.Millisecond, In: 4, Out: 6, Egress: 5, Cold: true,
			Outcome: millicent.OutcomeTimeout, PriceBook: "own@3",
		}}
		if diff := cmp.Diff(want, m.records); diff != "" {
			t.Error(diff)
		}
		if m.waits != 0 {
			t.Error("a caller waited for the disk")
		}
	})
}

// What nobody waits for is durable before its end; what cannot be recorded
// does not run; and what did not run has no record.
func TestMeterFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeMeter{}
		w := newWorld(t, Config{Meter: m}, scheduler.Config{}, "hello")
		inv := call("hello", "")
		inv.Attempt = 2
		if _, err := w.Invoke(t.Context(), inv); err != nil || m.waits != 1 || m.records[0].Attempt != 2 {
			t.Errorf("%v, %d waits, %+v", err, m.waits, m.records)
		}
		m.durable = errors.New("no disk")
		inv = call("hello", "")
		inv.Attempt = 3
		_, err := w.Invoke(t.Context(), inv)
		wantCode(t, err, millicent.CodeServerUnavailable)
		m.ready = millicent.Errorf(millicent.CodeServerUnavailable, "full")
		n := len(m.records)
		_, err = w.Invoke(t.Context(), call("hello", ""))
		wantCode(t, err, millicent.CodeServerUnavailable)
		wantMessage(t, err, "full")
		m.ready = nil
		_, err = w.Invoke(t.Context(), call("nobody", ""))
		wantCode(t, err, millicent.CodeNotFound)
		if len(m.records) != n {
			t.Errorf("recorded what did not run: %+v", m.records[n:])
		}
	})
}
