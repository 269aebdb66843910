package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// An Event is something that the platform logs about an environment:
// as a line of text or as a JSON event, as the version's log format says.
type Event struct {
	kind   string     // platform.start, …
	level  string     // of the JSON event: DEBUG, INFO or WARN
	record func() any // of the JSON event: few versions log JSON
	text   string     // the line of text; empty when text has none

	beside
}

// beside is what goes with a log record; its zero value is nothing.
type beside struct {
	Delay     *millicent.Delay
	errorType string // of an invocation that failed
}

const isoMillis = "2006-01-02T15:04:05.000Z"

func (e Event) json(now time.Time) string {
	return string(Encode(struct {
		Time   string `json:"time"`
		Type   string `json:"type"`
		Record any    `json:"record"`
	}{now.UTC().Format(isoMillis), e.kind, e.record()}))
}

// The phases that an Init can run in.
const (
	PhaseInit   = "init"
	PhaseInvoke = "invoke"
)

// An Initialization is what an environment is started for, by the name that
// functions and logs see.
type Initialization string

// What environments are started for.
const (
	OnDemand    Initialization = "on-demand"               // an invocation waits for it
	Provisioned Initialization = "provisioned-concurrency" // nobody does
	SnapStart   Initialization = "snap-start"              // by a snapshot
)

// InitLimit is how long an Init phase may take that an invocation waits for.
const InitLimit = 10 * time.Second

// provisionedInitLimit is of the Init phase of an environment that no
// invocation waits for.
const provisionedInitLimit = 15 * time.Minute

// Limit returns how long an Init phase may take.
func (k Initialization) Limit() time.Duration {
	if k == Provisioned {
		return provisionedInitLimit
	}
	return InitLimit
}

func millis(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Millisecond)*1000) / 1000
}

// status is how the log calls an end: success, error or timeout; failure is
// the platform's own.
func status(f *Failure) string {
	switch {
	case f == nil:
		return "success"
	case f.Timeout:
		return "timeout"
	case f.Type == FailureOfPlatform:
		return "failure"
	default:
		return "error"
	}
}

func level(f *Failure, success string) string {
	if f != nil {
		return "WARN"
	}
	return success
}

func reported(f *Failure) string {
	if f == nil || f.Timeout {
		return ""
	}
	return f.ReportedType()
}

// InitStart says that an Init phase begins, of a runtime in the form of Lambda's
// runtime versions: python:3.11.2. Text has a line for the first phase of an
// environment only.
func InitStart(kind Initialization, runtime, region, phase string, v *millicent.Version) Event {
	arn := runtimeARN(runtime, region)
	e := Event{kind: "platform.initStart", level: "INFO", record: func() any {
		return struct {
			InitializationType Initialization `json:"initializationType"`
			Phase              string         `json:"phase"`
			RuntimeVersion     string         `json:"runtimeVersion"`
			RuntimeVersionArn  string         `json:"runtimeVersionArn"`
			FunctionName       string         `json:"functionName"`
			FunctionVersion    string         `json:"functionVersion"`
		}{kind, phase, runtime, arn, v.Function, v.Number}
	}}
	if phase == PhaseInit {
		e.text = "INIT_START Runtime Version: " + runtime + "\tRuntime Version ARN: " + arn
	}
	return e
}

// runtimeARN makes a name of a runtime's version.
func runtimeARN(runtime, region string) string {
	sum := sha256.Sum256([]byte(runtime))
	return "arn:aws:lambda:" + region + "::runtime:" + hex.EncodeToString(sum[:])
}

// InitRuntimeDone says that the runtime has done its part of an Init phase.
func InitRuntimeDone(kind Initialization, phase string, f *Failure) Event {
	return Event{kind: "platform.initRuntimeDone", level: level(f, "DEBUG"), record: func() any {
		return struct {
			InitializationType Initialization `json:"initializationType"`
			Phase              string         `json:"phase"`
			Status             string         `json:"status"`
			ErrorType          string         `json:"errorType,omitempty"`
		}{kind, phase, status(f), reported(f)}
	}}
}

// InitReport says how long an Init phase took, and as what part of which
// start: in a member of ours, which readers of Lambda's do not look at. Text
// has a line only for one that failed.
func InitReport(kind Initialization, phase string, took time.Duration, f *Failure, rec *millicent.StartRecord) Event {
	type metrics struct {
		DurationMs float64 `json:"durationMs"`
	}
	e := Event{kind: "platform.initReport", level: level(f, "DEBUG"), record: func() any {
		return struct {
			InitializationType Initialization         `json:"initializationType"`
			Phase              string                 `json:"phase"`
			Status             string                 `json:"status"`
			ErrorType          string                 `json:"errorType,omitempty"`
			Metrics            metrics                `json:"metrics"`
			Start              *millicent.StartRecord `json:"millicent,omitempty"`
		}{kind, phase, status(f), reported(f), metrics{millis(took)}, rec}
	}}
	if f != nil {
		e.text = fmt.Sprintf("INIT_REPORT Init Duration: %.2f ms\tPhase: %s\t%s", millis(took), phase, statusFields(f))
	}
	return e
}

// statusFields are the last fields of a report on a failure.
func statusFields(f *Failure) string {
	if f.Timeout {
		return "Status: timeout"
	}
	return "Status: " + status(f) + "\tError Type: " + f.ReportedType()
}

