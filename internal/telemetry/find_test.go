package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// reported writes what the log has of a short invocation.
func reported(l *Logs, tenant, function, id string, delay *millicent.Delay) {
	rec := millicent.LogRecord{
		Tenant: tenant, Function: function, Version: "3", Stream: "stream of " + function, Invocation: id,
		Time: 1_700_000_000_000_000, Message: "START RequestId: " + id + " Version: 3",
	}
	l.Write(rec)
	rec.Message = fmt.Sprintf("\"invocation\":%q and REPORT RequestId: %s\tDuration: 1 ms", id, id) // the function's
	l.Write(rec)
	rec.Message = "REPORT RequestId: " + id + "\tDuration: 2.00 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 9 MB\t"
	rec.Delay = delay
	l.Write(rec)
}

func TestInvocationsAreFound(t *testing.T) {
	dir := t.TempDir()
	l, err := NewLogs(LogsConfig{Dir: dir, FileBytes: 2000})
	if err != nil {
		t.Fatal(err)
	}
	delay := &millicent.Delay{
		Wait:  millicent.Wait{For: millicent.WaitStart, Time: time.Second},
		Start: &millicent.StartRecord{Cause: millicent.StartFirst, From: millicent.FromNothing},
	}
	reported(l, tenant, "a", "cold", delay)
	for i := range 50 {
		reported(l, tenant, "a", fmt.Sprint("warm-", i), nil)
		reported(l, tenant, "b", fmt.Sprint("other-", i), nil)
	}
	reported(l, "999999999999", "a", "foreign", nil)
	running := record("a", "START RequestId: running Version: 3")
	running.Invocation = "running"
	l.Write(running)
	if err := l.Close(); err != nil { // as a restart does
		t.Fatal(err)
	}
	l = open(t, LogsConfig{Dir: dir, FileBytes: 2000})

	at := time.UnixMicro(1_700_000_000_000_000).UTC()
	rep := &millicent.Report{DurationMs: 2, MemoryMB: 128, PeakMemoryMB: 9, Status: "success"}
	for _, tt := range []struct {
		q    InvocationQuery
		want *millicent.Explanation
		code string
	}{
		{q: InvocationQuery{tenant, "", "cold"}, want: &millicent.Explanation{
			Invocation: "cold", Function: "a", Version: "3", Environment: "stream of a", Time: at, Report: rep, Delay: delay,
		}},
		{q: InvocationQuery{tenant, "a", "warm-7"}, want: &millicent.Explanation{
			Invocation: "warm-7", Function: "a", Version: "3", Environment: "stream of a", Time: at, Report: rep,
		}},
		{q: InvocationQuery{tenant, "", "other-49"}, want: &millicent.Explanation{
			Invocation: "other-49", Function: "b", Version: "3", Environment: "stream of b", Time: at, Report: rep,
		}},
		{q: InvocationQuery{tenant, "", "running"}, want: &millicent.Explanation{
			Invocation: "running", Function: "a", Version: millicent.Latest, Environment: "s", Time: time.UnixMicro(running.Time).UTC(),
		}},
		{q: InvocationQuery{tenant, "b", "warm-7"}, code: millicent.CodeNotFound},
		{q: InvocationQuery{tenant, "", "foreign"}, code: millicent.CodeNotFound},
		{q: InvocationQuery{"111111111111", "", "cold"}, code: millicent.CodeNotFound},
		{q: InvocationQuery{tenant, "", "warm"}, code: millicent.CodeNotFound},
		{q: InvocationQuery{tenant, "", "../x"}, code: millicent.CodeInvalid},
		{q: InvocationQuery{tenant, "../a", "cold"}, code: millicent.CodeInvalid},
	} {
		got, err := l.Explain(t.Context(), tt.q)
		if millicent.ErrorCode(err) != tt.code {
			t.Errorf("%+v: %v, want code %q", tt.q, err, tt.code)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.q, diff)
		}
	}
}

// TestContains looks for what lies anywhere about the ends of blocks.
func TestInvocationsAreListed(t *testing.T) {
	l := open(t, LogsConfig{FileBytes: 2000})
	delay := &millicent.Delay{Start: &millicent.StartRecord{Cause: millicent.StartFirst}}
	reported(l, tenant, "a", "cold", delay)
	for i := range 20 {
		forged := record("a", fmt.Sprintf("REPORT RequestId: warm-%d\tDuration: 9.00 ms\t", i))
		forged.Invocation = fmt.Sprint("warm-", i)
		l.Write(forged)
		reported(l, tenant, "a", fmt.Sprint("warm-", i), nil)
		reported(l, tenant, "b", fmt.Sprint("other-", i), nil)
	}
	running := record("a", "START RequestId: running Version: 3")
	running.Invocation = "running"
	l.Write(running)

	failed := record("a", "REPORT RequestId: failed\tDuration: 2.00 ms\t")
	failed.Invocation, failed.ErrorType = "failed", "Function.Unknown"
	l.Write(failed)
	list, err := l.Invocations(t.Context(), Query{Tenant: tenant, Function: "a", Limit: 1})
	if err != nil || len(list) != 1 || list[0].Report.Status != "error" || list[0].Report.ErrorType != "Function.Unknown" {
		t.Fatalf("%+v, error %v", list, err)
	}

	for limit, want := range map[int]int{0: 22, 22: 22, 20: 20, 2: 2} {
		list, err := l.Invocations(t.Context(), Query{Tenant: tenant, Function: "a", Limit: limit})
		if err != nil || len(list) != want || list[1].Invocation != "warm-19" {
			t.Fatalf("limit %d: %d, error %v", limit, len(list), err)
		}
		for _, e := range list {
			if e.Function != "a" || e.Report.DurationMs != 2 || (e.Delay != nil) != (e.Invocation == "cold") {
				t.Errorf("%+v, %+v", e, e.Report)
			}
		}
	}
	if list, err := l.Invocations(t.Context(), Query{Tenant: tenant, Function: "none"}); err != nil || list == nil || len(list) != 0 {
		t.Errorf("of a function without a log: %v, error %v", list, err)
	}
	if _, err := l.Invocations(t.Context(), Query{Tenant: tenant, Function: "../x"}); millicent.ErrorCode(err) != millicent.CodeInvalid {
		t.Errorf("of an impossible name: %v", err)
	}
}

func TestContains(t *testing.T) {
	text := bytes.Repeat([]byte("-"), 3*4*block)
	r := bytes.NewReader(text)
	for at := 4*block - 10; at < 4*block+5; at++ {
		copy(text[at:], "needle")
		if has, err := contains(t.Context(), r, r.Size(), []byte("needle")); err != nil || !has {
			t.Errorf("not found at %d: %v", at, err)
		}
		if has, err := contains(t.Context(), r, int64(at+5), []byte("needle")); err != nil || has {
			t.Errorf("found at %d, beyond the end: %v", at, err)
		}
		copy(text[at:], "------")
	}
	for _, size := range []int64{0, 3, 4 * block, r.Size()} {
		if has, err := contains(t.Context(), r, size, []byte("needle")); err != nil || has {
			t.Errorf("found in %d bytes without it: %v", size, err)
		}
	}
}

// TestSearchesTakeTurns has one wait for another that does not end.
func TestSearchesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, LogsConfig{})
		l.searching <- struct{}{}
		began := time.Now()
		_, err := l.Explain(context.Background(), InvocationQuery{Tenant: tenant, Invocation: "i"})
		if millicent.ErrorCode(err) != millicent.CodeThrottled || time.Since(began) != searchTime {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		<-l.searching
	})
}
