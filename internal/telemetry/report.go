package telemetry

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/millicent-run/millicent"
)

// parseReport reads the report on the invocation of an id, in either log
// format; false when message is something else.
func parseReport(message, id string) (*millicent.Report, bool) {
	if strings.HasPrefix(message, "{") {
		return parseReportJSON(message, id)
	}
	text, ok := strings.CutPrefix(message, "REPORT RequestId: "+id+"\t")
	if !ok {
		return nil, false
	}
	rep := new(millicent.Report)
	for field := range strings.SplitSeq(text, "\t") {
		name, value, _ := strings.Cut(field, ": ")
		switch name {
		case "Duration":
			rep.DurationMs = quantity(value, " ms")
		case "Init Duration":
			rep.InitMs = quantity(value, " ms")
		case "Memory Size":
			rep.MemoryMB = int(quantity(value, " MB"))
		case "Max Memory Used":
			rep.PeakMemoryMB = int(quantity(value, " MB"))
		case "Status":
			rep.Status = value
		case "Error Type":
			rep.ErrorType = value
		}
	}
	return rep, true
}

// most is more than any duration or memory that is reported.
const most = 1e12

// quantity reads a number with its unit; zero if it is none.
func quantity(s, unit string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, unit), 64)
	if err != nil {
		return 0
	}
	return sensible(n)
}

// sensible makes a number of a log line one that can have been measured.
func sensible(n float64) float64 {
	if math.IsNaN(n) {
		return 0
	}
	return min(max(n, 0), most)
}

func parseReportJSON(message, id string) (*millicent.Report, bool) {
	var e struct {
		Type   string `json:"type"`
		Record struct {
			RequestID string `json:"requestId"`
			Metrics   struct {
				DurationMs      float64 `json:"durationMs"`
				InitDurationMs  float64 `json:"initDurationMs"`
				MemorySizeMB    float64 `json:"memorySizeMB"`
				MaxMemoryUsedMB float64 `json:"maxMemoryUsedMB"`
			} `json:"metrics"`
			Status    string `json:"status"`
			ErrorType string `json:"errorType"`
		} `json:"record"`
	}
	if json.Unmarshal([]byte(message), &e) != nil || e.Type != "platform.report" || e.Record.RequestID != id {
		return nil, false
	}
	m := e.Record.Metrics
	return &millicent.Report{
		DurationMs: sensible(m.DurationMs), InitMs: sensible(m.InitDurationMs),
		MemoryMB: int(sensible(m.MemorySizeMB)), PeakMemoryMB: int(sensible(m.MaxMemoryUsedMB)),
		Status: e.Record.Status, ErrorType: e.Record.ErrorType,
	}, true
}
