package lifecycle

import (
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

const (
	tailSize = 4 << 10 // bytes of log that a caller may get with the answer
	tailRoom = 448     // what the platform's own lines take, and a little more

	// Times that a runtime gives its records are believed within these bounds.
	maxPast   = 15 * time.Minute
	maxFuture = time.Minute
)

// FormatJSON is the log format of versions that want JSON.
const FormatJSON = "JSON"

// A Journal writes an environment's log: the lines of the function, and the
// platform's own in the version's format. It is safe for concurrent use.
type Journal struct {
	sink   millicent.LogSink
	base   millicent.LogRecord // what all records have in common
	format string
	level  string // least level of the platform's JSON events

	mu         sync.Mutex
	invocation string    // that runs; empty when none does
	trace      string    // its trace header
	began      time.Time // when it did
	unopened   bool      // its first event is not written yet
	tailed     bool      // its tail is wanted
	tail       []byte
}

// NewJournal returns the journal of an environment with a log stream's name.
func NewJournal(sink millicent.LogSink, v *millicent.Version, stream string) *Journal {
	return &Journal{
		sink: sink,
		base: millicent.LogRecord{
			Tenant:   v.Tenant,
			Function: v.Function,
			Version:  v.Number,
			Stream:   stream,
		},
		format: v.LogFormat,
		level:  v.SystemLogLevel,
	}
}

// JSON reports whether the platform's lines are JSON events.
func (j *Journal) JSON() bool { return j.format == FormatJSON }

// Begin starts the log of an invocation that began at a time. Its first event
// is written before anything else about it is, or by Opened.
func (j *Journal) Begin(inv *millicent.Invocation, at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.invocation, j.trace, j.began, j.unopened = inv.ID, inv.TraceID, at, true
	j.tailed, j.tail = inv.Tail, nil
	if inv.Tail {
		j.tail = make([]byte, 0, tailRoom)
	}
}

// Opened writes the invocation's first event: it has begun.
func (j *Journal) Opened() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open()
}

// open is Opened with mu held.
func (j *Journal) open() {
	if !j.unopened {
		return
	}
	j.unopened = false
	if !j.JSON() {
		j.write(j.began, startText(j.invocation, j.base.Version), beside{})
		return
	}
	j.event(Start(j.invocation, j.base.Version, j.trace), j.began)
}

// An Ending is what the platform says of an invocation at its end.
type Ending struct {
	Usage    millicent.Usage
	Produced int64            // bytes that the function answered
	Failure  *Failure         // nil for a success
	Delay    *millicent.Delay // what kept it from running at once; nil if nothing did
}

// Finish writes an invocation's last events, ends its log, and returns the tail,
// which the caller keeps; nil where it was not wanted.
func (j *Journal) Finish(e *Ending) []byte {
	now := time.Now()
	with := beside{e.Delay, reported(e.Failure)}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open()
	if j.JSON() {
		j.event(RuntimeDone(j.invocation, e.Usage.Duration, e.Produced, e.Failure), now)
		last := Report(j.invocation, e.Usage, e.Failure)
		last.beside = with
		j.event(last, now)
		return j.end()
	}
	room := make([]byte, 0, 2*reportRoom)
	room = appendEnd(room, j.invocation)
	n := len(room)
	text := string(appendReport(room, j.invocation, &e.Usage, e.Failure))
	j.write(now, text[:n], beside{})
	j.write(now, text[n:], with)
	return j.end()
}

// End ends the log of an invocation that was not run to its end.
func (j *Journal) End() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.end()
}

// end ends the log and returns the tail. mu is held.
func (j *Journal) end() []byte {
	tail := j.tail
	j.invocation, j.trace, j.unopened, j.tailed, j.tail = "", "", false, false, nil
	return tail[max(0, len(tail)-tailSize):]
}

// Line writes one record. A zero time, or one that cannot be right, is now.
func (j *Journal) Line(at time.Time, message string) {
	now := time.Now()
	if at.Before(now.Add(-maxPast)) || at.After(now.Add(maxFuture)) {
		at = now
	}
	if n := len(message); n > 0 && message[n-1] == '\n' {
		message = message[:n-1]
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open()
	j.write(at, message, beside{})
}

// write writes a record. mu is held.
func (j *Journal) write(at time.Time, message string, with beside) {
	rec := j.base
	rec.Invocation = j.invocation
	rec.Time = at.UnixMicro()
	rec.Message = message
	rec.Delay, rec.ErrorType = with.Delay, with.errorType
	j.sink.Write(rec)
	if !j.tailed {
		return
	}
	j.tail = append(append(j.tail, message...), '\n')
	if len(j.tail) > 4*tailSize {
		j.tail = append(j.tail[:0], j.tail[len(j.tail)-tailSize:]...)
	}
}

// Text writes a line of the function's plain output.
func (j *Journal) Text(message string) { j.Line(time.Time{}, message) }

// Event writes an Event of the platform: its line of text, none if that is
// empty, or its JSON if the version logs JSON and wants the level.
func (j *Journal) Event(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open()
	j.event(e, time.Now())
}

// event is Event with mu held.
func (j *Journal) event(e Event, now time.Time) {
	if message := j.message(e, now); message != "" {
		j.write(now, message, e.beside)
	}
}

// message returns what the log says of an event, empty if nothing.
func (j *Journal) message(e Event, now time.Time) string {
	switch {
	case !j.JSON():
		return e.text
	case levelRank(e.level) >= levelRank(j.level):
		return e.json(now)
	default:
		return ""
	}
}

// Warn writes a notice of the platform to the function.
func (j *Journal) Warn(message string) {
	now := time.Now()
	if !j.JSON() {
		j.Line(now, now.UTC().Format(isoMillis)+" WARN millicent: "+message)
		return
	}
	j.Line(now, string(Encode(struct {
		Timestamp string `json:"timestamp"`
		Level     string `json:"level"`
		Message   string `json:"message"`
		Logger    string `json:"logger"`
	}{now.UTC().Format(isoMillis), "WARN", message, "millicent"})))
}

// levelRank orders the levels of the platform's events; the default is INFO.
func levelRank(level string) int {
	switch level {
	case "DEBUG":
		return 0
	case "WARN":
		return 2
	default:
		return 1
	}
}
