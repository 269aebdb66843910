package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
)

// A recorder is an Invoker that keeps what it is given.
type recorder struct {
	invoked, enqueued, checked *millicent.Invocation
	err                        error
}

func (r *recorder) Invoke(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	r.invoked = inv
	return &millicent.Result{Payload: []byte("null"), Version: "1", FunctionError: "Unhandled"}, r.err
}

func (r *recorder) Enqueue(_ context.Context, inv *millicent.Invocation) error {
	r.enqueued = inv
	return r.err
}

func (r *recorder) Check(_ context.Context, inv *millicent.Invocation) error {
	r.checked = inv
	return r.err
}

func TestInvoke(t *testing.T) {
	rec := &recorder{}
	p := newPlatform(t, func(cfg *Config) { cfg.Invoker = rec })
	client := base64.StdEncoding.EncodeToString([]byte(`{"custom":{}}`))
	a := p.call("POST", functionPath("f", "/invocations?Qualifier=live"), `{"a":1}`,
		"X-Amz-Client-Context", client, "X-Amzn-Trace-Id", "Root=1")
	if a.status != 200 || string(a.body) != "null" || a.header.Get("X-Amz-Function-Error") != "Unhandled" ||
		a.header.Get("X-Amz-Executed-Version") != "1" || a.header.Get("X-Amz-Log-Result") != "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	rec.invoked.Received = rec.invoked.Received.Truncate(0)
	wantEqual(t, rec.invoked, &millicent.Invocation{
		ID: "11111111-2222-4333-8444-555555555555", Tenant: testTenant, Function: "f", Qualifier: "live", ARN: arnOf("f:live"),
		Event: []byte(`{"a":1}`), ClientContext: []byte(`{"custom":{}}`), TraceID: "Root=1", Received: rec.invoked.Received,
	})

	a = p.call("POST", functionPath("f", "/invocations"), `{"b":2}`, "X-Amz-Invocation-Type", "Event")
	if a.status != 202 || len(a.body) != 0 || a.header.Get("X-Amz-Executed-Version") != "" || string(rec.enqueued.Event) != `{"b":2}` {
		t.Errorf("Event: %d %v %s", a.status, a.header, a.body)
	}
	a = p.call("POST", functionPath("f", "/invocations"), nil, "X-Amz-Invocation-Type", "DryRun")
	if a.status != 204 || len(a.body) != 0 || rec.checked == nil {
		t.Errorf("DryRun: %d %v %s", a.status, a.header, a.body)
	}
	a = p.call("POST", "/2014-11-13/functions/f/invoke-async/", `{"c":3}`)
	if a.status != 202 || string(rec.enqueued.Event) != `{"c":3}` {
		t.Errorf("InvokeAsync: %d %s", a.status, a.body)
	}
}

func TestInvokeSizes(t *testing.T) {
	p := newPlatform(t, func(cfg *Config) { cfg.Invoker = &recorder{} })
	text := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
	for _, c := range []struct {
		kind   string
		size   int
		status int
	}{
		{"RequestResponse", maxInvokeBody, 200},
		{"RequestResponse", maxInvokeBody + 1, 413},
		{"Event", maxEventBody, 202},
		{"Event", maxEventBody + 1, 413},
	} {
		a := p.call("POST", functionPath("f", "/invocations"), text(c.size), "X-Amz-Invocation-Type", c.kind)
		if a.status != c.status {
			t.Errorf("%s of %d bytes: status %d, want %d: %.200s", c.kind, c.size, a.status, c.status, a.body)
		}
		if c.status == 413 && c.kind == "RequestResponse" {
			wantEqual(t, a.object(t), M{"Type": "User", "message": "Request must be smaller than 6291456 bytes for the InvokeFunction operation"})
		}
	}
}

// TestAnswer checks that nothing but the message for the caller shows.
func TestAnswer(t *testing.T) {
	p := newPlatform(t, func(cfg *Config) {
		cfg.Invoker = &recorder{err: &millicent.Error{Code: "EnvironmentDead", Message: "internal", Err: context.Canceled}}
	})
	a := p.call("POST", functionPath("f", "/invocations"), "{}")
	wantEqual(t, a.object(t), M{"Type": "Server", "Message": internalMessage})
	if a.status != 500 || a.header.Get("X-Amzn-Errortype") != "ServiceException" {
		t.Errorf("%d %v", a.status, a.header)
	}
	status, header, body := Answer(millicent.Throttled(millicent.ReasonConcurrency))
	if status != 429 || header.Get("Retry-After") == "" || strings.Contains(string(body), "retryAfter") {
		t.Errorf("%d %v %s", status, header, body)
	}
	late := millicent.Throttled(millicent.ReasonBudget)
	late.Detail["retryAfterSeconds"] = "" // nobody knows when
	if status, header, body := Answer(late); status != 429 || header["Retry-After"] != nil || strings.Contains(string(body), "retryAfter") {
		t.Errorf("%d %v %s", status, header, body)
	}
	status, _, body = Answer(context.Canceled)
	if status != 500 || strings.Contains(string(body), "cancel") {
		t.Errorf("%d %s", status, body)
	}
}

func TestJSONFault(t *testing.T) {
	at := func(message, place string) string {
		return message + "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); " + place + "]"
	}
	for text, want := range map[string]string{
		`{"a": [1, -2.5e3, "é", null]}`: "",
		"notjson":                       at("Unrecognized token 'notjson': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')", "line: 1, column: 8"),
		"{\n\"a\": ?}":                  at("Unexpected character ('?' (code 63)): "+expectedValue, "line: 2, column: 6"),
		`{a:1}`:                         at("Unexpected character ('a' (code 97)): was expecting double-quote to start field name", "line: 1, column: 2"),
		`{"a" 1}`:                       at("Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value", "line: 1, column: 6"),
		`[1 2]`:                         at("Unexpected character ('2' (code 50)): was expecting comma to separate Array entries", "line: 1, column: 4"),
	} {
		if got := jsonFault([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"{", "[", `"`, `"\`, "[1,", `{"a":`, `{"a":1,}`, "1e", "-", "01", "{} {}", "\xc3(", "\"\t\"", strings.Repeat("[", 5000)} {
		if jsonFault([]byte(text)) == "" {
			t.Errorf("%.20q has no fault", text)
		}
	}
}

// FuzzJSONFault checks that a fault is found exactly where there is one.
func FuzzJSONFault(f *testing.F) {
	for _, s := range []string{`{"a":[1,"b",null]}`, "\"\x87\"", "\x99", `{"a"`, "tru", "[[[", `"\u12`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		fault := jsonFault(text)
		if (fault == "") != (json.Valid(text) && strings.ToValidUTF8(string(text), "?") == string(text)) {
			t.Errorf("%q: %q", text, fault)
		}
	})
}
