package telemetry

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/millicent-run/millicent"
)

func TestStartsAreMeasured(t *testing.T) {
	m := NewMetrics(nil)
	m.CountWaits(func() Waits { return Waits{Launch: 1, Lease: 2, Slot: 3, Room: 4} })
	inv := &millicent.Invocation{Function: "a", Wait: millicent.Wait{For: millicent.WaitRoom, Time: 20 * time.Millisecond}}
	m.Invoked(inv, &millicent.Result{Usage: millicent.Usage{Cold: true}, Start: &millicent.StartRecord{
		Cause: millicent.StartScaleOut, From: millicent.FromRuntime, Runtime: "python3.13",
		Acquire: 20 * time.Microsecond, Init: 3 * time.Millisecond, FirstByte: 700 * time.Microsecond,
	}}, nil)
	m.Invoked(&millicent.Invocation{Function: "a"}, &millicent.Result{}, nil)

	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`millicent_starts_total{cause="scale-out",from="runtime",runtime="python3.13"} 1`,
		`millicent_start_phase_duration_seconds_bucket{cause="scale-out",phase="acquire",runtime="python3.13",le="0.0001"} 1`,
		`millicent_start_phase_duration_seconds_bucket{cause="scale-out",phase="init",runtime="python3.13",le="0.0025"} 0`,
		`millicent_start_phase_duration_seconds_bucket{cause="scale-out",phase="init",runtime="python3.13",le="0.005"} 1`,
		`millicent_start_phase_duration_seconds_bucket{cause="scale-out",phase="first_byte",runtime="python3.13",le="0.001"} 1`,
		`millicent_start_phase_duration_seconds_sum{cause="scale-out",phase="total",runtime="python3.13"} 0.00302`,
		`millicent_start_phase_duration_seconds_count{cause="scale-out",phase="total",runtime="python3.13"} 1`,
		`millicent_queue_wait_seconds_bucket{reason="room",le="0.025"} 1`,
		`millicent_queue_wait_seconds_count{reason="room"} 1`,
		`millicent_queue_length{reason="start"} 1`,
		`millicent_queue_length{reason="busy"} 2`,
		`millicent_queue_length{reason="slot"} 3`,
		`millicent_queue_length{reason="room"} 4`,
		`millicent_cold_starts_total{function="a"} 1`,
		`millicent_warm_starts_total{function="a"} 1`,
	} {
		if !strings.Contains(string(body), "\n"+want+"\n") {
			t.Errorf("the answer lacks %s", want)
		}
	}
	if problems, err := testutil.GatherAndLint(m.registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}
