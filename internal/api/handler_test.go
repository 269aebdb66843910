package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
)

func TestRouting(t *testing.T) {
	f := newFixture(false)
	for _, c := range []struct {
		method, host, path string
		status             int
		body               string
	}{
		{"GET", "", "/2015-03-31/functions", 200, "{}"},
		{"GET", "", "/_millicent/health", 200, `{"status":"ok"}` + "\n"},
		{"GET", "", "/_millicent/info", 200, `{"version":"test"`},
		{"GET", "", "/_millicent/nothing", 404, "No such endpoint: GET /_millicent/nothing"},
		{"POST", "", "/_millicent/health", 404, "No such endpoint"},
		{"GET", "", "/metrics", 200, "metrics"},
		{"POST", "", "/metrics", 404, "Nothing is served at POST /metrics"},
		{"GET", "", "/_url/" + testURL + "/a", 200, "called"},
		{"GET", "", "/_url/nope/", 403, `{"Message":null}`},
		{"GET", testURL + ".lambda-url.us-east-1.localhost:4566", "/2015-03-31/functions", 200, "called"},
		{"GET", testURL + ".lambda-url.us-east-1.example.com", "/", 200, "called"},
		{"GET", testURL + ".lambda-url.eu-west-1.localhost", "/", 403, `{"Message":null}`},
		{"GET", "", "/", 404, `{"message":"Nothing is served at GET /"}`},
		{"PUT", "", "/bucket/key", 404, "Nothing is served at PUT /bucket/key"},
	} {
		r := newRequest(c.method, c.path, "")
		if c.host != "" {
			r.Host = c.host
		}
		resp, body := f.do(t, f, r)
		if resp.StatusCode != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s %s%s: got %d %s, want %d %s", c.method, c.host, c.path, resp.StatusCode, body, c.status, c.body)
		}
		if _, err := uuid.Parse(resp.Header.Get("X-Amzn-Requestid")); err != nil {
			t.Errorf("%s %s%s: request id %v", c.method, c.host, c.path, err)
		}
	}
}

