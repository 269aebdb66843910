package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

const ms = time.Millisecond

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
