package telemetry

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/millicent-run/millicent"
)

func TestOutcome(t *testing.T) {
	failed := func(kind string) *millicent.Result {
		return &millicent.Result{FunctionError: "Unhandled", ErrorType: kind}
	}
	tests := []struct {
		res  *millicent.Result
		err  error
		want string
	}{
		{&millicent.Result{}, nil, string(millicent.OutcomeSuccess)},
		{failed("Exception"), nil, string(millicent.OutcomeFunctionError)},
		{failed("Runtime.ExitError"), nil, string(millicent.OutcomeFunctionError)},
		{failed("Sandbox.Timedout"), nil, string(millicent.OutcomeTimeout)},
		{failed("Runtime.OutOfMemory"), nil, string(millicent.OutcomeOutOfMemory)},
		{nil, millicent.Throttled(millicent.ReasonConcurrency), outcomeThrottled},
		{nil, millicent.Errorf(millicent.CodeInternal, "x"), outcomePlatformError},
		{nil, errors.New("x"), outcomePlatformError},
	}
	for _, tt := range tests {
		if got := outcome(tt.res, tt.err); got != tt.want {
			t.Errorf("%+v, %v: got %s, want %s", tt.res, tt.err, got, tt.want)
		}
	}
}

func TestMetrics(t *testing.T) {
	m := NewMetrics(func() Load {
		return Load{Launching: 1, Idle: 12, Frozen: 10, Busy: 3, Closing: 4, MemoryMB: 1280, Waiting: 5}
	})
	m.CountStock(func() Stock {
		return Stock{Sandboxes: map[string]int{"python3.12": 6, "bare": 7}, Changing: 8, Zygotes: 9, Disks: 15}
	})
	m.CountReclaims(func() Reclaims { return Reclaims{Room: 11, Memory: 12, Expired: 13, Bytes: 14} })
	m.CountProvisioned(func() Provisioned {
		return Provisioned{Requested: 10, Allocated: 11, Available: 12, Invocations: 13, Spillovers: 14}
	})
	inv := &millicent.Invocation{Function: "hello"}
	m.Invoked(inv, &millicent.Result{Usage: millicent.Usage{Cold: true, Init: 80 * time.Millisecond, Duration: 2 * time.Millisecond}}, nil)
	m.Invoked(inv, &millicent.Result{Usage: millicent.Usage{Duration: 2 * time.Second}}, nil)
	m.Invoked(inv, nil, millicent.Throttled(millicent.ReasonReservedConcurrency))

	server := httptest.NewServer(m.Handler())
	defer server.Close()
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`millicent_invocations_total{function="hello",outcome="success"} 2`,
		`millicent_invocations_total{function="hello",outcome="throttled"} 1`,
		`millicent_throttles_total{function="hello",reason="ReservedFunctionConcurrentInvocationLimitExceeded"} 1`,
		`millicent_cold_starts_total{function="hello"} 1`,
		`millicent_init_duration_seconds_bucket{function="hello",le="0.1"} 1`,
		`millicent_init_duration_seconds_count{function="hello"} 1`,
		`millicent_invocation_duration_seconds_bucket{function="hello",le="0.0025"} 1`,
		`millicent_invocation_duration_seconds_bucket{function="hello",le="5"} 2`,
		`millicent_environments{state="launching"} 1`,
		`millicent_environments{state="idle"} 2`,
		`millicent_environments{state="frozen"} 10`,
		`millicent_environments{state="busy"} 3`,
		`millicent_evictions_total{reason="room"} 11`,
		`millicent_evictions_total{reason="memory"} 12`,
		`millicent_evictions_total{reason="expired"} 13`,
		`millicent_reclaimed_bytes_total 14`,
		`millicent_environments{state="closing"} 4`,
		`millicent_environments_memory_bytes 1.34217728e+09`,
		`millicent_waiting_invocations 5`,
		`millicent_prepared_sandboxes{kind="python3.12"} 6`,
		`millicent_prepared_sandboxes{kind="bare"} 7`,
		`millicent_changing_sandboxes 8`,
		`millicent_zygotes 9`,
		`millicent_spare_disks 15`,
		`millicent_provisioned_environments{state="requested"} 10`,
		`millicent_provisioned_environments{state="allocated"} 11`,
		`millicent_provisioned_environments{state="available"} 12`,
		`millicent_provisioned_invocations_total 13`,
		`millicent_provisioned_spillovers_total 14`,
		`go_goroutines `,
		`process_open_fds `,
	} {
		if !strings.Contains(string(body), "\n"+want) {
			t.Errorf("the answer lacks %s", want)
		}
	}
	if problems, err := testutil.GatherAndLint(m.registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestFunctionLabelsAreBounded(t *testing.T) {
	m := NewMetrics(nil)
	for i := range maxFunctionLabels + 500 {
		m.Invoked(&millicent.Invocation{Function: "f" + strconv.Itoa(i)}, &millicent.Result{}, nil)
	}
	if n := testutil.CollectAndCount(m.invocations); n != maxFunctionLabels+1 {
		t.Errorf("%d series, want %d", n, maxFunctionLabels+1)
	}
	if n := testutil.ToFloat64(m.invocations.WithLabelValues(otherFunctions, string(millicent.OutcomeSuccess))); n != 500 {
		t.Errorf("%v invocations of others, want 500", n)
	}
	m.Invoked(&millicent.Invocation{Function: "f7"}, &millicent.Result{}, nil)
	if n := testutil.ToFloat64(m.invocations.WithLabelValues("f7", string(millicent.OutcomeSuccess))); n != 2 {
		t.Errorf("%v invocations of one that has its own series, want 2", n)
	}
}

func BenchmarkInvoked(b *testing.B) {
	m := NewMetrics(nil)
	inv := &millicent.Invocation{Function: "hello"}
	res := &millicent.Result{Usage: millicent.Usage{Duration: time.Millisecond}}
	b.ReportAllocs()
	for b.Loop() {
		m.Invoked(inv, res, nil)
	}
}