// TestPlain: only invocations are that no function URL gets.
func TestPlain(t *testing.T) {
	f := newFixture(false)
	for _, c := range []struct {
		method, host, path string
		want               bool
	}{
		{"POST", "localhost:4566", "/2015-03-31/functions/f/invocations", true},
		{"POST", "localhost:4566", "/2015-03-31/functions/f:live/invocations?Qualifier=live", true},
		{"POST", "localhost:4566", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations", true},
		{"POST", testURL + ".lambda-url.us-east-1.localhost:4566", "/2015-03-31/functions/f/invocations", false},
		{"POST", "localhost", "/_url/" + testURL + "/2015-03-31/functions/f/invocations", false},
		{"POST", "localhost", "/2021-11-15/functions/f/response-streaming-invocations", false},
		{"GET", "localhost", "/2015-03-31/functions/f/invocations", false},
		{"POST", "localhost", "/2015-03-31/functions", false},
		{"GET", "localhost", "/_millicent/logs?follow=1", false},
	} {
		r := newRequest(c.method, c.path, "")
		r.Host = c.host
		if got := f.Plain(r); got != c.want {
			t.Errorf("%s %s%s: got %t", c.method, c.host, c.path, got)
		}
	}
}

// TestEmptyAnswer: what writes nothing has answered, and is logged so.
func TestEmptyAnswer(t *testing.T) {
	f := newFixture(false)
	f.lambda.empty = true
	if resp, body := f.do(t, f, newRequest("GET", "/2015-03-31/functions", "")); resp.StatusCode != 200 || body != "" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
	if log := f.log.String(); !strings.Contains(log, "msg=request ") || !strings.Contains(log, "status=200") {
		t.Errorf("got log %s", log)
	}
}

// A writeDeadline notes until when a client may take an answer.
type writeDeadline struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (w *writeDeadline) SetWriteDeadline(t time.Time) error {
	w.until = t
	return nil
}

// TestUnreadAnswers: an answer has to be taken in time, also one without a
// body, which is written when all has returned.
func TestUnreadAnswers(t *testing.T) {
	for _, empty := range []bool{true, false} {
		f := newFixture(false)
		f.lambda.empty = empty
		w := &writeDeadline{ResponseRecorder: httptest.NewRecorder()}
		f.ServeHTTP(w, newRequest("GET", "/2015-03-31/functions", ""))
		if w.Code != http.StatusOK || (w.Body.Len() == 0) != empty || w.until.IsZero() {
			t.Errorf("got %d %q, which may take until %v", w.Code, w.Body, w.until)
		}
	}
}

func TestOtherService(t *testing.T) {
	f := newFixture(false)
	_, body := f.do(t, f, signed(t, "POST", "/", "Action=GetCallerIdentity", func(s *signing, _ *http.Request) { s.service = "sts" }))
	if !strings.Contains(body, `it does not serve \"sts\"`) {
		t.Errorf("got %s", body)
	}
}

// TestNeedsSignature walks what needs a signature, and what never does.
func TestNeedsSignature(t *testing.T) {
	f := newFixture(true)
	for path, status := range map[string]int{
		"/2015-03-31/functions": 403, "/metrics": 403, "/_millicent/info": 403, "/_millicent/keys": 403, "/nothing": 403,
		"/_millicent/health": 200, "/_url/" + testURL + "/": 200,
		"/_millicent/packages/forged": 403,
	} {
		resp, body := f.do(t, f, newRequest("GET", path, ""))
		want := codeMissingToken
		if strings.Contains(path, "packages") {
			want = millicent.CodeAccessDenied // by the token, not by the signature
		}
		if resp.StatusCode != status || status == 403 && resp.Header.Get("X-Amzn-Errortype") != want {
			t.Errorf("%s: got %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, _ := f.do(t, f.Operator(), newRequest("GET", "/_millicent/info", "")); resp.StatusCode != 200 {
		t.Errorf("operator: got %d", resp.StatusCode)
	}
	if _, _ = f.do(t, f.Operator(), newRequest("GET", "/2015-03-31/functions", "")); !f.lambda.identity.Operator || f.lambda.identity.Tenant != testAccount {
		t.Errorf("operator: identity %+v", f.lambda.identity)
	}
}

// TestMetricsAreTheOperators: they tell what every account uses.
func TestMetricsAreTheOperators(t *testing.T) {
	f := newFixture(true)
	own := func(s *signing, _ *http.Request) { s.key = ownKey }
	for _, c := range []struct {
		name   string
		h      http.Handler
		r      *http.Request
		status int
	}{
		{"another account", f, signed(t, "GET", "/metrics", "", nil), 403},
		{"the server's own", f, signed(t, "GET", "/metrics", "", own), 200},
		{"admin socket", f.Operator(), newRequest("GET", "/metrics", ""), 200},
	} {
		if resp, body := f.do(t, c.h, c.r); resp.StatusCode != c.status || (body == "metrics") != (c.status == 200) {
			t.Errorf("%s: got %d %s", c.name, resp.StatusCode, body)
		}
	}
}

func TestURLWithIAM(t *testing.T) {
	const forbidden = "Forbidden. For troubleshooting"
	own := testKeys.For(testAccount, "fn")
	for _, verified := range []bool{false, true} {
		f := newFixture(verified)
		f.urls.auth = "AWS_IAM"
		path := "/_url/" + testURL + "/"
		if resp, body := f.do(t, f, newRequest("GET", path, "")); resp.StatusCode != 403 || !strings.Contains(body, forbidden) {
			t.Errorf("verified %v, unsigned: %d %s", verified, resp.StatusCode, body)
		}
		if resp, body := f.do(t, f, signed(t, "GET", path, "", nil)); resp.StatusCode != 403 || !strings.Contains(body, forbidden) {
			t.Errorf("verified %v, another account: %d %s", verified, resp.StatusCode, body)
		}
		r := signed(t, "POST", path, "x", func(s *signing, _ *http.Request) { s.key = credentialsOf("fn") })
		if resp, body := f.do(t, f, r); resp.StatusCode != 200 {
			t.Errorf("verified %v, own account (%s): %d %s", verified, own.ID, resp.StatusCode, body)
		}
	}
	f := newFixture(true)
	f.urls.auth = "AWS_IAM"
	r := signed(t, "POST", "/_url/"+testURL+"/", "x", nil)
	flipLast(r)
	if resp, body := f.do(t, f, r); resp.StatusCode != 403 || !strings.Contains(body, mismatch) {
		t.Errorf("bad signature: %d %s", resp.StatusCode, body)
	}
}

func TestFunctionMayOnlyInvoke(t *testing.T) {
	inside := millicent.WithCaller(t.Context(), millicent.Caller{Tenant: "222222222222", Function: "fn"})
	const user = "User: arn:aws:sts::222222222222:assumed-role/fn/fn is not authorized to perform: "
	for _, verified := range []bool{false, true} {
		for _, c := range []struct {
			method, path string
			status       int
			body         string
		}{
			{"POST", invokePath, 200, "{}"},
			{"GET", "/_millicent/health", 200, "ok"},
			{"GET", "/_url/" + testURL + "/", 200, "called"},
			{"GET", "/2015-03-31/functions/fn", 403, user + "lambda:GetFunction on resource: arn:aws:lambda:us-east-1:222222222222:function:fn because no identity-based policy allows the lambda:GetFunction action"},
			{"POST", "/2015-03-31/functions", 403, user + "lambda:CreateFunction on resource: * because"},
			{"GET", "/_millicent/keys", 403, "is not authorized"},
			{"POST", "/_millicent/keys", 403, "is not authorized"},
			{"GET", "/metrics", 403, "is not authorized"},
		} {
			f := newFixture(verified)
			// A signature of someone else's does not help.
			r := signed(t, c.method, c.path, "", nil).WithContext(inside)
			r.Host = "169.254.100.1:9001"
			resp, body := f.do(t, f, r)
			if resp.StatusCode != c.status || !strings.Contains(body, c.body) {
				t.Errorf("verified %v, %s %s: got %d %s, want %d %s", verified, c.method, c.path, resp.StatusCode, body, c.status, c.body)
			}
			if f.lambda.served > 0 && f.lambda.identity != (millicent.Identity{Tenant: "222222222222", Function: "fn"}) {
				t.Errorf("identity %+v", f.lambda.identity)
			}
		}
	}
	// The same by the function's own keys from outside.
	f := newFixture(true)
	r := signed(t, "POST", "/2015-03-31/functions", "", func(s *signing, _ *http.Request) { s.key = credentialsOf("fn") })
	if resp, body := f.do(t, f, r); resp.StatusCode != 403 || !strings.Contains(body, "is not authorized to perform: lambda:CreateFunction") {
		t.Errorf("by keys: %d %s", resp.StatusCode, body)
	}
}

func TestForeignPages(t *testing.T) {
	for _, c := range []struct {
		method, path, host string
		header             [2]string
		status             int
	}{
		{"GET", "/2015-03-31/functions", "localhost:4566", [2]string{}, 200},
		{"GET", "/2015-03-31/functions", "[::1]:4566", [2]string{}, 200},
		{"GET", "/2015-03-31/functions", "millicent.localhost", [2]string{}, 200},
		{"GET", "/2015-03-31/functions", "attacker.example:4566", [2]string{}, 403}, // a name that was made to point here
		{"GET", "/_millicent/keys", "localhost.attacker.example", [2]string{}, 403},
		{"POST", "/2015-03-31/functions", "127.0.0.1:4566", [2]string{"Origin", "https://attacker.example"}, 403},
		{"POST", "/_millicent/keys", "127.0.0.1:4566", [2]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"POST", "/2015-03-31/functions", "127.0.0.1:4566", [2]string{"Origin", "http://127.0.0.1:4566"}, 200},
		{"POST", "/_url/" + testURL + "/", "attacker.example", [2]string{"Origin", "https://attacker.example"}, 200}, // the function's to decide
	} {
		f := newFixture(false)
		r := newRequest(c.method, c.path, "")
		r.Host = c.host
		if c.header[0] != "" {
			r.Header.Set(c.header[0], c.header[1])
		}
		if resp, body := f.do(t, f, r); resp.StatusCode != c.status {
			t.Errorf("%+v: got %d %s", c, resp.StatusCode, body)
		}
	}
	f := newFixture(true) // signatures say more than names
	r := signed(t, "GET", "/2015-03-31/functions", "", func(_ *signing, r *http.Request) { r.Host = "lambda.example.com" })
	if resp, body := f.do(t, f, r); resp.StatusCode != 200 {
		t.Errorf("signed, by name: %d %s", resp.StatusCode, body)
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		err                 error
		status              int
		kind, body          string
		retryAfter, loggedX bool
	}{
		"not found": {millicent.Errorf(millicent.CodeNotFound, "gone"), 404, "ResourceNotFoundException", `{"Message":"gone","Type":"User"}`, false, false},
		"invalid":   {millicent.Errorf(millicent.CodeInvalid, "<bad>"), 400, "InvalidParameterValueException", `{"Type":"User","message":"<bad>"}`, false, false},
		"conflict":  {millicent.Errorf(millicent.CodeConflict, "twice"), 409, "ResourceConflictException", `{"Type":"User","message":"twice"}`, false, false},
		"throttled": {
			fmt.Errorf("invoke: %w", millicent.Throttled(millicent.ReasonReservedConcurrency)), 429, "TooManyRequestsException",
			`{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}`, true, false,
		},
		"precondition":   {millicent.Errorf(millicent.CodePrecondition, "old"), 412, "PreconditionFailedException", `{"Type":"User","message":"old"}`, false, false},
		"not built":      {millicent.Errorf(millicent.CodeNotImplemented, "later"), 501, "NotImplementedException", `{"message":"later"}`, false, false},
		"internal":       {&millicent.Error{Code: millicent.CodeInternal, Message: "sorry", Err: errors.New("secret cause")}, 500, "ServiceException", `{"Message":"sorry","Type":"Server"}`, false, true},
		"unknown code":   {millicent.Errorf(millicent.CodeEnvironmentDead, "inner"), 500, "ServiceException", `{"Message":"The service encountered an internal error.","Type":"Server"}`, false, true},
		"any error":      {errors.New("secret cause"), 500, "ServiceException", `{"Message":"The service encountered an internal error.","Type":"Server"}`, false, true},
		"missing token":  {millicent.Errorf(codeMissingToken, "Missing Authentication Token"), 403, codeMissingToken, `{"message":"Missing Authentication Token"}`, false, false},
		"unknown client": {millicent.Errorf(codeUnknownClient, "x"), 403, codeUnknownClient, `{"message":"x"}`, false, false},
		"bad signature":  {millicent.Errorf(codeBadSignature, "x"), 403, codeBadSignature, `{"message":"x"}`, false, false},
		"denied":         {millicent.Errorf(millicent.CodeAccessDenied, "User: x"), 403, "AccessDeniedException", `{"Message":"User: x"}`, false, false},
		"too large":      {millicent.Errorf(codeTooLarge, "big"), 413, codeTooLarge, `{"Type":"User","message":"big"}`, false, false},
		"no operation":   {millicent.Errorf(codeUnknown, "none"), 404, codeUnknown, `{"message":"none"}`, false, false},
	} {
		f := newFixture(false)
		f.lambda.err = c.err
		resp, body := f.do(t, f, newRequest("POST", invokePath, "{}"))
		if resp.StatusCode != c.status || resp.Header.Get("X-Amzn-Errortype") != c.kind || body != c.body ||
			resp.Header.Get("Content-Type") != "application/json" || (resp.Header.Get("Retry-After") != "") != c.retryAfter {
			t.Errorf("%s: got %d %v %s", name, resp.StatusCode, resp.Header, body)
		}
		logged := strings.Contains(f.log.String(), "level=ERROR") && strings.Contains(f.log.String(), "id="+resp.Header.Get("X-Amzn-Requestid"))
		if logged != c.loggedX {
			t.Errorf("%s: logged as an error: %v\n%s", name, logged, f.log)
		}
	}
}

func TestPanic(t *testing.T) {
	f := newFixture(false)
	f.lambda.panics = "secret detail"
	resp, body := f.do(t, f, newRequest("POST", invokePath, ""))
	if resp.StatusCode != 500 || resp.Header.Get("X-Amzn-Errortype") != "ServiceException" || strings.Contains(body, "secret") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if log := f.log.String(); !strings.Contains(log, "secret detail") || !strings.Contains(log, resp.Header.Get("X-Amzn-Requestid")) {
		t.Errorf("log: %s", log)
	}
	f.lambda.partial = true // half an answer is cut off, not passed off as whole
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v", err)
		}
	}()
	f.do(t, f, newRequest("POST", invokePath, ""))
}

func TestClientLeft(t *testing.T) {
	f := newFixture(false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.lambda.err = fmt.Errorf("invoke: %w", context.Canceled)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, newRequest("POST", invokePath, "").WithContext(ctx))
	if w.Body.Len() != 0 || strings.Contains(f.log.String(), "level=ERROR") {
		t.Errorf("answered %q, log %s", w.Body, f.log)
	}
}

// TestBodyDeadlineIsLifted sends a body over a real connection, and finds
// that the handler's context is alive when its client has long gone silent.
func TestBodyDeadlineIsLifted(t *testing.T) {
	var deadlines []time.Time
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = &deadlineRecorder{w, &deadlines}
		boundBody(w, r, &budget{limit: maxBodies})
		_, _ = io.Copy(io.Discard, r.Body)
		close(release)
		newAnswer(w).send(200, nil, []byte("done"))
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, error %v", resp, err)
	}
	<-release
	if n := len(deadlines); n < 2 || deadlines[0].IsZero() || !deadlines[n-1].IsZero() {
		t.Errorf("read deadlines %v, want some and then none", deadlines)
	}
}

