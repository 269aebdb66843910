package millicent

import "time"

// An Explanation tells how one invocation went: what its report says, and
// what kept it from running at once.
type Explanation struct {
	Invocation  string    `json:"requestId"`
	Function    string    `json:"function"`
	Version     string    `json:"version"`               // number of the one that ran
	Environment string    `json:"environment,omitempty"` // its log stream
	Time        time.Time `json:"time"`                  // when it was reported
	Report      *Report   `json:"report,omitempty"`      // nil while it runs, and where its log leaves reports out
	Delay       *Delay    `json:"delay,omitempty"`       // nil for one that met an idle environment
}

// A Report is the platform's last word on an invocation.
type Report struct {
	DurationMs   float64 `json:"durationMs"`
	InitMs       float64 `json:"initDurationMs,omitempty"`
	MemoryMB     int     `json:"memorySizeMB"`
	PeakMemoryMB int     `json:"maxMemoryUsedMB"`
	Status       string  `json:"status,omitempty"` // success, error, timeout or failure; empty while it is not known
	ErrorType    string  `json:"errorType,omitempty"`
}
