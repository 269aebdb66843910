package telemetry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func started(r *Recent, tenant, function, id string) {
	inv := &millicent.Invocation{ID: id, Tenant: tenant, Function: function, Wait: millicent.Wait{For: millicent.WaitStart, Time: 4 * time.Millisecond}}
	r.Invoked(inv, &millicent.Result{
		Version: "1", FunctionError: "Unhandled", ErrorType: "Sandbox.Timedout",
		Usage: millicent.Usage{Start: time.Unix(100, 0), Duration: time.Second, Init: 3 * time.Millisecond, MemoryMB: 128, PeakMemoryMB: 5},
		Start: &millicent.StartRecord{Cause: millicent.StartFirst, Init: 3 * time.Millisecond, Environment: "s"},
	}, nil)
}

func TestRecentStartsAreKept(t *testing.T) {
	var r Recent
	started(&r, "1", "a", "a1")
	started(&r, "1", "b", "b1")
	started(&r, "1", "a", "a2")
	started(&r, "2", "a", "x1")
	r.Invoked(&millicent.Invocation{ID: "warm", Tenant: "1"}, &millicent.Result{}, nil)
	r.Invoked(&millicent.Invocation{ID: "refused", Tenant: "1"}, nil, millicent.Throttled(millicent.ReasonConcurrency))

	want := &millicent.Explanation{
		Invocation: "a1", Function: "a", Version: "1", Environment: "s", Time: time.Unix(101, 0).UTC(),
		Report: &millicent.Report{DurationMs: 1000, InitMs: 3, MemoryMB: 128, PeakMemoryMB: 5, Status: "timeout", ErrorType: "Sandbox.Timedout"},
		Delay: &millicent.Delay{
			Wait:  millicent.Wait{For: millicent.WaitStart, Time: 4 * time.Millisecond},
			Start: &millicent.StartRecord{Cause: millicent.StartFirst, Init: 3 * time.Millisecond, Environment: "s"},
		},
	}
	got, _ := r.Explain(InvocationQuery{"1", "", "a1"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	for _, q := range []InvocationQuery{{"2", "", "a1"}, {"1", "b", "a1"}, {"1", "", "warm"}, {"1", "", "refused"}, {"1", "", "x1"}} {
		if e, ok := r.Explain(q); ok {
			t.Errorf("%+v: got %+v", q, e)
		}
	}
	for _, tt := range []struct {
		tenant, function string
		limit            int
		want             string
	}{
		{"1", "", 10, "a2 b1 a1"},
		{"1", "a", 10, "a2 a1"},
		{"1", "", 2, "a2 b1"},
		{"2", "", 10, "x1"},
		{"3", "", 10, ""},
	} {
		var ids []string
		for _, e := range r.List(tt.tenant, tt.function, tt.limit) {
			ids = append(ids, e.Invocation)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%s %q: got %q, want %q", tt.tenant, tt.function, got, tt.want)
		}
	}
}

func TestRecentIsBounded(t *testing.T) {
	var r Recent
	for i := range maxRecent + 10 {
		started(&r, "1", "a", fmt.Sprint(i))
	}
	started(&r, "1", "a", fmt.Sprint(maxRecent)) // again
	if n := len(r.List("1", "", 1<<30)); n != maxRecent || len(r.byID) != n {
		t.Errorf("%d are kept, %d by id, want %d", n, len(r.byID), maxRecent)
	}
	if _, ok := r.Explain(InvocationQuery{"1", "", "9"}); ok {
		t.Error("the oldest is still there")
	}
	long := strings.Repeat("x", 64<<10)
	for i := range 200 {
		started(&r, "1", long, fmt.Sprint("long", i))
	}
	n := len(r.byID)
	if r.bytes > maxRecentBytes || n == 0 || n > maxRecentBytes/len(long) || n != r.order.Len() {
		t.Errorf("%d with %d bytes are kept", n, r.bytes)
	}
	for r.order.Len() > 0 {
		r.drop(r.order.Front())
	}
	if r.bytes != 0 || len(r.byID) != 0 {
		t.Errorf("nothing takes %d bytes", r.bytes)
	}
}
