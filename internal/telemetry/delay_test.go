package telemetry

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// TestDelaysAreKept writes a record that one goes with.
func TestDelaysAreKept(t *testing.T) {
	logs, err := OpenLogs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	want := millicent.LogRecord{
		Tenant: "000000000000", Function: "f", Version: "1", Stream: "s", Invocation: "i", Time: 7, Message: "REPORT", ErrorType: "Function.Unknown",
		Delay: &millicent.Delay{
			Wait:  millicent.Wait{For: millicent.WaitStart, Time: 5 * time.Millisecond},
			Start: &millicent.StartRecord{Cause: millicent.StartFirst, From: millicent.FromRuntime, Init: time.Millisecond},
		},
	}
	logs.Write(want)
	got, err := logs.Read(t.Context(), Query{Tenant: want.Tenant, Function: want.Function})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]millicent.LogRecord{want}, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}
