package lifecycle

import (
	"fmt"
	"time"

	"github.com/millicent-run/millicent"
)

// RestoreStart says that an environment starts from a snapshot.
func RestoreStart(runtime, region string, v *millicent.Version) Event {
	arn := runtimeARN(runtime, region)
	return Event{
		kind: "platform.restoreStart", level: "INFO", text: "RESTORE_START Runtime Version: " + runtime + "\tRuntime Version ARN: " + arn,
		record: func() any {
			return struct {
				RuntimeVersion    string `json:"runtimeVersion"`
				RuntimeVersionArn string `json:"runtimeVersionArn"`
				FunctionName      string `json:"functionName"`
				FunctionVersion   string `json:"functionVersion"`
			}{runtime, arn, v.Function, v.Number}
		},
	}
}

// RestoreRuntimeDone says that the runtime has done its part of it.
func RestoreRuntimeDone(f *Failure) Event {
	return Event{kind: "platform.restoreRuntimeDone", level: level(f, "DEBUG"), record: func() any {
		return struct {
			Status    string `json:"status"`
			ErrorType string `json:"errorType,omitempty"`
		}{status(f), reported(f)}
	}}
}

// RestoreReport says how long a start from a snapshot took.
func RestoreReport(took time.Duration, f *Failure) Event {
	type metrics struct {
		DurationMs float64 `json:"durationMs"`
	}
	e := Event{kind: "platform.restoreReport", level: level(f, "INFO"), record: func() any {
		return struct {
			Status    string  `json:"status"`
			ErrorType string  `json:"errorType,omitempty"`
			Metrics   metrics `json:"metrics"`
		}{status(f), reported(f), metrics{millis(took)}}
	}}
	e.text = fmt.Sprintf("RESTORE_REPORT Restore Duration: %.2f ms", millis(took))
	if f != nil {
		e.text += "\t" + statusFields(f)
	}
	return e
}
