package millicent

import (
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

func TestVerdicts(t *testing.T) {
	waited := Wait{For: WaitStart, Time: time.Second}
	report := &Report{DurationMs: 1, MemoryMB: 128}
	for _, tt := range []struct {
		name  string
		wait  Wait
		start *StartRecord
		want  string
		help  string // a part of each line of it
	}{
		{"warm", Wait{}, nil, "Warm: an idle environment was there, and it waited for nothing.", ""},
		{"warm, in line", Wait{For: WaitBusy, Time: 30 * ms}, nil,
			"Warm, after 30000 µs in the queue: all environments of its version were busy.", "provisioned"},
		{"warm, full", Wait{For: WaitRoom, Time: 30 * ms}, nil,
			"Warm, after 30000 µs in the queue: the machine was full.", "--max-environments"},
		{"first", waited, &StartRecord{Cause: StartFirst, From: FromRuntime},
			"Cold start: first call of version 3, nothing was known of it.", ""},
		{"no pool", waited, &StartRecord{Cause: StartFirst, From: FromNothing},
			"Cold start: first call of version 3, nothing was known of it.", "no sandbox was ready"},
		{"no runtime", waited, &StartRecord{Cause: StartFirst, From: FromSandbox, Runtime: "nodejs22.x", Boot: 30 * ms},
			"Cold start: first call of version 3, nothing was known of it.", "nodejs22.x booted"},
		{"compiled", waited, &StartRecord{Cause: StartFirst, From: FromSandbox, Runtime: "provided.al2023", Boot: 30 * ms},
			"Cold start: first call of version 3, nothing was known of it.", ""},
		{"long Init", waited, &StartRecord{Cause: StartFirst, From: FromRuntime, Runtime: "python3.13", Attach: 10 * ms, Init: 30 * ms},
			"Cold start: first call of version 3, nothing was known of it.", "75 % of the start"},
		{"scale-out", Wait{For: WaitBusy, Time: time.Second, Before: 20 * ms},
			&StartRecord{Cause: StartScaleOut, Others: 4},
			"Cold start: scale-out, 4 other environments were busy.\nBefore the start began it waited 20000 µs: all environments of its version were busy.", "provisioned"},
		{"scale-out by one", waited, &StartRecord{Cause: StartScaleOut, Others: 1},
			"Cold start: scale-out, 1 other environment was busy.", "provisioned"},
		{"under way", Wait{For: WaitStart, Time: 2 * ms}, &StartRecord{Cause: StartScaleOut, Others: 2, Init: 10 * ms},
			"Cold start: scale-out, 2 other environments were busy.\nThat start was under way when the request came: it waited 2000 µs of it.", "provisioned"},
		{"another's", Wait{}, &StartRecord{Cause: StartFirst},
			"Cold start: first call of version 3, nothing was known of it.\nIt did not wait for that: the environment was started for an earlier request, which another one served.", ""},
		{"evicted", Wait{For: WaitRoom, Time: time.Second, Before: ms}, &StartRecord{Cause: StartAfterEviction, Gone: 12 * time.Second, For: "resize"},
			"Cold start: its last environment was evicted 12 s before to make room for resize.\nBefore the start began it waited 1000 µs: the machine was full.", "--max-environments"},
		{"evicted by a stranger", waited, &StartRecord{Cause: StartAfterEviction, Gone: 3 * time.Hour},
			"Cold start: its last environment was evicted 3 h before to make room.", "--max-environments"},
		{"expired", waited, &StartRecord{Cause: StartAfterExpiry, Gone: 5 * time.Minute},
			"Cold start: its last environment had been idle for too long and was closed 5 min before.", "--keep-alive"},
		{"broken", waited, &StartRecord{Cause: StartAfterFailure, Gone: 40 * ms},
			"Cold start: its last environment broke 40 ms before.", "millicent logs f"},
		{"updated", waited, &StartRecord{Cause: StartUpdated}, "Cold start: updated code or configuration.", ""},
		{"updated, and closed", waited, &StartRecord{Cause: StartUpdated, Gone: 5 * time.Second},
			"Cold start: updated code or configuration, and the last environment of the earlier one closed 5 s before.", ""},
		{"crashed", Wait{}, &StartRecord{Cause: StartAfterFailure, From: FromEnvironment},
			"Warm, but its runtime had to be started again: it ended in or after an earlier invocation.", "millicent logs f"},
		{"timed out", Wait{For: WaitBusy, Time: ms}, &StartRecord{Cause: StartAfterTimeout, From: FromEnvironment},
			"Warm, but its runtime had to be started again: it was stopped at the timeout of an earlier invocation.\n" +
				"Before, it waited 1000 µs in the queue: all environments of its version were busy.", "longer timeout"},
		{"slow machine", Wait{For: WaitSlot, Time: time.Second, Before: ms}, &StartRecord{},
			"Cold start: the cause is not known.\nBefore the start began it waited 1000 µs: enough others were being started.", "more processors"},
		{"of the future", waited, &StartRecord{Cause: "moonlight", From: "the moon"}, "Cold start: moonlight.", ""},
	} {
		e := &Explanation{Function: "f", Version: "3", Report: report}
		if tt.start != nil || tt.wait.For != "" {
			e.Delay = &Delay{Wait: tt.wait, Start: tt.start}
		}
		if got := strings.Join(e.Verdict(), "\n"); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
		help := e.Advice()
		var want []string
		if tt.help != "" {
			want = strings.Split(tt.help, "|")
		}
		if len(help) != len(want) {
			t.Errorf("%s: help %q, want %q", tt.name, help, want)
			continue
		}
		for i := range want {
			if !strings.Contains(help[i], want[i]) {
				t.Errorf("%s: help %q, want %q", tt.name, help[i], want[i])
			}
		}
	}
	if got := (&Explanation{}).Verdict()[0]; !strings.HasPrefix(got, "Nothing is known of its start") {
		t.Errorf("without a report: %s", got)
	}
}
