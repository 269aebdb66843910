package process

import (
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sandbox"
)

func TestPlatformLinesAreLambdas(t *testing.T) {
	const id = "8f5b7a34-0000-4000-8000-000000000000"
	now := time.Date(2024, 1, 29, 16, 41, 15, 998_000_000, time.UTC)
	warm := millicent.Usage{Duration: 3010 * time.Microsecond, MemoryMB: 128, PeakMemoryMB: 36}
	cold := warm
	cold.Cold, cold.Init = true, 110_100*time.Microsecond
	late := millicent.Usage{Duration: 3 * time.Second, MemoryMB: 128, PeakMemoryMB: 36}
	oom := exited(sandbox.ExitStatus{Signal: 9}, true)
	crash := exited(sandbox.ExitStatus{Code: 1}, false)
	answered := &failure{errorType: "Function.Unknown", document: []byte("{}")}
	rt := Runtime{Name: "python3.11", Version: "3.11.2"}

	tests := []struct{ name, got, want string }{
		{"init", initStart(onDemand, rt, "eu-central-1", phaseInit, exampleVersion()).text,
			"INIT_START Runtime Version: python:3.11.2\tRuntime Version ARN: arn:aws:lambda:eu-central-1::runtime:3264d04525ccd74f39db3a788628342ab602a23b0ac54240915c9ca0c04236df"},
		{"init again", initStart(onDemand, rt, "eu-central-1", phaseInvoke, exampleVersion()).text, ""},
		{"init of provided", initStart(onDemand, Runtime{Name: "provided.al2023"}, "r", phaseInit, exampleVersion()).text[:49],
			"INIT_START Runtime Version: provided:al2023\tRunti"},
		{"init well", initReport(onDemand, phaseInit, time.Second, nil, nil).text, ""},
		{"init crash", initReport(onDemand, phaseInit, 154_030*time.Microsecond, crash, nil).text,
			"INIT_REPORT Init Duration: 154.03 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"},
		{"init late", initReport(onDemand, phaseInvoke, 10007_310*time.Microsecond, timedOut(time.Second), nil).text,
			"INIT_REPORT Init Duration: 10007.31 ms\tPhase: invoke\tStatus: timeout"},
		{"start", start(id, "$LATEST", "").text, "START RequestId: " + id + " Version: $LATEST"},
		{"end", runtimeDone(id, 0, 0, nil).text, "END RequestId: " + id},
		{"warm", report(id, warm, nil).text,
			"REPORT RequestId: " + id + "\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t"},
		{"cold", report(id, cold, nil).text,
			"REPORT RequestId: " + id + "\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t"},
		{"answered error", report(id, warm, answered).text, report(id, warm, nil).text},
		{"timeout", report(id, late, timedOut(3*time.Second)).text,
			"REPORT RequestId: " + id + "\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: timeout"},
		{"oom", report(id, warm, oom).text,
			"REPORT RequestId: " + id + "\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: error\tError Type: Runtime.OutOfMemory"},
		{"timeout line", failed(id, now, timedOut(45_050*time.Millisecond)),
			"2024-01-29T16:41:15.998Z " + id + " Task timed out after 45.05 seconds\n\n"},
		{"crash line", failed(id, now, exited(sandbox.ExitStatus{Signal: 9}, false)),
			"RequestId: " + id + " Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n"},
		{"answered error's line", failed(id, now, answered), ""},
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
		event platformEvent
		want  string
	}{
		{report("ID", u, nil), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.report","record":{"requestId":"ID","metrics":{"durationMs":18.593,"billedDurationMs":19,"memorySizeMB":2048,"maxMemoryUsedMB":246},"status":"success"}}`},
		{report("ID", cold, exited(sandbox.ExitStatus{Signal: 9}, true)), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.report","record":{"requestId":"ID","metrics":{"durationMs":18.593,"billedDurationMs":21,"memorySizeMB":2048,"maxMemoryUsedMB":246,"initDurationMs":1.5},"status":"error","errorType":"Runtime.OutOfMemory"}}`},
		{report("ID", u, timedOut(time.Second)), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.report","record":{"requestId":"ID","metrics":{"durationMs":18.593,"billedDurationMs":19,"memorySizeMB":2048,"maxMemoryUsedMB":246},"status":"timeout"}}`},
		{start("ID", "7", "Root=1"), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.start","record":{"requestId":"ID","version":"7","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1"}}}`},
		{runtimeDone("ID", 5*time.Millisecond, 12, nil), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.runtimeDone","record":{"requestId":"ID","status":"success","metrics":{"durationMs":5,"producedBytes":12}}}`},
		{initRuntimeDone(onDemand, phaseInit, nil), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.initRuntimeDone","record":{"initializationType":"on-demand","phase":"init","status":"success"}}`},
		{initReport(onDemand, phaseInvoke, time.Second, exited(sandbox.ExitStatus{Code: 1}, false), nil), `{"time":"2024-06-17T17:23:55.826Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"invoke","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":1000}}}`},
		{initReport(onDemand, phaseInit, time.Second, nil, &millicent.StartRecord{Cause: millicent.StartFirst, From: millicent.FromRuntime, Init: time.Second}),
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
		failure *failure
		want    string
	}{
		{timedOut(3 * time.Second), `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 3.00 seconds"}`},
		{exited(sandbox.ExitStatus{}, false), `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited without providing a reason"}`},
		{exited(sandbox.ExitStatus{Code: 127}, false), `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: exit status 127"}`},
		{exited(sandbox.ExitStatus{Signal: 11}, false), `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: signal: segmentation fault"}`},
		{exited(sandbox.ExitStatus{Signal: 9}, true), `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited with error: signal: killed"}`},
		{responseTooLarge(maxPayload), `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`},
	}
	for _, tt := range tests {
		if got := string(tt.failure.payload("ID")); got != tt.want {
			t.Errorf("\ngot  %s\nwant %s", got, tt.want)
		}
	}
}
