package telemetry

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestReportsAreRead(t *testing.T) {
	const json = `{"time":"2024-06-17T17:23:55.826Z","type":"platform.report","record":{"requestId":"ID","metrics":{"durationMs":18.593,` +
		`"billedDurationMs":21,"memorySizeMB":2048,"maxMemoryUsedMB":246,"initDurationMs":1.5},"status":"error","errorType":"Runtime.OutOfMemory"}}`
	for _, tt := range []struct {
		name, message string
		want          *millicent.Report
	}{
		{"warm", "REPORT RequestId: ID\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t",
			&millicent.Report{DurationMs: 3.01, MemoryMB: 128, PeakMemoryMB: 36}},
		{"cold", "REPORT RequestId: ID\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t",
			&millicent.Report{DurationMs: 3.01, InitMs: 110.1, MemoryMB: 128, PeakMemoryMB: 36}},
		{"crash", "REPORT RequestId: ID\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: error\tError Type: Runtime.ExitError",
			&millicent.Report{DurationMs: 3.01, MemoryMB: 128, PeakMemoryMB: 36, Status: "error", ErrorType: "Runtime.ExitError"}},
		{"JSON", json, &millicent.Report{DurationMs: 18.593, InitMs: 1.5, MemoryMB: 2048, PeakMemoryMB: 246, Status: "error", ErrorType: "Runtime.OutOfMemory"}},
		{"another's", "REPORT RequestId: OTHER\tDuration: 3.01 ms\t", nil},
		{"the start", "START RequestId: ID Version: 1", nil},
		{"another event", `{"type":"platform.start","record":{"requestId":"ID"}}`, nil},
		{"no event", `{"requestId":"ID"}`, nil},
		{"empty", "", nil},
	} {
		got, ok := parseReport(tt.message, "ID")
		if diff := cmp.Diff(tt.want, got); diff != "" || ok != (tt.want != nil) {
			t.Errorf("%s: %t (-want +got):\n%s", tt.name, ok, diff)
		}
	}
}

func FuzzParseReport(f *testing.F) {
	f.Add("REPORT RequestId: ID\tDuration: 3.01 ms\tInit Duration: -1 ms\tMemory Size: NaN MB\tMax Memory Used: 1e400 MB")
	f.Add(`{"type":"platform.report","record":{"requestId":"ID","metrics":{"durationMs":1e308,"memorySizeMB":-4}}}`)
	f.Fuzz(func(t *testing.T, message string) {
		rep, ok := parseReport(message, "ID")
		if !ok {
			return
		}
		for _, n := range []float64{rep.DurationMs, rep.InitMs, float64(rep.MemoryMB), float64(rep.PeakMemoryMB)} {
			if math.IsNaN(n) || n < 0 || n > most {
				t.Fatalf("%q: %+v", message, rep)
			}
		}
	})
}
