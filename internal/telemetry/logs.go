package telemetry

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

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

func (cfg LogsConfig) withDefaults() LogsConfig {
	cfg.FileBytes = cmp.Or(cfg.FileBytes, 8<<20)
	cfg.FunctionBytes = cmp.Or(cfg.FunctionBytes, 64<<20)
	cfg.TotalBytes = cmp.Or(cfg.TotalBytes, 4<<30)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, 7*24*time.Hour)
	cfg.BufferBytes = cmp.Or(cfg.BufferBytes, 16<<20)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// gatherTime is how long records wait for others to be written with them, as
// long as there is room for more.
const gatherTime = 50 * time.Millisecond

// Logs keeps the functions' log records in files, bounded in size and age. It
// is safe for concurrent use.
type Logs struct {
	cfg    LogsConfig
	root   *os.Root
	buffer *buffer
	drops  drops
	syncs  chan chan struct{} // asks the writer to write all, and to close the answer
	done   chan struct{}      // closed when the writer has ended

	searching chan struct{} // holds a token while an invocation is searched for

	lines []byte                // the writer's
	spare []millicent.LogRecord // the writer's, for the buffer to go on with
	told  time.Time             // the writer's: when it last complained of the disk

	mu        sync.Mutex
	ended     bool // no followers any more
	journals  map[functionKey]*journal
	followers map[functionKey][]*buffer
	following int   // followers altogether
	total     int64 // bytes in files, about
}

// OpenLogs opens the logs in dir with the default bounds. Close them.
func OpenLogs(dir string) (*Logs, error) { return NewLogs(LogsConfig{Dir: dir}) }

// NewLogs opens the logs in cfg.Dir, which it makes if need be. Close them.
func NewLogs(cfg LogsConfig) (*Logs, error) {
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open logs: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open logs: %w", err)
	}
	l := &Logs{
		cfg:       cfg,
		root:      root,
		buffer:    newSharedBuffer(cfg.BufferBytes),
		syncs:     make(chan chan struct{}),
		done:      make(chan struct{}),
		searching: make(chan struct{}, 1),
		journals:  make(map[functionKey]*journal),
		followers: make(map[functionKey][]*buffer),
	}
	go l.run()
	return l, nil
}

// Write implements millicent.LogSink. Messages of more than 256 KB are cut
// off. After Close it does nothing.
func (l *Logs) Write(rec millicent.LogRecord) {
	rec.Message = cut(rec.Message)
	if !l.buffer.add(&rec) {
		l.drops.add(keyOf(&rec), drop{last: rec, records: 1, bytes: len(rec.Message), reason: reasonOverflow})
	}
}

// Close writes what is buffered, ends the followers and closes the files. It
// is idempotent.
func (l *Logs) Close() error {
	l.buffer.close()
	<-l.done
	return l.root.Close()
}

// run is the writer goroutine. It ends when the buffer is closed and empty.
func (l *Logs) run() {
	defer close(l.done)
	l.sweep(time.Now())
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	gathered := time.NewTimer(gatherTime)
	defer gathered.Stop()
	for {
		select {
		case <-l.buffer.wake:
			if !l.buffer.urgent() {
				gathered.Reset(gatherTime)
				continue
			}
			if closed := l.flush(); closed {
				l.endFollowers()
				return
			}
		case <-gathered.C:
			l.flush()
		case written := <-l.syncs:
			l.flush()
			close(written)
		case <-tick.C:
			l.sweep(time.Now())
		}
		if l.total > l.cfg.TotalBytes { // only this goroutine changes it
			l.sweep(time.Now())
		}
	}
}

// flush writes all that is buffered, function by function; closed says that
// nothing comes after it.
func (l *Logs) flush() (closed bool) {
	records, closed := l.buffer.take(l.spare)
	if !slices.IsSortedFunc(records, byFunction) { // those of a busy one mostly are
		slices.SortStableFunc(records, byFunction)
	}
	for rest := records; len(rest) > 0; {
		key, n := keyOf(&rest[0]), 1
		for n < len(rest) && keyOf(&rest[n]) == key {
			n++
		}
		if lost := l.put(key, rest[:n]); lost.records > 0 {
			l.drops.add(key, lost)
		}
		rest = rest[n:]
	}
	clear(records)
	l.spare = records
	for key, d := range l.drops.take() {
		if lost := l.put(key, []millicent.LogRecord{notice(d, time.Now())}); lost.records > 0 {
			l.drops.add(key, d)
		}
	}
	return closed
}

func byFunction(a, b millicent.LogRecord) int {
	if c := strings.Compare(a.Tenant, b.Tenant); c != 0 {
		return c
	}
	return strings.Compare(a.Function, b.Function)
}

// complainEvery is the least time between two complaints about the disk.
const complainEvery = 10 * time.Second

// put writes records of one function to its file and gives them to those who
// follow. It returns how many could not be written.
func (l *Logs) put(key functionKey, records []millicent.LogRecord) (lost drop) {
	if !key.valid() {
		l.cfg.Log.Warn("log records of an impossible name", "tenant", key.tenant, "function", key.name, "records", len(records))
		return drop{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	written, err := l.append(key, records)
	l.publish(key, records)
	if err == nil {
		return drop{}
	}
	lost.reason = reasonDisk
	for _, rec := range records[written:] {
		lost.records++
		lost.bytes += len(rec.Message)
		lost.last = rec
	}
	if now := time.Now(); now.Sub(l.told) >= complainEvery { // a full disk stays full for a while
		l.told = now
		l.cfg.Log.Error("log can't be written", "function", key.name, "records", lost.records, "error", err)
	}
	return lost
}

// errClosed answers readers after Close.
func errClosed() error {
	return &millicent.Error{
		Code:    millicent.CodeServerUnavailable,
		Message: "The server is stopping.",
		Err:     errors.New("logs are closed"),
	}
}
