package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/eventsource"
	"github.com/millicent-run/millicent/internal/invoke"
	"github.com/millicent-run/millicent/internal/scheduler"
	"github.com/millicent-run/millicent/internal/sqs"
	"github.com/millicent-run/millicent/internal/store"
)

const (
	testTenant = "111111111111"
	testRegion = "us-east-1"
	testRole   = "arn:aws:iam::111111111111:role/service-role/any"
)

// A platform is a Handler on a real store and a real invoker; only the
// environments are fake: they echo.
type platform struct {
	*Handler
	t     testing.TB
	store *store.Store
}

// newPlatform starts a platform that ends with the test.
func newPlatform(t testing.TB, change func(*Config)) *platform {
	t.Helper()
	return newPlatformOn(t, newStore(t, nil), change)
}

// newPlatformOn is newPlatform with a store of the caller's.
func newPlatformOn(t testing.TB, st *store.Store, change func(*Config)) *platform {
	t.Helper()
	sched := scheduler.New(scheduler.Config{
		Launcher: func(string) (millicent.Launcher, error) { return echoLauncher{}, nil },
	})
	inv := invoke.New(invoke.Config{Store: st, Scheduler: sched, Region: testRegion, PendingWait: time.Minute})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := inv.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := sched.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	cfg := Config{
		Region:  testRegion,
		Store:   st,
		Invoker: accepting{inv},
		Tenant:  func(*http.Request) string { return testTenant },
		URL:     func(id string) string { return "http://" + id + ".lambda-url.us-east-1.localhost:4566/" },
		PackageURL: func(tenant string, p millicent.Package) string {
			return "http://127.0.0.1:4566/packages/" + tenant + "/" + p.SHA256
		},
	}
	cfg.Mappings = newMappings(t, st, accepting{inv})
	if change != nil {
		change(&cfg)
	}
	return &platform{Handler: New(cfg), t: t, store: st}
}

// accepting accepts events and does no more.
type accepting struct{ *invoke.Invoker }

func (a accepting) Enqueue(ctx context.Context, inv *millicent.Invocation) error {
	return a.Accept(ctx, inv)
}

// newStore opens a store, whose configuration change may change.
func newStore(t testing.TB, change func(*store.Config)) *store.Store {
	t.Helper()
	js := newJetStream(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cfg := store.Config{Dir: t.TempDir(), Region: testRegion}
	if change != nil {
		change(&cfg)
	}
	st, err := store.Open(ctx, js, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// newMappings returns a service that runs nothing, with one queue, called q.
func newMappings(t testing.TB, st *store.Store, inv eventsource.Invoker) Mappings {
	t.Helper()
	js := newJetStream(t)
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	queues, err := store.OpenCatalog[millicent.Queue](ctx, js, "queues", log)
	if err != nil {
		t.Fatal(err)
	}
	mappings, err := store.OpenCatalog[millicent.Mapping](ctx, js, "mappings", log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(mappings.Close(), queues.Close()); err != nil {
			t.Error(err)
		}
	})
	q := sqs.New(sqs.Config{Region: testRegion, Catalog: queues})
	if _, err := q.Create(ctx, testTenant, "q", map[string]string{"VisibilityTimeout": "43200"}, nil); err != nil {
		t.Fatal(err)
	}
	return eventsource.New(eventsource.Config{Region: testRegion, Catalog: mappings, Queues: q, Store: st, Invoker: inv, Log: log})
}

// echoLauncher starts environments that answer with the event.
type echoLauncher struct{}

func (echoLauncher) Launch(_ context.Context, v *millicent.Version) (millicent.Environment, error) {
	return &echo{v}, nil
}

type echo struct{ v *millicent.Version }

func (e *echo) Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	if inv.Sink != nil && bytes.HasPrefix(inv.Event, []byte("[")) {
		return e.inParts(ctx, inv)
	}
	res := &millicent.Result{Payload: inv.Event, Version: e.v.Number, LogTail: []byte("START\nEND\n")}
	if bytes.Contains(inv.Event, []byte(`"fail"`)) {
		res.Payload, res.FunctionError, res.ErrorType = []byte(`{"errorMessage":"failed"}`), "Unhandled", "Error"
	}
	if inv.ClientContext != nil {
		res.Payload = inv.ClientContext
	}
	return res, nil
}

func (*echo) Close() error { return nil }

// ServeHTTP answers errors as the api package does.
func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(millicent.WithRequestID(r.Context(), "11111111-2222-4333-8444-555555555555"))
	if err := p.Serve(w, r); err != nil {
		status, header, body := Answer(err)
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		_, _ = w.Write(body) // the client may be gone
	}
}

// An answer is what a call gave.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call makes one request; body is JSON, sent as it is when it is text.
func (p *platform) call(method, path string, body any, header ...string) answer {
	p.t.Helper()
	var sent io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		sent = strings.NewReader(b)
	case []byte:
		sent = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			p.t.Fatal(err)
		}
		sent = bytes.NewReader(text)
	}
	r := httptest.NewRequest(method, path, sent)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.Bytes()}
}

// must makes a request that has to be answered with a status.
func (p *platform) must(status int, method, path string, body any, header ...string) map[string]any {
	p.t.Helper()
	a := p.call(method, path, body, header...)
	if a.status != status {
		p.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	if len(a.body) == 0 {
		return nil
	}
	return a.object(p.t)
}

func (a answer) object(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return m
}

// M is a JSON object.
type M = map[string]any

// createRequest is the least that makes a function.
func createRequest(name string) M {
	return M{
		"FunctionName": name, "Runtime": "python3.13", "Handler": "app.handler", "Role": testRole,
		"Code": M{"ZipFile": base64.StdEncoding.EncodeToString(zipOf("app.py", "def handler(e, c): return e"))},
	}
}

// with returns a request with members set over it.
func with(request M, more M) M {
	all := M{}
	for k, v := range request {
		all[k] = v
	}
	for k, v := range more {
		all[k] = v
	}
	return all
}

const functionsPath = "/2015-03-31/functions"

func functionPath(name, rest string) string { return functionsPath + "/" + name + rest }

// create makes a function and waits until it is active.
func (p *platform) create(name string) {
	p.t.Helper()
	p.must(201, "POST", functionsPath, createRequest(name))
	p.settled(name)
}

// settled waits until no activation of a function's draft is going on.
func (p *platform) settled(name string) *millicent.Function {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		f, err := p.store.Function(testTenant, name)
		if err != nil {
			p.t.Fatal(err)
		}
		if f.Draft.State == millicent.StateActive && f.Draft.LastUpdate == millicent.UpdateSuccessful {
			return f
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("function %s is %s, its update %s", name, f.Draft.State, f.Draft.LastUpdate)
		}
		time.Sleep(time.Millisecond) // a poll: what is waited for is the state
	}
}

// publish publishes a new version after a change that makes one.
func (p *platform) publish(name, description string) {
	p.t.Helper()
	p.must(200, "PUT", functionPath(name, "/configuration"), M{"Description": description})
	p.settled(name)
	p.must(201, "POST", functionPath(name, "/versions"), M{})
}

func zipOf(name, content string) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, err := w.Create(name)
	if err == nil {
		_, err = io.WriteString(f, content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // writing to memory does not fail
	}
	return buf.Bytes()
}

func newJetStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 8 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
