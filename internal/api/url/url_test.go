package url

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// platform is a function behind a URL, as the Handler sees the rest.
type platform struct {
	url    millicent.FunctionURL
	result *millicent.Result
	err    error
	signer millicent.Identity
	signed error
	got    *millicent.Invocation

	stream func(ctx context.Context, sink millicent.Sink) // what the function streams; nil where it does not
}

func (p *platform) FunctionByURL(id string) (*millicent.Function, *millicent.FunctionURL, error) {
	if id != testID {
		return nil, nil, millicent.Errorf(millicent.CodeNotFound, "no such URL")
	}
	return &millicent.Function{Tenant: "000000000000", Name: "fn"}, &p.url, nil
}

func (p *platform) Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	p.got = inv
	if p.stream != nil {
		p.stream(ctx, inv.Sink)
	}
	return p.result, p.err
}

func (p *platform) Verify(*http.Request) (millicent.Identity, error) { return p.signer, p.signed }

// serve runs one request through a Handler.
func (p *platform) serve(t *testing.T, r *http.Request) (*http.Response, string, error) {
	t.Helper()
	h := New(Config{Region: "us-east-1", Functions: p, Invoker: p, Verifier: p, Log: slog.New(slog.DiscardHandler)})
	target, _ := Match(r)
	w := httptest.NewRecorder()
	err := h.Serve(w, r, target)
	resp := w.Result()
	body, _ := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func answering(payload string) *platform {
	return &platform{url: millicent.FunctionURL{ID: testID, AuthType: "NONE"}, result: &millicent.Result{Payload: []byte(payload)}}
}

func TestServe(t *testing.T) {
	p := answering(`{"statusCode":201,"headers":{"x-a":"b"},"cookies":["c=1","d=2"],"body":"made"}`)
	p.url.Qualifier = "live"
	r := newRequest("POST", "/x")
	r = r.WithContext(millicent.WithCaller(millicent.WithRequestID(r.Context(), "id-1"), millicent.Caller{Tenant: "000000000000", Lineage: millicent.Lineage{Root: "root", Hops: 2}}))
	resp, body, err := p.serve(t, r)
	if err != nil || resp.StatusCode != 201 || body != "made" || resp.Header.Get("X-A") != "b" || resp.Header.Get("Content-Length") != "4" {
		t.Errorf("got %d %v %q, error %v", resp.StatusCode, resp.Header, body, err)
	}
	if diff := cmp.Diff([]string{"c=1", "d=2"}, resp.Header["Set-Cookie"]); diff != "" {
		t.Errorf("cookies (-want +got):\n%s", diff)
	}
	got := p.got
	if got.ID != "id-1" || got.Qualifier != "live" || got.ARN != "arn:aws:lambda:us-east-1:000000000000:function:fn:live" ||
		got.Root != "root" || got.Hops != 3 || !strings.HasPrefix(got.TraceID, "Root=1-") {
		t.Errorf("invocation %+v", got)
	}
}

func TestServeByPath(t *testing.T) {
	p := answering(`"ok"`)
	r := httptest.NewRequest("GET", "http://localhost:4566/_url/"+testID+"/a/b?c=d", nil)
	if _, body, err := p.serve(t, r); err != nil || body != "ok" {
		t.Fatalf("got %q, error %v", body, err)
	}
	var e struct {
		RawPath        string
		RequestContext struct{ DomainName string }
	}
	if err := json.Unmarshal(p.got.Event, &e); err != nil {
		t.Fatal(err)
	}
	if e.RawPath != "/a/b" || e.RequestContext.DomainName != Host(testID, "us-east-1") {
		t.Errorf("event %+v", e)
	}
}

func TestServeRefusals(t *testing.T) {
	missing := millicent.Errorf("MissingAuthenticationTokenException", "Missing Authentication Token")
	for name, c := range map[string]struct {
		change func(*platform, *http.Request)
		status int
		body   string
	}{
		"unknown id":        {func(_ *platform, r *http.Request) { r.Host = "nope.lambda-url.us-east-1.localhost" }, 403, answerUnknown},
		"other region":      {func(_ *platform, r *http.Request) { r.Host = testID + ".lambda-url.eu-west-1.localhost" }, 403, answerUnknown},
		"unsigned":          {func(p *platform, _ *http.Request) { p.url.AuthType, p.signed = "AWS_IAM", missing }, 403, answerForbidden},
		"signed by another": {func(p *platform, _ *http.Request) { p.url.AuthType, p.signer.Tenant = "AWS_IAM", "111111111111" }, 403, answerForbidden},
		"unknown auth type": {func(p *platform, _ *http.Request) { p.url.AuthType, p.signed = "", missing }, 403, answerForbidden},
		"failed":            {func(p *platform, _ *http.Request) { p.result.FunctionError = "Unhandled" }, 502, answerFailed},
		"failed, valid shape": {func(p *platform, _ *http.Request) {
			*p.result = millicent.Result{Payload: []byte(`{"statusCode":200}`), FunctionError: "Unhandled"}
		}, 502, answerFailed},
		"malformed": {func(p *platform, _ *http.Request) { p.result.Payload = []byte(`{"statusCode":7}`) }, 502, answerFailed},
	} {
		p := answering(`"ok"`)
		r := newRequest("GET", "/")
		c.change(p, r)
		resp, body, err := p.serve(t, r)
		if err != nil || resp.StatusCode != c.status || body != c.body || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %q, error %v; want %d %q", name, resp.StatusCode, body, err, c.status, c.body)
		}
		if c.status == 403 && (resp.Header.Get("X-Amzn-Errortype") != "AccessDeniedException" || p.got != nil) {
			t.Errorf("%s: error type %q, invoked %v", name, resp.Header.Get("X-Amzn-Errortype"), p.got != nil)
		}
	}
}

