package escape

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/google/go-cmp/cmp"
)

const (
	wrongID     = `400 Bad Request {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`
	notNow      = `403 Forbidden {"errorMessage":"State transition from %FROM to %TO failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}`
	unknownPage = "404 Not Found 404 page not found"
)

func transition(from, to string) string {
	return strings.NewReplacer("%FROM", from, "%TO", to).Replace(notNow)
}

// TestForeignInvocations answers and fails invocations of others, while they
// run: ids are all that it would take, if a sandbox's Runtime API knew them.
func TestForeignInvocations(t *testing.T) {
	a := open(t)
	fn := a.attacker(nil)
	other := a.attacker(func(in *lambda.CreateFunctionInput) { in.FunctionName = aws.String(name(t, "other")) })
	// The other's invocation runs for a while, and says its id in the log.
	var held []string
	a.do(other, map[string]any{"do": "identify"}, &held)
	ids := []string{held[0], "00000000-0000-4000-8000-000000000000", "x", "%00", "..%2f..", "*"}
	var got []string
	a.during(func() {
		done := make(chan string)
		go func() { done <- a.call(other, map[string]any{"do": "identify", "hold": 1500}).Payload }()
		a.do(fn, map[string]any{"do": "foreign", "args": ids}, &got)
		if answer := <-done; strings.Contains(answer, "forged") {
			t.Errorf("the other's answer is forged: %s", answer)
		}
	})
	for i, answer := range got {
		if answer != wrongID {
			t.Errorf("id %q: got %q, want %q", ids[i/2], answer, wrongID)
		}
	}
}

// TestAnswersTwice answers an invocation three times: the first answer counts.
func TestAnswersTwice(t *testing.T) {
	a := open(t)
	fn := a.attacker(nil)
	a.during(func() {
		if got := a.call(fn, map[string]any{"do": "twice"}); got.Payload != `"first"` || got.Error != "" {
			t.Errorf("got %+v, want the first answer", got)
		}
	})
	var told []string
	a.do(fn, map[string]any{"do": "told"}, &told)
	want := []string{`202 Accepted {"status":"OK"}`, transition("RuntimeResponseSentState", "InvocationResponse"),
		transition("RuntimeResponseSentState", "InvocationErrorResponse")}
	if diff := cmp.Diff(told, want); diff != "" {
		t.Error(diff)
	}
}

// TestAsksAgain asks for the next event without an answer, once and many
// times at once: there is but the one that it has.
func TestAsksAgain(t *testing.T) {
	a := open(t)
	fn := a.attacker(nil)
	a.during(func() {
		var once string
		a.do(fn, map[string]any{"do": "again"}, &once)
		if once != "200 OK the same" {
			t.Errorf("got %q", once)
		}
		var many map[string]int
		a.do(fn, map[string]any{"do": "parallel", "n": 12}, &many)
		if many["200 OK the same"] != 12 {
			t.Errorf("got %v", many)
		}
	})
}

// TestWrongCalls makes calls that are not a runtime's to make at that time,
// and some that are nobody's.
func TestWrongCalls(t *testing.T) {
	a := open(t)
	fn := a.attacker(nil)
	want := map[string]string{
		"POST /init/error":                          transition("Running", "InitError"),
		"GET /restore/next":                         transition("Running", "RestoreReady"),
		"POST /restore/error":                       transition("Running", "RuntimeRestoreErrorState"),
		"POST /invocation/next":                     "405 Method Not Allowed Method Not Allowed",
		"DELETE /invocation/ID/response":            "405 Method Not Allowed Method Not Allowed",
		"GET /invocation/ID/response":               "405 Method Not Allowed Method Not Allowed",
		"POST /invocation//response":                "404 Not Found 404 page not found or 400 …",
		"POST /invocation/ID/response/x":            unknownPage,
		"GET /../../_millicent/info":                unknownPage,
		"GET /../../2015-03-31/functions":           unknownPage,
		"GET /../../2020-01-01/extension/x":         unknownPage,
		"POST /../../2020-01-01/logs":               unknownPage,
		"GET /../../2020-08-15/logs":                unknownPage,
		"GET /../../debug/pprof/":                   unknownPage,
		"GET /../../metrics":                        unknownPage,
		"CONNECT /invocation/next":                  "405 Method Not Allowed Method Not Allowed",
		"POST /../../2020-01-01/extension/register": `403 Forbidden {"errorMessage":"Empty extension name","errorType":"Extension.InvalidExtensionName"}`,
	}
	var calls []string
	for call := range want {
		calls = append(calls, call)
	}
	var got []string
	a.during(func() { a.do(fn, map[string]any{"do": "calls", "args": calls}, &got) })
	for i, call := range calls {
		if o := (attempt{want: want[call]}); !o.met(got[i]) {
			t.Errorf("%s: got %q, want %q", call, got[i], want[call])
		}
	}
}

