package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

type counter struct{ n int }

func (c *counter) Invoked(*millicent.Invocation, *millicent.Result, error) { c.n++ }

// TestFailuresAreTold: the first of each kind of each function, then nothing
// for a while, then how many there were.
func TestFailuresAreTold(t *testing.T) {
	var log bytes.Buffer
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	all := &counter{}
	f := &failures{
		next: all, log: slog.New(slog.NewTextHandler(&log, nil)),
		now: func() time.Time { return now }, told: map[failing]*telling{},
	}
	failed := &millicent.Result{FunctionError: "Unhandled", ErrorType: "Sandbox.Timedout"}
	for i, c := range []struct {
		function string
		res      *millicent.Result
		err      error
		after    time.Duration
		want     string // empty: nothing
	}{
		{"a", failed, nil, 0, `msg="function failed" function=a tenant=1 id=i0 type=Sandbox.Timedout` + "\n"},
		{"a", failed, nil, time.Second, ""},
		{"b", failed, nil, 0, "function=b"},
		{"a", &millicent.Result{FunctionError: "Unhandled", ErrorType: "Function.Unknown"}, nil, 0, "type=Function.Unknown"},
		{"a", failed, nil, 8 * time.Second, ""},
		{"a", failed, nil, time.Second, "untold=2"},
		{"a", &millicent.Result{}, nil, time.Hour, ""},
		{"a", nil, millicent.Errorf(millicent.CodeInternal, "boom"), 0, ""}, // the listener tells
		{"a", nil, fmt.Errorf("acquire: %w", millicent.Throttled(millicent.ReasonConcurrency)), 0, `msg="invocation throttled" function=a tenant=1 id=i8 type=ConcurrentInvocationLimitExceeded`},
		{"a", nil, millicent.Errorf(millicent.CodeRecursive, "a loop"), 0, `level=WARN msg="loop of invocations ended" function=a`},
	} {
		log.Reset()
		now = now.Add(c.after)
		f.Invoked(&millicent.Invocation{ID: fmt.Sprintf("i%d", i), Tenant: "1", Function: c.function}, c.res, c.err)
		if got := log.String(); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%d: got %q, want %q", i, got, c.want)
		}
		if all.n != i+1 {
			t.Errorf("%d: the next observer saw %d", i, all.n)
		}
	}
	for i := range 3 * maxFailing {
		now = now.Add(time.Millisecond)
		f.Invoked(&millicent.Invocation{Tenant: "1", Function: fmt.Sprint(i)}, failed, nil)
	}
	if n := len(f.told); n > maxFailing {
		t.Errorf("%d functions are kept in mind, want at most %d", n, maxFailing)
	}
}