// TestServeSigned: who signed is who is billed, and whose budget it is.
func TestServeSigned(t *testing.T) {
	p := answering(`"ok"`)
	p.url.AuthType, p.signer = "AWS_IAM", millicent.Identity{Tenant: "000000000000", AccessKey: "AKML1"}
	if _, _, err := p.serve(t, newRequest("GET", "/")); err != nil || p.got == nil || p.got.Key != "AKML1" {
		t.Errorf("got %+v, error %v", p.got, err)
	}
}

func TestServeErrors(t *testing.T) {
	p := answering("")
	p.err = millicent.Throttled(millicent.ReasonReservedConcurrency)
	if _, _, err := p.serve(t, newRequest("GET", "/")); !errors.Is(err, p.err) {
		t.Errorf("throttled: got %v", err)
	}
	p = answering(`"ok"`)
	p.url.AuthType, p.signed = "AWS_IAM", millicent.Errorf("InvalidSignatureException", "no")
	if _, _, err := p.serve(t, newRequest("GET", "/")); !errors.Is(err, p.signed) {
		t.Errorf("bad signature: got %v", err)
	}
	for _, size := range []int{maxEvent + 1, maxEvent - 100} { // the body; the event around it
		r := newRequest("POST", "/", "Content-Type", "text/plain")
		r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", size)))
		if _, _, err := answering(`"ok"`).serve(t, r); !errors.Is(err, errTooLarge) {
			t.Errorf("%d bytes: got %v", size, err)
		}
	}
}

func TestServeBodyless(t *testing.T) {
	resp, body, err := answering(`"hello"`).serve(t, newRequest("HEAD", "/"))
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Length") != "5" || body != "" {
		t.Errorf("HEAD: %d %v %q, error %v", resp.StatusCode, resp.Header, body, err)
	}
	resp, body, err = answering(`{"statusCode":204,"body":"x"}`).serve(t, newRequest("GET", "/"))
	if err != nil || resp.StatusCode != 204 || resp.Header.Get("Content-Length") != "" || body != "" {
		t.Errorf("204: %d %v %q, error %v", resp.StatusCode, resp.Header, body, err)
	}
}