// Start says that an invocation begins.
func Start(id, version, trace string) Event {
	type tracing struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	}
	record := func() any {
		rec := struct {
			RequestID string   `json:"requestId"`
			Version   string   `json:"version"`
			Tracing   *tracing `json:"tracing,omitempty"`
		}{id, version, nil}
		if trace != "" {
			rec.Tracing = &tracing{"X-Amzn-Trace-Id", trace}
		}
		return rec
	}
	return Event{kind: "platform.start", level: "INFO", record: record, text: startText(id, version)}
}

func startText(id, version string) string { return "START RequestId: " + id + " Version: " + version }

// RuntimeDone says that the function has done its part.
func RuntimeDone(id string, took time.Duration, produced int64, f *Failure) Event {
	type metrics struct {
		DurationMs    float64 `json:"durationMs"`
		ProducedBytes int64   `json:"producedBytes"`
	}
	record := func() any {
		return struct {
			RequestID string  `json:"requestId"`
			Status    string  `json:"status"`
			ErrorType string  `json:"errorType,omitempty"`
			Metrics   metrics `json:"metrics"`
		}{id, status(f), reported(f), metrics{millis(took), produced}}
	}
	return Event{kind: "platform.runtimeDone", level: level(f, "DEBUG"), record: record,
		text: string(appendEnd(nil, id))}
}

func appendEnd(b []byte, id string) []byte { return append(append(b, "END RequestId: "...), id...) }

// Failed is the text line about an end that the function could not log
// itself; JSON says it in the report.
func Failed(id string, now time.Time, f *Failure) string {
	switch {
	case f.Timeout:
		return now.UTC().Format(isoMillis) + " " + id + " " + f.Message + "\n\n"
	case f.Document == nil:
		return "RequestId: " + id + " Error: " + f.Message + "\n" + f.Type + "\n"
	default:
		return ""
	}
}

// Report is the last word on an invocation.
func Report(id string, u millicent.Usage, f *Failure) Event {
	return Event{
		kind: "platform.report", level: level(f, "INFO"), text: string(appendReport(nil, id, &u, f)), beside: beside{errorType: reported(f)},
		record: func() any { return reportRecord(id, u, f) },
	}
}

func reportRecord(id string, u millicent.Usage, f *Failure) any {
	type metrics struct {
		DurationMs       float64  `json:"durationMs"`
		BilledDurationMs int64    `json:"billedDurationMs"`
		MemorySizeMB     int      `json:"memorySizeMB"`
		MaxMemoryUsedMB  int      `json:"maxMemoryUsedMB"`
		InitDurationMs   *float64 `json:"initDurationMs,omitempty"`
		RestoreMs        *float64 `json:"restoreDurationMs,omitempty"`
		RestoreBilledMs  *int64   `json:"billedRestoreDurationMs,omitempty"`
		CPUTimeMs        *float64 `json:"cpuTimeMs,omitempty"` // ours, as is the next
		Fuel             uint64   `json:"fuel,omitempty"`
	}
	m := metrics{millis(u.Duration), u.Billed().Milliseconds(), u.MemoryMB, u.PeakMemoryMB, nil, nil, nil, nil, u.Fuel}
	if u.Init > 0 {
		init := millis(u.Init)
		m.InitDurationMs = &init
	}
	if u.Restore > 0 {
		restore, billed := millis(u.Restore), u.RestoreBilled.Milliseconds()
		m.RestoreMs, m.RestoreBilledMs = &restore, &billed
	}
	if u.Fuel > 0 {
		cpu := millis(u.CPU)
		m.CPUTimeMs = &cpu
	}
	return struct {
		RequestID string  `json:"requestId"`
		Metrics   metrics `json:"metrics"`
		Status    string  `json:"status"`
		ErrorType string  `json:"errorType,omitempty"`
	}{id, m, status(f), reported(f)}
}

// reportRoom is room for most reports.
const reportRoom = 192

// appendReport appends the report's text. It has Lambda's fields, and where
// instructions are counted two of ours. It names the status only of an end that
// the platform brought about; an error that the function answered is its own
// affair.
func appendReport(b []byte, id string, u *millicent.Usage, f *Failure) []byte {
	b = append(append(b, "REPORT RequestId: "...), id...)
	b = append(b, "\tDuration: "...)
	b = strconv.AppendFloat(b, millis(u.Duration), 'f', 2, 64)
	b = append(b, " ms\tBilled Duration: "...)
	b = strconv.AppendInt(b, u.Billed().Milliseconds(), 10)
	b = append(b, " ms\tMemory Size: "...)
	b = strconv.AppendInt(b, int64(u.MemoryMB), 10)
	b = append(b, " MB\tMax Memory Used: "...)
	b = strconv.AppendInt(b, int64(u.PeakMemoryMB), 10)
	b = append(b, " MB\t"...)
	if u.Init > 0 {
		b = append(b, "Init Duration: "...)
		b = strconv.AppendFloat(b, millis(u.Init), 'f', 2, 64)
		b = append(b, " ms\t"...)
	}
	if u.Restore > 0 {
		b = append(b, "Restore Duration: "...)
		b = strconv.AppendFloat(b, millis(u.Restore), 'f', 2, 64)
		b = append(b, " ms\tBilled Restore Duration: "...)
		b = strconv.AppendInt(b, u.RestoreBilled.Milliseconds(), 10)
		b = append(b, " ms\t"...)
	}
	if u.Fuel > 0 {
		b = append(b, "CPU Time: "...)
		b = strconv.AppendFloat(b, float64(u.CPU)/float64(time.Millisecond), 'f', 2, 64)
		b = append(b, " ms\tFuel: "...)
		b = append(strconv.AppendUint(b, u.Fuel, 10), '\t')
	}
	if f != nil && f.Fatal {
		b = append(b, statusFields(f)...)
	}
	return b
}