// TestSlowSender: a client that sends next to nothing is cut off, however
// long its body is to be.
func TestSlowSender(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for n, want := range map[int64]time.Duration{
		0:          30 * time.Second,
		1:          30*time.Second + 7629*time.Nanosecond,
		128 << 10:  31 * time.Second,
		6 << 20:    78 * time.Second,
		maxRequest: 565333335876 * time.Nanosecond,
	} {
		if got := bodyDeadline(began, n).Sub(began); got != want {
			t.Errorf("after %d bytes: %v, want %v", n, got, want)
		}
	}
}

// TestStrangersLeaveRoom: the bodies of function URLs have a budget of their
// own.
func TestStrangersLeaveRoom(t *testing.T) {
	f := newFixture(false)
	f.Handler.urls.limit = 3
	if resp, body := f.do(t, f, newRequest("POST", "/_url/"+testURL+"/", "1234")); resp.StatusCode != 429 {
		t.Errorf("URL: got %d %s, want 429", resp.StatusCode, body)
	}
	if resp, body := f.do(t, f, newRequest("POST", invokePath, "1234")); resp.StatusCode != 200 {
		t.Errorf("API: got %d %s, want 200", resp.StatusCode, body)
	}
}

// deadlineRecorder records read deadlines on their way.
type deadlineRecorder struct {
	http.ResponseWriter
	reads *[]time.Time
}

