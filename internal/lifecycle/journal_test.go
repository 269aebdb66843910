package lifecycle

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// testWait is longer than anything takes here.
const testWait = time.Minute

func exampleVersion() *millicent.Version {
	return &millicent.Version{
		Tenant: "000000000000", Function: "hello", Number: millicent.Latest,
		Runtime: "python3.11", Handler: "app.handler", Timeout: 3 * time.Second, MemoryMB: 128, TmpMB: 512,
	}
}

// memoryLog is a sink that keeps records.
type memoryLog struct {
	mu      sync.Mutex
	records []millicent.LogRecord
}

func (l *memoryLog) Write(rec millicent.LogRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, rec)
}

func (l *memoryLog) messages() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, rec := range l.records {
		list = append(list, rec.Message)
	}
	return list
}

func TestRecordsSayWhoseTheyAre(t *testing.T) {
	log := &memoryLog{}
	v := exampleVersion()
	j := NewJournal(log, v, "2026/01/02/[$LATEST]ab")
	j.Text("outside")
	begin(j, "id-1")
	j.Text("within\n")
	j.End()
	j.Text("outside again")
	for i, want := range []string{"", "id-1", "id-1", ""} {
		rec := log.records[i]
		if rec.Invocation != want || rec.Function != "hello" || rec.Tenant != v.Tenant || rec.Version != "$LATEST" || rec.Stream != "2026/01/02/[$LATEST]ab" {
			t.Errorf("record %d: %+v", i, rec)
		}
		if age := time.Since(time.UnixMicro(rec.Time)); age < 0 || age > testWait {
			t.Errorf("record %d is %v old", i, age)
		}
	}
	if diff := cmp.Diff([]string{"outside", "START RequestId: id-1 Version: $LATEST", "within", "outside again"}, log.messages()); diff != "" {
		t.Error(diff)
	}
}

// begin begins an invocation whose tail is wanted.
func begin(j *Journal, id string) {
	j.Begin(&millicent.Invocation{ID: id, Tail: true}, time.Now())
}

func TestTailHoldsTheLastFourKilobytesOfTheInvocation(t *testing.T) {
	j := NewJournal(&memoryLog{}, exampleVersion(), "s")
	begin(j, "id-1")
	j.Text("first")
	end := "END RequestId: id-1\nREPORT RequestId: id-1\tDuration: 0.00 ms\tBilled Duration: 0 ms\tMemory Size: 0 MB\tMax Memory Used: 0 MB\t\n"
	if got, want := string(j.Finish(&Ending{})), "START RequestId: id-1 Version: $LATEST\nfirst\n"+end; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	begin(j, "id-2")
	all := ""
	for i := range 3000 {
		line := strings.Repeat("x", i%50)
		j.Text(line)
		all += line + "\n"
	}
	all += strings.ReplaceAll(end, "id-1", "id-2")
	if got, want := string(j.Finish(&Ending{})), all[len(all)-4096:]; got != want {
		t.Errorf("got %d bytes that are not the last 4096", len(got))
	}
	j.Begin(&millicent.Invocation{ID: "id-3"}, time.Now())
	if got := j.Finish(&Ending{}); len(got) != 0 {
		t.Errorf("got %q, which nobody wanted", got)
	}
}

func TestTimesThatCannotBeRightAreReplaced(t *testing.T) {
	log := &memoryLog{}
	j := NewJournal(log, exampleVersion(), "s")
	recent := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	j.Line(recent, "kept")
	j.Line(time.UnixMicro(-1<<62), "far past")
	j.Line(time.UnixMicro(1<<62), "far future")
	if got := time.UnixMicro(log.records[0].Time); !got.Equal(recent) {
		t.Errorf("got %v, want %v", got, recent)
	}
	for _, rec := range log.records[1:] {
		if age := time.Since(time.UnixMicro(rec.Time)); age < 0 || age > testWait {
			t.Errorf("%s: got %v", rec.Message, time.UnixMicro(rec.Time))
		}
	}
}

func TestSystemLogLevelFiltersTheJSONEvents(t *testing.T) {
	write := func(format, level string) string {
		log := &memoryLog{}
		v := exampleVersion()
		v.LogFormat, v.SystemLogLevel = format, level
		j := NewJournal(log, v, "s")
		begin(j, "ID")
		j.Opened()
		j.Finish(&Ending{})
		j.Event(Report("ID", millicent.Usage{}, TimedOut(time.Second)))
		var kinds []string
		for _, m := range log.messages() {
			if _, rest, ok := strings.Cut(m, `"type":"platform.`); ok {
				m, _, _ = strings.Cut(rest, `"`)
			} else {
				m, _, _ = strings.Cut(m, " ")
			}
			kinds = append(kinds, m)
		}
		return strings.Join(kinds, " ")
	}
	for _, tt := range []struct{ format, level, want string }{
		{"Text", "", "START END REPORT REPORT"},
		{"", "WARN", "START END REPORT REPORT"},
		{"JSON", "DEBUG", "start runtimeDone report report"},
		{"JSON", "INFO", "start report report"},
		{"JSON", "", "start report report"},
		{"JSON", "WARN", "report"},
	} {
		if got := write(tt.format, tt.level); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.format, tt.level, got, tt.want)
		}
	}
}

func TestFirstEventComesFirstAndOnce(t *testing.T) {
	sink := &memoryLog{}
	j := NewJournal(sink, exampleVersion(), "stream")
	begin(j, "id-1")
	j.Text("a line")
	j.Opened()
	j.End()
	begin(j, "id-2")
	j.Opened()
	j.Text("a line")
	j.End()
	begin(j, "id-3") // which never began
	j.End()
	j.Opened() // too late
	want := []string{"START RequestId: id-1 Version: $LATEST", "a line", "START RequestId: id-2 Version: $LATEST", "a line"}
	if diff := cmp.Diff(want, sink.messages()); diff != "" {
		t.Error(diff)
	}
}
