package lifecycle

import (
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

func TestPlatformLinesAreLambdas(t *testing.T) {
	const id = "8f5b7a34-0000-4000-8000-000000000000"
	now := time.Date(2024, 1, 29, 16, 41, 15, 998_000_000, time.UTC)
	warm := millicent.Usage{Duration: 3010 * time.Microsecond, MemoryMB: 128, PeakMemoryMB: 36}
	cold := warm
	cold.Cold, cold.Init = true, 110_100*time.Microsecond
	late := millicent.Usage{Duration: 3 * time.Second, MemoryMB: 128, PeakMemoryMB: 36}
	oom := Exited(0, 9, true)
	crash := Exited(1, 0, false)
	answered := &Failure{Type: "Function.Unknown", Document: []byte("{}")}
	const rt = "python:3.11.2"

	tests := []struct{ name, got, want string }{
		{"init", InitStart(OnDemand, rt, "eu-central-1", PhaseInit, exampleVersion()).text,
			"INIT_START Runtime Version: python:3.11.2\tRuntime Version ARN: arn:aws:lambda:eu-central-1::runtime:3264d04525ccd74f39db3a788628342ab602a23b0ac54240915c9ca0c04236df"},
		{"init again", InitStart(OnDemand, rt, "eu-central-1", PhaseInvoke, exampleVersion()).text, ""},
		{"init of provided", InitStart(OnDemand, "provided:al2023", "r", PhaseInit, exampleVersion()).text[:49],
			"INIT_START Runtime Version: provided:al2023\tRunti"},
		{"init well", InitReport(OnDemand, PhaseInit, time.Second, nil, nil).text, ""},
		{"init crash", InitReport(OnDemand, PhaseInit, 154_030*time.Microsecond, crash, nil).text,
			"INIT_REPORT Init Duration: 154.03 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"},
		{"init late", InitReport(OnDemand, PhaseInvoke, 10007_310*time.Microsecond, TimedOut(time.Second), nil).text,
			"INIT_REPORT Init Duration: 10007.31 ms\tPhase: invoke\tStatus: timeout"},
		{"start", Start(id, "$LATEST", "").text, "START RequestId: " + id + " Version: $LATEST"},
		{"end", RuntimeDone(id, 0, 0, nil).text, "END RequestId: " + id},
		{"warm", Report(id, warm, nil).text,
			"REPORT RequestId: " + id + "\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t"},
		{"cold", Report(id, cold, nil).text,
			"REPORT RequestId: " + id + "\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t"},
		{"answered error", Report(id, warm, answered).text, Report(id, warm, nil).text},
		{"timeout", Report(id, late, TimedOut(3*time.Second)).text,
			"REPORT RequestId: " + id + "\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: timeout"},
		{"oom", Report(id, warm, oom).text,
			"REPORT RequestId: " + id + "\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: error\tError Type: Runtime.OutOfMemory"},
		{"timeout line", Failed(id, now, TimedOut(45_050*time.Millisecond)),
			"2024-01-29T16:41:15.998Z " + id + " Task timed out after 45.05 seconds\n\n"},
		{"crash line", Failed(id, now, Exited(0, 9, false)),
			"RequestId: " + id + " Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n"},
		{"answered error's line", Failed(id, now, answered), ""},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestPlatformEventsAreLambdas(t *testing.T) {
	now := time.Date(2024, 6, 17, 17, 23, 55, 826_000_000, time.UTC)
	u := millicent.Usage{Duration: 18_593 * time.Microsecond, MemoryMB: 2048, PeakMemoryMB: 246}
	cold := u
	cold.Init = 1500 * time.Microsecond
	tests := []struct {
		event Event
		want  string
	}{
		{Report("ID", u, nil), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.report","record":{"requestId":"ID","metrics":{"durationMs":18.593,"billedDurationMs":19,"memorySizeMB":2048,"maxMemoryUsedMB":246},"status":"success"}}`},
		{Report("ID", cold, Exited(0, 9, true)), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.report","record":{"requestId":"ID","metrics":{"durationMs":18.593,"billedDurationMs":21,"memorySizeMB":2048,"maxMemoryUsedMB":246,"initDurationMs":1.5},"status":"error","errorType":"Runtime.OutOfMemory"}}`},
		{Report("ID", u, TimedOut(time.Second)), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.report","record":{"requestId":"ID","metrics":{"durationMs":18.593,"billedDurationMs":19,"memorySizeMB":2048,"maxMemoryUsedMB":246},"status":"timeout"}}`},
		{Start("ID", "7", "Root=1"), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.start","record":{"requestId":"ID","version":"7","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1"}}}`},
		{RuntimeDone("ID", 5*time.Millisecond, 12, nil), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.runtimeDone","record":{"requestId":"ID","status":"success","metrics":{"durationMs":5,"producedBytes":12}}}`},
		{InitRuntimeDone(OnDemand, PhaseInit, nil), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.initRuntimeDone","record":{"initializationType":"on-demand","phase":"init","status":"success"}}`},
		{InitReport(OnDemand, PhaseInvoke, time.Second, Exited(1, 0, false), nil), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"invoke","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":1000}}}`},
		{InitReport(OnDemand, PhaseInit, time.Second, nil, &millicent.StartRecord{Cause: millicent.StartFirst, From: millicent.FromRuntime, Init: time.Second}),
			`{"time":"2024-06-17T17:23:55.826Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"success","metrics":{"durationMs":1000},"millicent":{"cause":"first","from":"runtime","acquireUs":0,"attachUs":0,"bootUs":0,"initUs":1000000,"totalUs":1000000}}}`},
	}
	for _, tt := range tests {
		if got := tt.event.json(now); got != tt.want {
			t.Errorf("\ngot  %s\nwant %s", got, tt.want)
		}
	}
}

func TestFailuresTellTheCallerWhatLambdaTells(t *testing.T) {
	tests := []struct {
		failure *Failure
		want    string
	}{
		{TimedOut(3 * time.Second), `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 3.00 seconds"}`},
		{Exited(0, 0, false), `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited without providing a reason"}`},
		{Exited(127, 0, false), `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 127"}`},
		{Exited(0, 11, false), `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: signal: segmentation fault"}`},
		{Exited(0, 9, true), `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: signal: killed"}`},
		{ResponseTooLarge(6291556), `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`},
	}
	for _, tt := range tests {
		if got := string(tt.failure.Payload("ID")); got != tt.want {
			t.Errorf("\ngot  %s\nwant %s", got, tt.want)
		}
	}
}
