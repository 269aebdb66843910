package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

const ms = time.Millisecond

func TestVerdicts(t *testing.T) {
	waited := millicent.Wait{For: millicent.WaitStart, Time: time.Second}
	report := &millicent.Report{DurationMs: 1, MemoryMB: 128}
	for _, tt := range []struct {
		name  string
		wait  millicent.Wait
		start *millicent.StartRecord
		want  string
		help  string // a part of each line of it
	}{
		{"warm", millicent.Wait{}, nil, "Warm: an idle environment was there, and it waited for nothing.", ""},
		{"warm, in line", millicent.Wait{For: millicent.WaitBusy, Time: 30 * ms}, nil,
			"Warm, after 30000 µs in the queue: all environments of its version were busy.", "provisioned"},
		{"warm, full", millicent.Wait{For: millicent.WaitRoom, Time: 30 * ms}, nil,
			"Warm, after 30000 µs in the queue: the machine was full.", "--max-environments"},
		{"first", waited, &millicent.StartRecord{Cause: millicent.StartFirst, From: millicent.FromRuntime},
			"Cold start: first call of version 3, nothing was known of it.", ""},
		{"no pool", waited, &millicent.StartRecord{Cause: millicent.StartFirst, From: millicent.FromNothing},
			"Cold start: first call of version 3, nothing was known of it.", "no sandbox was ready"},
		{"no runtime", waited, &millicent.StartRecord{Cause: millicent.StartFirst, From: millicent.FromSandbox, Runtime: "nodejs22.x", Boot: 30 * ms},
			"Cold start: first call of version 3, nothing was known of it.", "nodejs22.x booted"},
		{"compiled", waited, &millicent.StartRecord{Cause: millicent.StartFirst, From: millicent.FromSandbox, Runtime: "provided.al2023", Boot: 30 * ms},
			"Cold start: first call of version 3, nothing was known of it.", ""},
		{"long Init", waited, &millicent.StartRecord{Cause: millicent.StartFirst, From: millicent.FromRuntime, Runtime: "python3.13", Attach: 10 * ms, Init: 30 * ms},
			"Cold start: first call of version 3, nothing was known of it.", "75 % of the start"},
		{"scale-out", millicent.Wait{For: millicent.WaitBusy, Time: time.Second, Before: 20 * ms},
			&millicent.StartRecord{Cause: millicent.StartScaleOut, Others: 4},
			"Cold start: scale-out, 4 other environments were busy.\nBefore the start began it waited 20000 µs: all environments of its version were busy.", "provisioned"},
		{"scale-out by one", waited, &millicent.StartRecord{Cause: millicent.StartScaleOut, Others: 1},
			"Cold start: scale-out, 1 other environment was busy.", "provisioned"},
		{"under way", millicent.Wait{For: millicent.WaitStart, Time: 2 * ms}, &millicent.StartRecord{Cause: millicent.StartScaleOut, Others: 2, Init: 10 * ms},
			"Cold start: scale-out, 2 other environments were busy.\nThat start was under way when the request came: it waited 2000 µs of it.", "provisioned"},
		{"another's", millicent.Wait{}, &millicent.StartRecord{Cause: millicent.StartFirst},
			"Cold start: first call of version 3, nothing was known of it.\nIt did not wait for that: the environment was started for an earlier request, which another one served.", ""},
		{"evicted", millicent.Wait{For: millicent.WaitRoom, Time: time.Second, Before: ms}, &millicent.StartRecord{Cause: millicent.StartAfterEviction, Gone: 12 * time.Second, For: "resize"},
			"Cold start: its last environment was evicted 12 s before to make room for resize.\nBefore the start began it waited 1000 µs: the machine was full.", "--max-environments"},
		{"evicted by a stranger", waited, &millicent.StartRecord{Cause: millicent.StartAfterEviction, Gone: 3 * time.Hour},
			"Cold start: its last environment was evicted 3 h before to make room.", "--max-environments"},
		{"expired", waited, &millicent.StartRecord{Cause: millicent.StartAfterExpiry, Gone: 5 * time.Minute},
			"Cold start: its last environment had been idle for too long and was closed 5 min before.", "--keep-alive"},
		{"broken", waited, &millicent.StartRecord{Cause: millicent.StartAfterFailure, Gone: 40 * ms},
			"Cold start: its last environment broke 40 ms before.", "millicent logs f"},
		{"updated", waited, &millicent.StartRecord{Cause: millicent.StartUpdated}, "Cold start: updated code or configuration.", ""},
		{"updated, and closed", waited, &millicent.StartRecord{Cause: millicent.StartUpdated, Gone: 5 * time.Second},
			"Cold start: updated code or configuration, and the last environment of the earlier one closed 5 s before.", ""},
		{"crashed", millicent.Wait{}, &millicent.StartRecord{Cause: millicent.StartAfterFailure, From: millicent.FromEnvironment},
			"Warm, but its runtime had to be started again: it ended in or after an earlier invocation.", "millicent logs f"},
		{"timed out", millicent.Wait{For: millicent.WaitBusy, Time: ms}, &millicent.StartRecord{Cause: millicent.StartAfterTimeout, From: millicent.FromEnvironment},
			"Warm, but its runtime had to be started again: it was stopped at the timeout of an earlier invocation.\n" +
				"Before, it waited 1000 µs in the queue: all environments of its version were busy.", "longer timeout"},
		{"slow machine", millicent.Wait{For: millicent.WaitSlot, Time: time.Second, Before: ms}, &millicent.StartRecord{},
			"Cold start: the cause is not known.\nBefore the start began it waited 1000 µs: enough others were being started.", "more processors"},
		{"of the future", waited, &millicent.StartRecord{Cause: "moonlight", From: "the moon"}, "Cold start: moonlight.", ""},
	} {
		e := &millicent.Explanation{Function: "f", Version: "3", Report: report}
		if tt.start != nil || tt.wait.For != "" {
			e.Delay = &millicent.Delay{Wait: tt.wait, Start: tt.start}
		}
		if got := strings.Join(verdict(e), "\n"); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
		help := advice(e)
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
	if got := verdict(&millicent.Explanation{})[0]; !strings.HasPrefix(got, "Nothing is known of its start") {
		t.Errorf("without a report: %s", got)
	}
}

func TestExplanationIsPrinted(t *testing.T) {
	e := &millicent.Explanation{
		Invocation: "id", Function: "f", Version: "3", Environment: "2026/11/23/[3]0\x1b[2J", Time: time.Unix(0, 0),
		Report: &millicent.Report{DurationMs: 2.5, MemoryMB: 128, Status: "error", ErrorType: "E"},
		Delay: &millicent.Delay{
			Wait: millicent.Wait{For: millicent.WaitStart, Time: 41 * ms, Before: ms / 2},
			Start: &millicent.StartRecord{
				Cause: millicent.StartFirst, From: millicent.FromRuntime, Runtime: "python3.13",
				Attach: 10 * ms, Init: 30 * ms, FirstByte: 15 * ms, Memory: 9<<20 + 1,
			},
		},
	}
	var out bytes.Buffer
	printExplanation(&out, e)
	const want = `
ran          2.50 ms, error: E
from         a prepared sandbox with python3.13 booted
memory       10 MB of 128 MB

Cold start: first call of version 3, nothing was known of it.

  queue              500 µs  #
  acquire              0 µs
  attach           10000 µs  ##########
  boot                 0 µs
  user init        30000 µs  ##############################
  first byte       15000 µs  ###############
  start            40000 µs  acquire to user init

What would help:
  - a shorter Init: it took 75 % of the start; import less, or later
`
	if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "\x1b") {
		t.Errorf("got %s\nwant %s", out.String(), want)
	}
}