func (d *deadlineRecorder) Unwrap() http.ResponseWriter { return d.ResponseWriter }

func (d *deadlineRecorder) SetReadDeadline(at time.Time) error {
	*d.reads = append(*d.reads, at)
	return http.NewResponseController(d.ResponseWriter).SetReadDeadline(at)
}

// TestBodyBudget serves, refuses, and lets panic, and finds the memory of the
// bodies given back each time.
func TestBodyBudget(t *testing.T) {
	for _, verified := range []bool{false, true} {
		f := newFixture(verified)
		f.bodies.limit = 10
		for _, c := range []struct {
			body   string
			panics any
			status int
		}{
			{"0123456789", nil, 200},
			{"0123456789+", nil, 429},
			{"0123456789", "boom", 500},
			{"0123456789", nil, 200},
		} {
			f.lambda.panics = c.panics
			resp, body := f.do(t, f, signed(t, "POST", invokePath, c.body, nil))
			if resp.StatusCode != c.status {
				t.Errorf("verified %v, %d bytes: got %d %s", verified, len(c.body), resp.StatusCode, body)
			}
			if used := f.bodies.used.Load(); used != 0 {
				t.Errorf("verified %v, %d bytes: %d still held", verified, len(c.body), used)
			}
		}
	}
}

// TestBodiesShareTheBudget has one body wait in the handler while another
// comes.
func TestBodiesShareTheBudget(t *testing.T) {
	b := &budget{limit: 10}
	first := newRequest("POST", "/", "12345678")
	in := boundBody(httptest.NewRecorder(), first, b)
	if _, err := io.ReadAll(first.Body); err != nil {
		t.Fatal(err)
	}
	second := newRequest("POST", "/", "123")
	boundBody(httptest.NewRecorder(), second, b)
	if _, err := io.ReadAll(second.Body); millicent.ErrorCode(err) != millicent.CodeThrottled {
		t.Errorf("beyond the budget: %v", err)
	}
	in.release()
	third := newRequest("POST", "/", "123")
	boundBody(httptest.NewRecorder(), third, b)
	if _, err := io.ReadAll(third.Body); err != nil {
		t.Errorf("after the release: %v", err)
	}
}
