package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/api/native"
	"github.com/millicent-run/millicent/internal/api/url"
)

const (
	testAccount = "000000000000"
	testRegion  = "us-east-1"
	testURL     = "abcdefghijklmnopqrstuvwxyz012345"
)

var testKeys = FunctionKeys{Secret: []byte("a secret of the server, for tests")}

// fakeLambda is a Lambda API that tells what reached it.
type fakeLambda struct {
	served   int
	identity millicent.Identity
	body     string
	err      error
	panics   any
	partial  bool // panic after the answer has begun
	empty    bool // answer without a body
}

func (f *fakeLambda) Match(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/2015-03-31/")
}

func (f *fakeLambda) Operation(r *http.Request) (name, function string) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/invocations"):
		return "Invoke", "fn"
	case r.Method == http.MethodPost:
		return "CreateFunction", ""
	}
	return "GetFunction", "fn"
}

func (f *fakeLambda) Serve(w http.ResponseWriter, r *http.Request) error {
	f.served++
	f.identity = millicent.IdentityFrom(r.Context())
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	f.body = string(b)
	if f.partial {
		_, _ = io.WriteString(w, "begun")
	}
	if f.panics != nil {
		panic(f.panics)
	}
	if f.err != nil || f.empty {
		return f.err
	}
	_, err = io.WriteString(w, "{}")
	return err
}

// fakeURLs has one function behind one URL.
type fakeURLs struct{ auth, answer string }

func (f *fakeURLs) FunctionByURL(id string) (*millicent.Function, *millicent.FunctionURL, error) {
	if id != testURL {
		return nil, nil, millicent.Errorf(millicent.CodeNotFound, "none")
	}
	return &millicent.Function{Tenant: testAccount, Name: "fn"}, &millicent.FunctionURL{ID: id, AuthType: f.auth}, nil
}

func (f *fakeURLs) Invoke(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	if f.answer != "" {
		return &millicent.Result{Payload: []byte(f.answer)}, nil
	}
	return &millicent.Result{Payload: []byte(`"called"`)}, nil
}

// fixture is a Handler with its surroundings.
type fixture struct {
	*Handler
	lambda *fakeLambda
	urls   *fakeURLs
	log    *bytes.Buffer
	now    time.Time
}

func newFixture(verified bool) *fixture {
	f := &fixture{lambda: &fakeLambda{}, urls: &fakeURLs{auth: "NONE"}, log: &bytes.Buffer{}, now: time.Now()}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	auth := NewAuth(AuthConfig{
		Verified: verified, Account: testAccount, Region: testRegion, FunctionKeys: testKeys,
		Key: func(id string) (secret, tenant string, ok bool) {
			if id == ownKey.AccessKeyID {
				return ownKey.SecretAccessKey, testAccount, true
			}
			return "the-secret", "111122223333", id == "AKIATEST"
		},
		HasFunction: func(_, name string) bool { return name == "fn" },
		Now:         func() time.Time { return f.now },
	})
	f.Handler = New(Config{
		Region: testRegion, Auth: auth, Lambda: f.lambda, Log: log,
		URL:    url.New(url.Config{Region: testRegion, Functions: f.urls, Invoker: f.urls, Verifier: auth, Log: log}),
		Native: native.New(native.Config{Info: native.Info{Version: "test"}, Links: &native.Links{}, Log: log}),
		Console: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "console "+r.URL.Path)
		}),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "metrics")
		}),
	})
	return f
}

// do serves one request.
func (f *fixture) do(t *testing.T, h http.Handler, r *http.Request) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:4566"+target, strings.NewReader(body))
	r.Host = "127.0.0.1:4566"
	return r
}
