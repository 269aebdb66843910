// Package telemetry keeps, tails and exports function logs and metrics.
package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/millicent-run/millicent"
)

// Logs keeps the functions' log records in files, bounded in size and age.
type Logs struct{}

// LogsConfig bounds what Logs keep. Zero values take the defaults.
type LogsConfig struct {
	Dir           string
	FileBytes     int64         // a file's size when the next one is begun; default 8 MB
	FunctionBytes int64         // kept per function; default 64 MB
	TotalBytes    int64         // kept of all functions; default 4 GB
	MaxAge        time.Duration // how long records are kept; default 7 days
	BufferBytes   int           // records not written yet; default 16 MB
	Log           *slog.Logger
}

// NewLogs opens the logs in cfg.Dir. Close them.
func NewLogs(cfg LogsConfig) (*Logs, error) { panic("not built") }

// OpenLogs opens the logs in dir.
func OpenLogs(dir string) (*Logs, error) { panic("not built") }

// Write implements millicent.LogSink.
func (l *Logs) Write(rec millicent.LogRecord) { panic("not built") }

// Query selects records.
type Query struct {
	Tenant, Function string
	Since            time.Time
	Limit            int // newest so many; zero means 1000
}

// Read returns matching records, oldest first.
func (l *Logs) Read(ctx context.Context, q Query) ([]millicent.LogRecord, error) {
	panic("not built")
}

// Follow calls emit for matching records, those kept first, until ctx ends or
// emit returns an error.
func (l *Logs) Follow(ctx context.Context, q Query, emit func(millicent.LogRecord) error) error {
	panic("not built")
}

// Close writes what is buffered and closes the files.
func (l *Logs) Close() error { panic("not built") }

// A Load is what the environments of this node use at a moment. Its fields
// are those of the scheduler's Load, which converts to it.
type Load struct {
	Launching, Idle, Busy, Closing int // environments by state

	MemoryMB int // configured memory of all of these
	Waiting  int // invocations that wait for room
}

// Metrics counts what the platform does, for Prometheus.
type Metrics struct{}

// NewMetrics returns Metrics that ask load, which may be nil, at each scrape.
func NewMetrics(load func() Load) *Metrics { panic("not built") }

// Invoked counts an invocation at its end; res is nil when the platform
// refused or failed, and err then says why. It satisfies invoke.Observer.
func (m *Metrics) Invoked(inv *millicent.Invocation, res *millicent.Result, err error) {
	panic("not built")
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler { panic("not built") }