// TestRawRequests sends what is no proper HTTP: headers beyond all bounds, and
// requests with two lengths, by which one could smuggle a second.
func TestRawRequests(t *testing.T) {
	a := open(t)
	fn := a.attacker(nil)
	const to = "POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\nHost: x\r\n"
	smuggled := "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
	want := map[string]string{
		to + "X: " + strings.Repeat("x", 3<<20) + "\r\n\r\n":                                       "HTTP/1.1 431 …",
		to + strings.Repeat("X: y\r\n", 1<<18) + "\r\n":                                            "HTTP/1.1 431 …",
		to + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + smuggled:                      "HTTP/1.1 400 …",
		to + "Content-Length: -1\r\n\r\n":                                                          "HTTP/1.1 400 …",
		to + "Content-Length: 99999999999999999999\r\n\r\n":                                        "HTTP/1.1 400 …",
		to + "Transfer-Encoding: x\r\n\r\n":                                                        "HTTP/1.1 501 …",
		to + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled:                    "HTTP/1.1 501 …",
		to + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled:                             "HTTP/1.1 400 …",
		"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc": "HTTP/1.1 400 …",
		"GET /2018-06-01/ping HTTP/1.1\r\n\r\n":                                                    "HTTP/1.1 400 …",
		"GET /2018-06-01/ping HTTP/9.9\r\nHost: x\r\n\r\n":                                         "HTTP/1.1 505 …",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                         "HTTP/1.1 505 … or HTTP/1.1 400 …",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n":                                     "HTTP/1.1 400 …",
		"GET /2018-06-01/ping HTTP/1.1\r\nHost: x\r\nX: a\r\n b\x00\r\n\r\n":                       "HTTP/1.1 400 …",
	}
	var requests []string
	for request := range want {
		requests = append(requests, request)
	}
	var got []string
	a.during(func() {
		for batch := range batches(requests, 2) { // an event has 6 MB at most
			var some []string
			a.do(fn, map[string]any{"do": "raw", "args": batch}, &some)
			got = append(got, some...)
		}
	})
	for i, request := range requests {
		if o := (attempt{want: want[request]}); !o.met(got[i]) {
			t.Errorf("%.100q: got %q, want %q", request, got[i], want[request])
		}
	}
}

func batches(all []string, size int) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(all) > 0 {
			n := min(size, len(all))
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// TestSlowAnswers opens connections with half a header, and answers a byte at
// a time: the function's own time runs out, and nobody else's.
func TestSlowAnswers(t *testing.T) {
	a := open(t)
	fn := a.attacker(with(256, 0, 3))
	a.during(func() {
		a.fails(a.call(fn, map[string]any{"do": "hoard", "n": 64, "hold": 10000}), "Task timed out after 3.00 seconds")
		a.fails(a.call(fn, map[string]any{"do": "dribble"}), "Task timed out after 3.00 seconds")
	})
	a.alive(fn)
	if used := serverMemory(t, a.PID()); used > 1<<30 {
		t.Errorf("the server has %d MB of memory", used>>20)
	}
}

// TestHugeAnswers answers with more than there may be, and without an end.
func TestHugeAnswers(t *testing.T) {
	const tooLarge = `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`
	for name, event := range map[string]map[string]any{
		"7 MB":   {"do": "large", "n": 7},
		"200 MB": {"do": "large", "n": 200},
		"no end": {"do": "endless"},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t)
			fn := a.attacker(with(1769, 0, 20))
			a.during(func() {
				if got := a.call(fn, event); got.Payload != tooLarge || got.Error != "Unhandled" {
					t.Errorf("got %.300s (%s)", got.Payload, got.Error)
				}
			})
			a.alive(fn)
			if used := serverMemory(t, a.PID()); used > 1<<30 {
				t.Errorf("the server has %d MB of memory", used>>20)
			}
		})
	}
}

// TestForgedLogs writes frames of the log channel that lie, and lines that
// look like the platform's: they are in the function's own log, at a time
// that can be, and in nobody else's.
func TestForgedLogs(t *testing.T) {
	a := open(t)
	fn := a.python("bombs.handler", nil)
	const forged = "REPORT RequestId: 00000000-0000-4000-8000-000000000000\tDuration: 0.01 ms\tforged"
	begin := time.Now()
	var ok string
	a.during(func() {
		a.do(fn, map[string]any{"do": "frames", "n": 3, "args": []string{forged, `{"type":"platform.report"}`}}, &ok)
	})
	type record struct {
		Function string
		Time     int64
		Message  string
	}
	read := func(fn string) (records []record) {
		for line := range strings.Lines(a.CLI(t, "logs", fn, "--json")) {
			var r record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			records = append(records, r)
		}
		return records
	}
	seen := 0
	for _, r := range read(fn) {
		at := time.UnixMicro(r.Time)
		if at.Before(begin.Add(-time.Minute)) || at.After(time.Now().Add(time.Minute)) {
			t.Errorf("a record of %v", at)
		}
		if r.Function != fn {
			t.Errorf("a record of %s", r.Function)
		}
		if len(r.Message) > 256<<10 {
			t.Errorf("a record of %d bytes", len(r.Message))
		}
		if r.Message == forged {
			seen++
		}
	}
	if seen != 3 {
		t.Errorf("the forged line is there %d times, want 3: as two frames and as text", seen)
	}
	for _, r := range read(a.victim) {
		if strings.Contains(r.Message, "forged") || r.Function != a.victim {
			t.Errorf("in the victim's log: %+v", r)
		}
	}
}
