package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// A seen is a request as a server saw it.
type seen struct {
	Method, URI, Body string
	Header            http.Header
}

// answering starts a server that answers every request alike, and returns a
// client of it and what it saw.
func answering(t *testing.T, status int, header http.Header, body string) (*Client, <-chan seen) {
	t.Helper()
	requests := make(chan seen, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the request: %v", err)
		}
		requests <- seen{r.Method, r.RequestURI, string(got), r.Header}
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return newClient(t, Config{Endpoint: srv.URL}), requests
}

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

func TestCalls(t *testing.T) {
	ctx := t.Context()
	tests := []struct {
		name   string
		status int
		answer string
		call   func(*Client) (any, error)
		want   seen
		result any
	}{
		{
			"function", 200, `{"FunctionName":"a","State":"Active","Unknown":1}`,
			func(c *Client) (any, error) { return c.Function(ctx, "a") },
			seen{Method: "GET", URI: "/2015-03-31/functions/a/configuration"},
			&Configuration{FunctionName: "a", State: "Active"},
		},
		{
			"odd name", 200, `{}`,
			func(c *Client) (any, error) { return c.Function(ctx, "a/../b c?") },
			seen{Method: "GET", URI: "/2015-03-31/functions/a%2F..%2Fb%20c%3F/configuration"},
			&Configuration{},
		},
		{
			"create", 201, `{"FunctionName":"a"}`,
			func(c *Client) (any, error) {
				return c.Create(ctx, CreateFunction{FunctionName: "a", Runtime: "python3.11", Role: "r", Handler: "h", Code: Code{ZipFile: []byte("PK")}}, nil)
			},
			seen{Method: "POST", URI: "/2015-03-31/functions", Body: `{"FunctionName":"a","Runtime":"python3.11","Role":"r","Handler":"h","Code":{"ZipFile":"UEs="}}`},
			&Configuration{FunctionName: "a"},
		},
		{
			"update code", 200, `{}`,
			func(c *Client) (any, error) { return c.UpdateCode(ctx, "a", Code{ZipFile: []byte("PK")}, nil) },
			seen{Method: "PUT", URI: "/2015-03-31/functions/a/code", Body: `{"ZipFile":"UEs="}`},
			&Configuration{},
		},
		{
			"update configuration", 200, `{}`,
			func(c *Client) (any, error) {
				return c.UpdateConfiguration(ctx, "a", UpdateConfiguration{MemorySize: 256})
			},
			seen{Method: "PUT", URI: "/2015-03-31/functions/a/configuration", Body: `{"MemorySize":256}`},
			&Configuration{},
		},
		{
			"delete", 204, ``,
			func(c *Client) (any, error) { return nil, c.Delete(ctx, "a") },
			seen{Method: "DELETE", URI: "/2015-03-31/functions/a"}, nil,
		},
		{
			"url", 200, `{"FunctionUrl":"http://id.lambda-url.us-east-1.localhost:4566/","AuthType":"NONE"}`,
			func(c *Client) (any, error) { return c.URL(ctx, "a", "live") },
			seen{Method: "GET", URI: "/2021-10-31/functions/a/url?Qualifier=live"},
			&FunctionURL{FunctionURL: "http://id.lambda-url.us-east-1.localhost:4566/", AuthType: "NONE"},
		},
		{
			"create url", 201, `{"AuthType":"NONE"}`,
			func(c *Client) (any, error) { return c.CreateURL(ctx, "a", "", "NONE") },
			seen{Method: "POST", URI: "/2021-10-31/functions/a/url", Body: `{"AuthType":"NONE"}`},
			&FunctionURL{AuthType: "NONE"},
		},
		{
			"info", 200, `{"version":"v1","account":"000000000000","region":"us-east-1","auth":"none","egress":"public"}`,
			func(c *Client) (any, error) { return c.Info(ctx) },
			seen{Method: "GET", URI: "/_millicent/info"},
			Info{Version: "v1", Account: "000000000000", Region: "us-east-1", Auth: "none", Egress: "public"},
		},
		{
			"runtimes", 200, `{"runtimes":[{"name":"python3.11","interpreter":"/usr/bin/python3.11","version":"3.11.2","exact":true}]}`,
			func(c *Client) (any, error) { return c.Runtimes(ctx) },
			seen{Method: "GET", URI: "/_millicent/runtimes"},
			[]Runtime{{Name: "python3.11", Interpreter: "/usr/bin/python3.11", Version: "3.11.2", Exact: true}},
		},
		{
			"create key", 201, `{"id":"AKIA","secret":"s","tenant":"123456789012"}`,
			func(c *Client) (any, error) { return c.CreateKey(ctx, "123456789012") },
			seen{Method: "POST", URI: "/_millicent/keys", Body: `{"tenant":"123456789012"}`},
			Key{ID: "AKIA", Secret: "s", Tenant: "123456789012"},
		},
		{
			"keys", 200, `{"keys":[{"id":"AKIA"}]}`,
			func(c *Client) (any, error) { return c.Keys(ctx) },
			seen{Method: "GET", URI: "/_millicent/keys"}, []Key{{ID: "AKIA"}},
		},
		{
			"delete key", 204, ``,
			func(c *Client) (any, error) { return nil, c.DeleteKey(ctx, "AKIA/x") },
			seen{Method: "DELETE", URI: "/_millicent/keys/AKIA%2Fx"}, nil,
		},
		{
			"egress", 200, `{"allow":["a:1"]}`,
			func(c *Client) (any, error) { return c.Egress(ctx, "a") },
			seen{Method: "GET", URI: "/_millicent/functions/a/egress"}, []string{"a:1"},
		},
		{
			"clear egress", 200, `{"allow":[]}`,
			func(c *Client) (any, error) { return c.SetEgress(ctx, "a", nil) },
			seen{Method: "PUT", URI: "/_millicent/functions/a/egress", Body: `{"allow":[]}`}, []string{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, requests := answering(t, tt.status, nil, tt.answer)
			result, err := tt.call(c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.result, result); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			got := <-requests
			if got.Header.Get("Authorization") != "" {
				t.Error("signed without credentials")
			}
			got.Header = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFunctionsReadsAllPages(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch marker := r.URL.Query().Get("Marker"); marker {
		case "":
			io.WriteString(w, `{"Functions":[{"FunctionName":"a"},{"FunctionName":"b"}],"NextMarker":"b&x"}`)
		case "b&x":
			io.WriteString(w, `{"Functions":[{"FunctionName":"c"}]}`)
		default:
			t.Errorf("marker %q", marker)
		}
	}))
	defer srv.Close()
	got, err := newClient(t, Config{Endpoint: srv.URL}).Functions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Configuration{{FunctionName: "a"}, {FunctionName: "b"}, {FunctionName: "c"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInvoke(t *testing.T) {
	c, requests := answering(t, 200, http.Header{
		"X-Amz-Function-Error": {"Unhandled"}, "X-Amz-Executed-Version": {"3"},
		"X-Amz-Log-Result": {"aGVsbG8="}, "X-Amzn-Requestid": {"id-1"},
	}, `{"errorMessage":"no"}`)
	got, err := c.Invoke(t.Context(), Invocation{Function: "a", Qualifier: "live", Payload: []byte(`{"n":1}`), Type: millicent.RequestResponse, Tail: true})
	if err != nil {
		t.Fatal(err)
	}
	want := &Result{Status: 200, Payload: []byte(`{"errorMessage":"no"}`), FunctionError: "Unhandled", Version: "3", RequestID: "id-1", Log: "hello"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	r := <-requests
	if r.URI != "/2015-03-31/functions/a/invocations?Qualifier=live" || r.Body != `{"n":1}` ||
		r.Header.Get("X-Amz-Invocation-Type") != "RequestResponse" || r.Header.Get("X-Amz-Log-Type") != "Tail" {
		t.Errorf("request: %+v", r)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		header http.Header
		body   string
		want   *millicent.Error
	}{
		{
			"lambda", 404, http.Header{"X-Amzn-Errortype": {"ResourceNotFoundException"}},
			`{"Type":"User","Message":"Function not found: x"}`,
			&millicent.Error{Code: "ResourceNotFoundException", Message: "Function not found: x", Detail: map[string]string{"Type": "User"}},
		},
		{
			"with a link", 429, http.Header{"X-Amzn-Errortype": {"TooManyRequestsException:http://docs"}},
			`{"Reason":"ConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}`,
			&millicent.Error{Code: "TooManyRequestsException", Message: "Rate Exceeded.", Detail: map[string]string{"Reason": "ConcurrentInvocationLimitExceeded"}},
		},
		{
			"in the body", 403, nil, `{"__type":"com.x#AccessDenied","message":"no"}`,
			&millicent.Error{Code: "AccessDenied", Message: "no"},
		},
		{
			"not ours", 502, nil, `<html>`,
			&millicent.Error{Code: millicent.CodeInternal, Message: "The server answered 502 Bad Gateway."},
		},
		{
			"a redirect", 302, http.Header{"Location": {"/elsewhere"}}, ``,
			&millicent.Error{Code: millicent.CodeInternal, Message: "The server answered 302 Found."},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := answering(t, tt.status, tt.header, tt.body)
			_, invoke := c.Invoke(t.Context(), Invocation{Function: "x"})
			_, get := c.Function(t.Context(), "x")
			logs := c.Logs(t.Context(), LogQuery{Function: "x"}, func(millicent.LogRecord) error { return nil })
			for _, err := range []error{invoke, get, logs} {
				var got *millicent.Error
				if !errors.As(err, &got) {
					t.Fatalf("got %v", err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if IsNotFound(get) != (tt.status == 404) {
				t.Errorf("IsNotFound(%v) = %v", get, IsNotFound(get))
			}
		})
	}
	c, _ := answering(t, 200, nil, `not JSON`)
	if _, err := c.Info(t.Context()); err == nil || !strings.Contains(err.Error(), "does not understand") {
		t.Errorf("an answer that is not JSON: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	const nobody = "127.0.0.1:1" // a port for root alone, and not in use any more
	_, err := newClient(t, Config{Endpoint: nobody}).Info(t.Context())
	var down *Unreachable
	if !errors.As(err, &down) || down.Endpoint != "http://"+nobody || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newClient(t, Config{}).Info(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call: %v", err)
	}
}

func TestEndpoints(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "http://127.0.0.1:4566",
		"127.0.0.1:4567":            "http://127.0.0.1:4567",
		"http://127.0.0.1:4567/":    "http://127.0.0.1:4567",
		"https://lambda.example/x/": "https://lambda.example/x",
		"http://[::1]:1":            "http://[::1]:1",
		"unix:/a/b.sock":            "unix:/a/b.sock",
		"ftp://a":                   "",
		"http://":                   "",
		"http://a?b=c":              "",
		"http://user:secret@a":      "",
		"http://a b":                "",
	} {
		c, err := New(Config{Endpoint: in})
		switch {
		case want == "" && err == nil:
			t.Errorf("%q: taken as %s", in, c.Endpoint())
		case want != "" && err != nil:
			t.Errorf("%q: %v", in, err)
		case want != "" && c.Endpoint() != want:
			t.Errorf("%q: got %s, want %s", in, c.Endpoint(), want)
		}
	}
}

func TestSigns(t *testing.T) {
	requests := make(chan *http.Request, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		io.WriteString(w, "{}")
	}))
	defer srv.Close()
	c := newClient(t, Config{Endpoint: srv.URL, Region: "eu-west-1", AccessKeyID: "AKIAX", SecretAccessKey: "secret", SessionToken: "token"})
	if _, err := c.Function(t.Context(), "a:b"); err != nil {
		t.Fatal(err)
	}
	r := <-requests
	auth := r.Header.Get("Authorization")
	if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIAX/") || !strings.Contains(auth, "/eu-west-1/lambda/aws4_request") ||
		strings.Contains(auth, "secret") || r.Header.Get("X-Amz-Security-Token") != "token" {
		t.Errorf("Authorization: %s", auth)
	}
}

func TestAdminSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"version":%q}`, r.RequestURI)
	})}
	go srv.Serve(l)
	defer srv.Close()
	info, err := newClient(t, Config{Endpoint: "unix:" + path}).Info(t.Context())
	if err != nil || info.Version != "/_millicent/info" {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestWaitReady(t *testing.T) {
	for _, tt := range []struct {
		name   string
		states []string
		want   string // error
	}{
		{"created", []string{`{"State":"Pending"}`, `{"State":"Pending"}`, `{"State":"Active","LastUpdateStatus":"Successful"}`}, ""},
		{"updated", []string{`{"State":"Active","LastUpdateStatus":"InProgress"}`, `{"State":"Active","LastUpdateStatus":"Successful"}`}, ""},
		{"failed", []string{`{"State":"Pending"}`, `{"FunctionName":"a","State":"Failed","StateReason":"The zip is broken"}`}, "function a: The zip is broken"},
		{"update failed", []string{`{"FunctionName":"a","State":"Active","LastUpdateStatus":"Failed"}`}, "function a: its update failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				i := min(int(n.Add(1)), len(tt.states))
				io.WriteString(w, tt.states[i-1])
			}))
			defer srv.Close()
			_, err := newClient(t, Config{Endpoint: srv.URL}).WaitReady(t.Context(), "a")
			if got := fmt.Sprint(err); got != tt.want && (tt.want != "" || err != nil) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
			if got := int(n.Load()); got != len(tt.states) {
				t.Errorf("asked %d times, want %d", got, len(tt.states))
			}
		})
	}
	c, _ := answering(t, 200, nil, `{"State":"Pending","StateReason":"x"}`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.WaitReady(ctx, "a"); err == nil {
		t.Error("waited for ever pending, and got no error")
	}
}

func TestUploadReports(t *testing.T) {
	c, requests := answering(t, 200, nil, `{}`)
	var last, total int64
	_, err := c.UpdateCode(t.Context(), "a", Code{ZipFile: make([]byte, 1<<20)}, func(sent, of int64) {
		if sent < last {
			t.Errorf("went back from %d to %d", last, sent)
		}
		last, total = sent, of
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := int64(len((<-requests).Body)); last != got || total != got {
		t.Errorf("reported %d of %d, sent %d", last, total, got)
	}
}

func TestLogs(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	written := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("function") != "a" || q.Get("since") != "2026-01-02T03:04:05Z" || q.Get("limit") != "5" || q.Get("follow") != "1" {
			t.Errorf("query %v", q)
		}
		for i := range 2 {
			json.NewEncoder(w).Encode(millicent.LogRecord{Function: "a", Message: fmt.Sprint("line ", i)})
		}
		w.(http.Flusher).Flush()
		<-written
	}))
	defer srv.Close()
	var got []string
	stop := errors.New("enough")
	err := newClient(t, Config{Endpoint: srv.URL}).Logs(t.Context(), LogQuery{Function: "a", Since: since, Limit: 5, Follow: true}, func(rec millicent.LogRecord) error {
		if got = append(got, rec.Message); len(got) == 2 { // while the stream is still open
			close(written)
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"line 0", "line 1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExplain(t *testing.T) {
	c, requests := answering(t, 200, nil, `{"requestId":"i","function":"a","report":{"durationMs":2},"delay":{"start":{"cause":"first","initUs":7}}}`)
	e, err := c.Explain(t.Context(), "i/x", "a")
	if err != nil {
		t.Fatal(err)
	}
	if e.Function != "a" || e.Report.DurationMs != 2 || e.Delay.Start.Cause != millicent.StartFirst || e.Delay.Start.Init != 7*time.Microsecond {
		t.Errorf("got %+v", e)
	}
	if got, want := (<-requests).URI, "/_millicent/invocations/i%2Fx?function=a"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

func TestStarts(t *testing.T) {
	c, requests := answering(t, 200, nil, `{"starts":[{"requestId":"i"},{"requestId":"j"}]}`)
	list, err := c.Starts(t.Context(), "", 5)
	if err != nil || len(list) != 2 || list[1].Invocation != "j" {
		t.Errorf("got %+v, %v", list, err)
	}
	if got, want := (<-requests).URI, "/_millicent/starts?limit=5"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

func TestPathURL(t *testing.T) {
	c := newClient(t, Config{Endpoint: "http://127.0.0.1:4567/"})
	got := c.PathURL(&FunctionURL{FunctionURL: "http://abc123.lambda-url.us-east-1.localhost:4567/"})
	if want := "http://127.0.0.1:4567/_url/abc123/"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzDecodeError(f *testing.F) {
	f.Add("ResourceNotFoundException:x", `{"Message":null,"Type":1}`)
	f.Fuzz(func(t *testing.T, code, body string) {
		resp := &http.Response{Status: "400 Bad Request", Header: http.Header{"X-Amzn-Errortype": {code}}, Body: io.NopCloser(strings.NewReader(body))}
		var e *millicent.Error
		if !errors.As(decodeError(resp), &e) || e.Code == "" || e.Message == "" {
			t.Errorf("code %q, body %q: got %+v", code, body, e)
		}
	})
}
