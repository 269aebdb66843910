package process

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// testWait bounds what must happen soon; only a failing test waits so long.
const testWait = time.Minute

// An apiTest is a session with its Runtime API on a listener.
type apiTest struct {
	t       *testing.T
	session *session
	api     *runtimeAPI
	addr    string
	client  *http.Client
}

func newAPITest(t *testing.T) *apiTest {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(exampleVersion())
	srv := serveRuntimeAPI(s, runListener{l.(*net.TCPListener)}, slog.New(slog.DiscardHandler))
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return &apiTest{t, s, srv, l.Addr().String(), client}
}

// A reply is an answer of the API.
type reply struct {
	Status int
	Body   string
	header http.Header
}

func (a *apiTest) do(method, path, body string, header ...string) reply {
	a.t.Helper()
	req, err := http.NewRequest(method, "http://"+a.addr+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return reply{res.StatusCode, string(data), res.Header}
}

func (a *apiTest) next() reply {
	a.t.Helper()
	return a.do("GET", "/2018-06-01/runtime/invocation/next", "")
}

func (a *apiTest) respond(id, body string, header ...string) reply {
	a.t.Helper()
	return a.do("POST", "/2018-06-01/runtime/invocation/"+id+"/response", body, header...)
}

func (a *apiTest) fail(id, body string, header ...string) reply {
	a.t.Helper()
	return a.do("POST", "/2018-06-01/runtime/invocation/"+id+"/error", body, header...)
}

// offer gives an invocation to the session once the runtime waits for one.
func (a *apiTest) offer(inv *millicent.Invocation) *turn {
	a.t.Helper()
	turn := newTurn(inv, time.UnixMilli(1_700_000_000_123))
	a.offerTurn(turn)
	return turn
}

func (a *apiTest) offerTurn(turn *turn) {
	a.t.Helper()
	select {
	case <-a.session.watch((*session).idle).met:
	case <-time.After(testWait):
		a.t.Fatal("the runtime did not ask for an event")
	}
	if !a.session.offer(turn) {
		a.t.Fatal("the session refused the turn")
	}
}

// running returns a turn that the runtime has been given.
func (a *apiTest) running(id string) *turn {
	a.t.Helper()
	got := make(chan reply, 1)
	go func() { got <- a.next() }()
	turn := a.offer(&millicent.Invocation{ID: id, Event: []byte(`{"id":"` + id + `"}`)})
	select {
	case r := <-got:
		if r.Status != http.StatusOK {
			a.t.Fatalf("next: got %d %s", r.Status, r.Body)
		}
	case <-time.After(testWait):
		a.t.Fatal("the event did not arrive")
	}
	return turn
}

func (a *apiTest) outcome(turn *turn) *outcome {
	a.t.Helper()
	out, _ := a.session.abandon(turn)
	return out
}

func want(t *testing.T, got reply, status int, body string) {
	t.Helper()
	if got.Status != status || strings.TrimSuffix(got.Body, "\n") != body {
		t.Errorf("got %d %s, want %d %s", got.Status, got.Body, status, body)
	}
}

const (
	accepted         = `{"status":"OK"}`
	invalidRequestID = `{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`
)

func transition(from, to string) string {
	return fmt.Sprintf(`{"errorMessage":"State transition from %s to %s failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}`, from, to)
}

func TestNextCarriesTheEventAndItsHeaders(t *testing.T) {
	a := newAPITest(t)
	got := make(chan reply, 1)
	go func() { got <- a.next() }()
	a.offer(&millicent.Invocation{
		ID: "id-1", ARN: "arn:aws:lambda:r:1:function:f", Event: []byte(`[1]`),
		TraceID: "Root=1-2", ClientContext: []byte(`{"client":{}}`),
	})
	r := <-got
	want(t, r, 200, `[1]`)
	for name, value := range map[string]string{
		"Lambda-Runtime-Aws-Request-Id":       "id-1",
		"Lambda-Runtime-Deadline-Ms":          "1700000000123",
		"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:r:1:function:f",
		"Lambda-Runtime-Trace-Id":             "Root=1-2",
		"Lambda-Runtime-Client-Context":       `{"client":{}}`,
		"Content-Type":                        "application/json",
	} {
		if got := r.header.Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
}

func TestEmptyPartsOfAnEventAreLeftOut(t *testing.T) {
	a := newAPITest(t)
	got := make(chan reply, 1)
	go func() { got <- a.next() }()
	a.offer(&millicent.Invocation{ID: "id-1"})
	r := <-got
	want(t, r, 200, `{}`)
	for _, name := range []string{"Lambda-Runtime-Trace-Id", "Lambda-Runtime-Client-Context", "Lambda-Runtime-Cognito-Identity", "Lambda-Runtime-Invoked-Function-Arn"} {
		if _, ok := r.header[name]; ok {
			t.Errorf("%s is there", name)
		}
	}
}

func TestResponseIsTheOutcome(t *testing.T) {
	a := newAPITest(t)
	turn := a.running("id-1")
	want(t, a.respond("id-1", `"done"`), 202, accepted)
	out := a.outcome(turn)
	if out == nil || out.failure != nil || string(out.payload) != `"done"` {
		t.Errorf("got %+v", out)
	}
}

func TestErrorDocumentIsKeptVerbatim(t *testing.T) {
	tests := []struct{ given, want string }{
		{"Function.MyError", "Function.MyError"},
		{"Runtime.UnmarshalError", "Runtime.UnmarshalError"},
		{"Exception", "Function.Unknown"},
		{"Function.lower", "Function.Unknown"},
		{"Function.X" + strings.Repeat("x", 200), "Function.Unknown"},
		{"xFunction.Upper", "Function.Unknown"},
		{"", "Function.Unknown"},
	}
	for _, tt := range tests {
		a := newAPITest(t)
		turn := a.running("id-1")
		const doc = `{ "errorMessage" : "so & so" }  `
		want(t, a.fail("id-1", doc, "Lambda-Runtime-Function-Error-Type", tt.given), 202, accepted)
		f := a.outcome(turn).failure
		if f == nil || string(f.Payload("id-1")) != doc || f.Type != tt.want || f.Fatal {
			t.Errorf("%q: got %+v, want type %q", tt.given, f, tt.want)
		}
	}
}

func TestErrorCauseIsTakenOutOfItsDocument(t *testing.T) {
	a := newAPITest(t)
	turn := a.running("id-1")
	a.fail("id-1", `{"errorMessage":"m","errorType":"T","stackTrace":["a"],"errorCause":{"exceptions":[]}}`,
		"Content-Type", "application/vnd.aws.lambda.error.cause+json")
	if got, want := string(a.outcome(turn).failure.Document), `{"errorMessage":"m","errorType":"T","stackTrace":["a"]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWrongRequestIDIsRefused(t *testing.T) {
	a := newAPITest(t)
	want(t, a.respond("id-1", "{}"), 400, invalidRequestID)
	turn := a.running("id-1")
	want(t, a.respond("id-2", "{}"), 400, invalidRequestID)
	want(t, a.fail("id-2", "{}"), 400, invalidRequestID)
	if out := a.outcome(turn); out != nil {
		t.Errorf("got outcome %+v of somebody else", out)
	}
}

func TestStaleAnswerIsRefusedAndReachesNobody(t *testing.T) {
	a := newAPITest(t)
	first := a.running("id-1")
	a.session.abandon(first) // its time is over
	want(t, a.respond("id-1", `"late"`), 400, invalidRequestID)
	if first.outcome != nil {
		t.Errorf("got %+v after the end", first.outcome)
	}

	b := newAPITest(t)
	b.running("id-1")
	b.respond("id-1", "1")
	second := b.running("id-2")
	want(t, b.respond("id-1", `"crossed"`), 400, invalidRequestID)
	want(t, b.respond("id-2", `"mine"`), 202, accepted)
	if got := string(b.outcome(second).payload); got != `"mine"` {
		t.Errorf("got %s", got)
	}
}

func TestCallsInTheWrongOrderAreRefused(t *testing.T) {
	a := newAPITest(t)
	turn := a.running("id-1")
	want(t, a.do("POST", "/2018-06-01/runtime/init/error", "{}"), 403, transition("Running", "InitError"))
	want(t, a.respond("id-1", "1"), 202, accepted)
	want(t, a.respond("id-1", "2"), 403, transition("RuntimeResponseSentState", "InvocationResponse"))
	want(t, a.fail("id-1", "3"), 403, transition("RuntimeResponseSentState", "InvocationErrorResponse"))
	if got := string(a.outcome(turn).payload); got != "1" {
		t.Errorf("got %s, want the first answer", got)
	}

	b := newAPITest(t)
	want(t, b.do("POST", "/2018-06-01/runtime/init/error", `{"errorMessage":"x"}`), 202, accepted)
	want(t, b.next(), 403, transition("InitError", "Ready"))
	want(t, b.do("POST", "/2018-06-01/runtime/init/error", "{}"), 403, transition("InitError", "InitError"))

	c := newAPITest(t)
	want(t, c.do("GET", "/2018-06-01/runtime/restore/next", ""), 403, transition("Started", "RestoreReady"))
	want(t, c.do("POST", "/2018-06-01/runtime/restore/error", ""), 403, transition("Started", "RuntimeRestoreErrorState"))
}

func TestNextWhileRunningReturnsTheSameEvent(t *testing.T) {
	a := newAPITest(t)
	a.running("id-1")
	want(t, a.next(), 200, `{"id":"id-1"}`)
}

func TestEventGoesToOneOfTwoThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(exampleVersion())
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan string, 2)
		for range 2 {
			go func() {
				rec := httptest.NewRecorder()
				s.next(rec, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
				served <- rec.Body.String()
			}()
		}
		synctest.Wait()
		if !s.offer(newTurn(&millicent.Invocation{ID: "id-1", Event: []byte("1")}, time.Now())) {
			t.Fatal("the turn was refused")
		}
		synctest.Wait()
		if got := len(served); got != 1 {
			t.Fatalf("%d of two got the event", got)
		}
		if got := <-served; got != "1" {
			t.Errorf("got %q", got)
		}
		cancel()
		if got := <-served; got != "" {
			t.Errorf("the other got %q", got)
		}
	})
}

func TestInitErrorIsKept(t *testing.T) {
	a := newAPITest(t)
	const doc = `{"errorMessage":"no module","errorType":"Runtime.ImportModuleError","requestId":"","stackTrace":[]}`
	want(t, a.do("POST", "/2018-06-01/runtime/init/error", doc, "Lambda-Runtime-Function-Error-Type", "Runtime.ImportModuleError"), 202, accepted)
	f := a.session.initFailure()
	if f == nil || string(f.Payload("id")) != doc || f.Type != "Runtime.ImportModuleError" || !f.Fatal {
		t.Errorf("got %+v", f)
	}
}

func TestResponseOfTheLimitPassesAndOneByteMoreIsRefused(t *testing.T) {
	a := newAPITest(t)
	turn := a.running("id-1")
	want(t, a.respond("id-1", strings.Repeat("x", 6291556)), 202, accepted)
	if got := len(a.outcome(turn).payload); got != 6291556 {
		t.Errorf("got %d bytes", got)
	}
	turn = a.running("id-2")
	want(t, a.respond("id-2", strings.Repeat("x", 6291557)), 413,
		`{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}`)
	const doc = `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`
	if f := a.outcome(turn).failure; f == nil || string(f.Payload("")) != doc || f.Fatal {
		t.Errorf("got %+v", f)
	}
	a.running("id-3") // the runtime goes on
}

func TestRefusalOfAMuchTooLargeResponseArrives(t *testing.T) {
	a := newAPITest(t)
	a.running("id-1")
	if r := a.respond("id-1", strings.Repeat("x", 32<<20)); r.Status != 413 {
		t.Errorf("got %d %s", r.Status, r.Body)
	}
}

func TestResponseModeIsChecked(t *testing.T) {
	a := newAPITest(t)
	turn := a.running("id-1")
	want(t, a.respond("id-1", "{}", "Lambda-Runtime-Function-Response-Mode", "sideways"), 400,
		`{"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}`)
	if f := a.outcome(turn).failure; f == nil || f.Type != "Runtime.InvalidResponseModeHeader" {
		t.Errorf("got %+v", f)
	}
	turn = a.running("id-2")
	want(t, a.respond("id-2", "streamed", "Lambda-Runtime-Function-Response-Mode", "streaming"), 202, accepted)
	if out := a.outcome(turn); out.failure != nil || string(out.payload) != "streamed" {
		t.Errorf("got %+v", out)
	}
}

func TestErrorInTrailersReplacesAStreamedResponse(t *testing.T) {
	a := newAPITest(t)
	turn := a.running("id-1")
	doc := `{"errorMessage":"broke off","errorType":"E"}`
	pr, pw := io.Pipe()
	req, err := http.NewRequest("POST", "http://"+a.addr+"/2018-06-01/runtime/invocation/id-1/response", pr)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
	req.Trailer = http.Header{"Lambda-Runtime-Function-Error-Type": nil, "Lambda-Runtime-Function-Error-Body": nil}
	go func() {
		_, _ = io.WriteString(pw, "half a resp")
		req.Trailer.Set("Lambda-Runtime-Function-Error-Type", "Function.Broken")
		req.Trailer.Set("Lambda-Runtime-Function-Error-Body", base64.StdEncoding.EncodeToString([]byte(doc)))
		pw.Close()
	}()
	res, err := a.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	f := a.outcome(turn).failure
	if res.StatusCode != 202 || f == nil || f.Type != "Function.Broken" || string(f.Payload("")) != doc {
		t.Errorf("got %d, %+v", res.StatusCode, f)
	}
}

func TestTruncatedResponseIsRefused(t *testing.T) {
	a := newAPITest(t)
	turn := a.running("id-1")
	conn, err := net.Dial("tcp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	want(t, reply{res.StatusCode, string(body), nil}, 400, `{"errorMessage":"HTTP request detected as truncated","errorType":"TruncatedHTTPRequest"}`)
	if f := a.outcome(turn).failure; f == nil || f.Type != "Runtime.TruncatedResponse" || !f.Fatal {
		t.Errorf("got %+v", f)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	a := newAPITest(t)
	turn := a.running("id-1")
	want(t, a.fail("id-1", "{}", "Lambda-Runtime-Function-Xray-Error-Cause", strings.Repeat("x", 1<<20-1)), 202, accepted)
	if a.outcome(turn) == nil {
		t.Error("a large cause was refused")
	}
	turn = a.running("id-2")
	req, err := http.NewRequest("POST", "http://"+a.addr+"/2018-06-01/runtime/invocation/id-2/response", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Much", strings.Repeat("x", 2<<20))
	if res, err := a.client.Do(req); err == nil { // else the server hung up on it
		res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %d", res.StatusCode)
		}
	}
	if out := a.outcome(turn); out != nil {
		t.Errorf("got %+v", out)
	}
}

func TestPing(t *testing.T) {
	if r := newAPITest(t).do("GET", "/2018-06-01/ping", ""); r.Status != 200 {
		t.Errorf("got %d", r.Status)
	}
}

func TestUnknownPathsAreNotFound(t *testing.T) {
	a := newAPITest(t)
	if r := a.do("GET", "/2018-06-01/runtime/nothing", ""); r.Status != 404 {
		t.Errorf("got %d", r.Status)
	}
	if r := a.do("POST", "/2018-06-01/runtime/invocation/next", ""); r.Status != 405 {
		t.Errorf("got %d", r.Status)
	}
}

func FuzzErrorDocument(f *testing.F) {
	f.Add([]byte(`{"errorMessage":"m","errorCause":{}}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := withoutCause(body)
		if cmp.Equal(got, body) {
			return
		}
		if again := withoutCause(got); !cmp.Equal(again, got) {
			t.Errorf("%q became %q, then %q", body, got, again)
		}
	})
}
