package native

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/ledger"
	"github.com/millicent-run/millicent/internal/store"
	"github.com/millicent-run/millicent/internal/telemetry"
)

const (
	one = "111111111111"
	two = "222222222222"
)

// platform is what a Handler works with.
type platform struct {
	functions map[string]*millicent.Function // by tenant and name
	keys      []store.AccessKey
	packages  map[string]string // content by digest
	query     telemetry.Query
	records   []millicent.LogRecord
	more      chan millicent.LogRecord
	recent    telemetry.Recent
	rates     telemetry.Rates
	usage     ledger.Query
}

// Explain knows of one invocation of each tenant.
func (p *platform) Explain(_ context.Context, q telemetry.InvocationQuery) (*millicent.Explanation, error) {
	if q.Invocation != "logged-"+q.Tenant || q.Function != "" && q.Function != "fn" {
		return nil, millicent.Errorf(millicent.CodeNotFound, "No invocation %s", q.Invocation)
	}
	return &millicent.Explanation{Invocation: q.Invocation, Function: "fn"}, nil
}

// Invocations knows of one of each function.
func (p *platform) Invocations(_ context.Context, q telemetry.Query) ([]millicent.Explanation, error) {
	p.query = q
	return []millicent.Explanation{{Invocation: "of-" + q.Tenant, Function: q.Function}}, nil
}

// started has an invocation kept that something was started for.
func (p *platform) started(tenant, function, id string) {
	p.recent.Invoked(&millicent.Invocation{ID: id, Tenant: tenant, Function: function},
		&millicent.Result{Start: &millicent.StartRecord{Cause: millicent.StartFirst, Init: time.Millisecond}}, nil)
}

func (p *platform) Function(tenant, name string) (*millicent.Function, error) {
	if f := p.functions[tenant+name]; f != nil {
		return f, nil
	}
	return nil, millicent.Errorf(millicent.CodeNotFound, "Function not found: %s", name)
}

func (p *platform) Functions(tenant string) (list []*millicent.Function) {
	for key, f := range p.functions {
		if strings.HasPrefix(key, tenant) {
			list = append(list, f)
		}
	}
	return list
}

func (p *platform) Update(_ context.Context, tenant, name string, change func(*millicent.Function) error) (*millicent.Function, error) {
	f, err := p.Function(tenant, name)
	if err != nil {
		return nil, err
	}
	return f, change(f)
}

func (p *platform) OpenPackage(pkg millicent.Package) (io.ReadCloser, error) {
	if content, ok := p.packages[pkg.SHA256]; ok {
		return io.NopCloser(strings.NewReader(content)), nil
	}
	return nil, millicent.Errorf(millicent.CodeNotFound, "no such package")
}

func (p *platform) CreateKey(_ context.Context, tenant string) (store.AccessKey, error) {
	k := store.AccessKey{ID: "AKIANEW", Secret: "new-secret", Tenant: tenant, Created: time.Unix(1, 0).UTC()}
	p.keys = append(p.keys, k)
	return k, nil
}

func (p *platform) Key(id string) (store.AccessKey, bool) {
	i := slices.IndexFunc(p.keys, func(k store.AccessKey) bool { return k.ID == id })
	if i < 0 {
		return store.AccessKey{}, false
	}
	return p.keys[i], true
}

func (p *platform) Keys() []store.AccessKey { return p.keys }

func (p *platform) DeleteKey(_ context.Context, id string) error {
	p.keys = slices.DeleteFunc(p.keys, func(k store.AccessKey) bool { return k.ID == id })
	return nil
}

func (p *platform) Read(_ context.Context, q telemetry.Query) ([]millicent.LogRecord, error) {
	p.query = q
	return p.records, nil
}

func (p *platform) Follow(ctx context.Context, q telemetry.Query, emit func(millicent.LogRecord) error) error {
	p.query = q
	for {
		select {
		case rec := <-p.more:
			if err := emit(rec); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func newPlatform() *platform {
	p := &platform{
		functions: map[string]*millicent.Function{one + "fn": {
			Tenant: one, Name: "fn", LastVersion: 3,
			Draft:   &millicent.Version{Runtime: "python3.13", MemoryMB: 256, Timeout: 3 * time.Second, State: "Active"},
			Aliases: map[string]*millicent.Alias{"live": {}, "beta": {}},
			URLs:    map[string]*millicent.FunctionURL{"": {ID: "abc"}},
		}},
		keys:     []store.AccessKey{{ID: "AKIAONE", Secret: "s1", Tenant: one}, {ID: "AKIATWO", Secret: "s2", Tenant: two}},
		packages: map[string]string{},
		more:     make(chan millicent.LogRecord),
	}
	p.started(one, "fn", "kept-1")
	p.started(two, "fn", "kept-2")
	p.started(one, "other", "kept-3")
	p.rates.Invoked(&millicent.Invocation{Tenant: one, Function: "fn"}, &millicent.Result{Usage: millicent.Usage{Cold: true}}, nil)
	return p
}

func (p *platform) handler(stopping <-chan struct{}) *Handler {
	books, err := billing.NewBooks([]*billing.Book{billing.Default()}, []*billing.Book{billing.Hardware()})
	if err != nil {
		panic(err)
	}
	return New(Config{
		Info: Info{Version: "1.2.3", Region: "us-east-1", Limitations: []string{}}, Store: p, Logs: p, Recent: &p.recent, Rates: &p.rates,
		URL:      func(id string) string { return "http://" + id + "/" },
		Runtimes: func() []Runtime { return []Runtime{{Name: "python3.13", Exact: true}} },
		Provisioned: func(tenant string) []Provisioned {
			return []Provisioned{{Function: "of-" + tenant, Qualifier: "live", Requested: 2, Allocated: 2, Available: 1, Status: "IN_PROGRESS", Reason: "r"}}
		},
		Links: &Links{Secret: []byte("secret")}, Events: fakeEvents{}, Queues: fakeEvents{}, Budgets: fakeBudgets{},
		Usage: fakeUsage{&p.usage}, Books: books,
		CheckEgress: func(entry string) error {
			if strings.Contains(entry, " ") {
				return errors.New("no host name: " + entry)
			}
			return nil
		},
		Stopping: stopping, Log: slog.New(slog.DiscardHandler),
	})
}

// do serves one request of a caller.
func (p *platform) do(id millicent.Identity, method, path, body string) (int, string, error) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	err := p.handler(nil).Serve(w, r.WithContext(millicent.WithIdentity(r.Context(), id)))
	return w.Code, w.Body.String(), err
}

var (
	user     = millicent.Identity{Tenant: one}
	operator = millicent.Identity{Tenant: one, Operator: true}
)

func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		id                 millicent.Identity
		method, path, body string
		status             int
		want               string // part of the answer, or of the error's code and message
	}{
		{user, "GET", "/_millicent/health", "", 200, `{"status":"ok"}`},
		{user, "GET", "/_millicent/info", "", 200, `"version":"1.2.3"`},
		{user, "GET", "/_millicent/runtimes", "", 200, `{"runtimes":[{"name":"python3.13","interpreter":"","version":"","exact":true}]}`},
		{user, "GET", "/_millicent/provisioned", "", 200, `{"provisioned":[{"function":"of-111111111111","qualifier":"live",` +
			`"requested":2,"allocated":2,"available":1,"status":"IN_PROGRESS","reason":"r"}]}`},
		{user, "DELETE", "/_millicent/info", "", 0, "ResourceNotFoundException: No such endpoint: DELETE /_millicent/info"},

		{user, "POST", "/_millicent/keys", "", 201, `"secret":"new-secret","tenant":"111111111111"`},
		{user, "POST", "/_millicent/keys", `{"tenant":"111111111111"}`, 201, `"tenant":"111111111111"`},
		{user, "POST", "/_millicent/keys", `{"tenant":"222222222222"}`, 0, "AccessDeniedException"},
		{operator, "POST", "/_millicent/keys", `{"tenant":"222222222222"}`, 201, `"tenant":"222222222222"`},
		{operator, "POST", "/_millicent/keys", `{"tenant":"x"}`, 0, "twelve digits"},
		{operator, "POST", "/_millicent/keys", `{"tennant":"x"}`, 0, "InvalidRequestContentException"},
		{operator, "POST", "/_millicent/keys", `{`, 0, "InvalidRequestContentException"},
		{operator, "POST", "/_millicent/keys", `"` + strings.Repeat("x", maxBody) + `"`, 0, "InvalidRequestContentException"},
		{user, "GET", "/_millicent/keys", "", 200, `{"keys":[{"id":"AKIAONE","tenant":"111111111111","created":"0001-01-01T00:00:00Z"}]}`},
		{operator, "GET", "/_millicent/keys", "", 200, `"id":"AKIATWO"`},
		{user, "DELETE", "/_millicent/keys/AKIAONE", "", 204, ""},
		{user, "DELETE", "/_millicent/keys/AKIATWO", "", 0, "ResourceNotFoundException: Access key not found: AKIATWO"},
		{operator, "DELETE", "/_millicent/keys/AKIATWO", "", 204, ""},
		{user, "DELETE", "/_millicent/keys/AKIANONE", "", 0, "ResourceNotFoundException"},

		{user, "GET", "/_millicent/functions/fn/egress", "", 200, `{"allow":[]}`},
		{user, "PUT", "/_millicent/functions/fn/egress", `{"allow":["example.com:443","10.0.0.0/8"]}`, 200, `{"allow":["example.com:443","10.0.0.0/8"]}`},
		{user, "PUT", "/_millicent/functions/fn/egress", `{"allow":["two words"]}`, 0, "InvalidParameterValueException: no host name: two words"},
		{user, "PUT", "/_millicent/functions/fn/egress", `{"allow":[` + strings.Repeat(`"a",`, maxAllow) + `"a"]}`, 0, "at most 200 entries"},
		{millicent.Identity{Tenant: two}, "GET", "/_millicent/functions/fn/egress", "", 0, "ResourceNotFoundException"},
		{millicent.Identity{Tenant: two}, "PUT", "/_millicent/functions/fn/egress", `{}`, 0, "ResourceNotFoundException"},

		{user, "GET", "/_millicent/functions", "", 200, `{"functions":[{"name":"fn","runtime":"python3.13","memoryMB":256,"timeoutSeconds":3,"state":"Active",`},
		{user, "GET", "/_millicent/functions", "", 200, `"invocations":1,"errors":0,"refused":0,"coldStarts":1,`},
		{millicent.Identity{Tenant: two}, "GET", "/_millicent/functions", "", 200, `{"functions":[]}`},
		{user, "GET", "/_millicent/functions/fn", "", 200, `"arn":"arn:aws:lambda:us-east-1:111111111111:function:fn","lastVersion":3,` +
			`"aliases":["beta","live"],"urls":["http://abc/"],"steps":[{"start":`},
		{millicent.Identity{Tenant: two}, "GET", "/_millicent/functions/fn", "", 0, "ResourceNotFoundException"},
		{user, "GET", "/_millicent/invocations?function=fn", "", 200, `{"invocations":[{"requestId":"of-111111111111","function":"fn",`},
		{user, "GET", "/_millicent/invocations", "", 0, "not a function's name"},
		{user, "GET", "/_millicent/invocations?function=fn&limit=1001", "", 0, "limit:"},

		{user, "GET", "/_millicent/logs", "", 0, "function:"},
		{user, "GET", "/_millicent/logs?function=..%2Fx", "", 0, "not a function's name"},
		{user, "GET", "/_millicent/logs?function=fn&since=yesterday", "", 0, "since:"},
		{user, "GET", "/_millicent/logs?function=fn&limit=0", "", 0, "limit:"},
		{user, "GET", "/_millicent/logs?function=fn&limit=10001", "", 0, "limit:"},
		{user, "GET", "/_millicent/logs?function=fn&follow=maybe", "", 0, "follow:"},

		{user, "GET", "/_millicent/invocations/kept-1", "", 200, `"delay":{"start":{"cause":"first","acquireUs":0,"attachUs":0,"bootUs":0,"initUs":1000,`},
		{user, "GET", "/_millicent/invocations/kept-1?function=fn", "", 200, `"requestId":"kept-1","function":"fn"`},
		{user, "GET", "/_millicent/invocations/kept-1?function=other", "", 0, "ResourceNotFoundException: No invocation kept-1"},
		{user, "GET", "/_millicent/invocations/kept-2", "", 0, "ResourceNotFoundException: No invocation kept-2"},
		{user, "GET", "/_millicent/invocations/logged-" + one, "", 200, `"requestId":"logged-111111111111"`},
		{user, "GET", "/_millicent/invocations/logged-" + two, "", 0, "ResourceNotFoundException"},
		{millicent.Identity{}, "GET", "/_millicent/invocations/kept-1", "", 0, "ResourceNotFoundException"},
		{user, "GET", "/_millicent/invocations/..%2Fx", "", 0, "is not the id of a request"},
		{user, "GET", "/_millicent/invocations/" + strings.Repeat("1", 65), "", 0, "is not the id of a request"},
		{user, "GET", "/_millicent/invocations/kept-1?function=..%2Fx", "", 0, "not a function's name"},
		{user, "GET", "/_millicent/starts?function=fn", "", 200, `{"starts":[{"requestId":"kept-1",`},
		{user, "GET", "/_millicent/starts?limit=1", "", 200, `{"starts":[{"requestId":"kept-3",`},
		{millicent.Identity{Tenant: "333333333333"}, "GET", "/_millicent/starts", "", 200, `{"starts":[]}`},
		{user, "GET", "/_millicent/starts?limit=1001", "", 0, "limit:"},
		{user, "GET", "/_millicent/starts?function=..%2Fx", "", 0, "not a function's name"},
	} {
		status, body, err := newPlatform().do(c.id, c.method, c.path, c.body)
		if err != nil {
			status, body = 0, err.Error()
		}
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %.60s: got %d %s, want %d %s", c.method, c.path, c.body, status, body, c.status, c.want)
		}
		if c.method == "GET" && strings.Contains(body, "s1") {
			t.Errorf("%s shows a secret: %s", c.path, body)
		}
	}
}

func TestEgressIsStored(t *testing.T) {
	p := newPlatform()
	f := p.functions[one+"fn"]
	for body, want := range map[string][]string{`{"allow":["a"]}`: {"a"}, `{"allow":[]}`: nil, `{}`: nil} {
		if _, _, err := p.do(user, "PUT", "/_millicent/functions/fn/egress", body); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, f.Egress); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestLogs(t *testing.T) {
	p := newPlatform()
	p.records = []millicent.LogRecord{{Function: "fn", Message: "a\nb"}, {Function: "fn", Message: "c"}}
	_, body, err := p.do(user, "GET", "/_millicent/logs?function=fn&since=2026-01-02T03:04:05Z&limit=7", "")
	if err != nil {
		t.Fatal(err)
	}
	want := telemetry.Query{Tenant: one, Function: "fn", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Limit: 7}
	if p.query != want {
		t.Errorf("query %+v, want %+v", p.query, want)
	}
	lines := strings.Split(strings.TrimSpace(body), "\n")
	var got millicent.LogRecord
	if len(lines) != 2 || json.Unmarshal([]byte(lines[0]), &got) != nil || got.Message != "a\nb" {
		t.Errorf("lines %q", lines)
	}
}

// TestFollow reads a stream record by record, and sees it end when the server
// stops.
func TestFollow(t *testing.T) {
	p := newPlatform()
	stopping := make(chan struct{})
	h := p.handler(stopping)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.Serve(w, r.WithContext(millicent.WithIdentity(r.Context(), user))); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	resp, err := http.Get(server.URL + "/_millicent/logs?function=fn&follow=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, message := range []string{"one", "two"} {
		p.more <- millicent.LogRecord{Message: message}
		line, err := lines.ReadString('\n')
		if err != nil || !strings.Contains(line, message) {
			t.Fatalf("line %q, error %v", line, err)
		}
	}
	close(stopping)
	if _, err := lines.ReadByte(); err != io.EOF {
		t.Errorf("after the stop: %v", err)
	}
}

// TestLogEvents reads records as server-sent events.
func TestLogEvents(t *testing.T) {
	p := newPlatform()
	p.records = []millicent.LogRecord{{Function: "fn", Message: "a\nb"}, {Function: "fn", Message: "c"}}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/_millicent/logs?function=fn", nil)
	r.Header.Set("Accept", "text/event-stream")
	if err := p.handler(nil).Serve(w, r.WithContext(millicent.WithIdentity(r.Context(), user))); err != nil {
		t.Fatal(err)
	}
	events := strings.SplitAfter(w.Body.String(), "\n\n")
	data, ok := strings.CutPrefix(events[0], "data: ")
	var got millicent.LogRecord
	if err := json.Unmarshal([]byte(data), &got); err != nil || !ok || len(events) != 3 || events[2] != "" || got.Message != "a\nb" {
		t.Errorf("events %q, error %v", events, err)
	}
	if got := w.Header().Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("type %q", got)
	}
}

const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

func TestLinks(t *testing.T) {
	now := time.Now()
	l := &Links{Secret: []byte("secret"), Now: func() time.Time { return now }}
	path, err := l.Path(millicent.Package{SHA256: digest, Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimPrefix(path, "/_millicent/packages/")
	if p, ok := l.open(token); !ok || p.SHA256 != digest || p.Size != 3 {
		t.Errorf("opened %+v %v", p, ok)
	}
	for i := range token { // every character counts
		other := []byte(token)
		other[i]++
		if _, ok := l.open(string(other)); ok {
			t.Errorf("accepted with character %d changed", i)
		}
	}
	for name, bad := range map[string]string{"empty": "", "short": token[:len(token)-1], "long": token + "A"} {
		if _, ok := l.open(bad); ok {
			t.Errorf("%s token accepted", name)
		}
	}
	if _, ok := (&Links{Secret: []byte("another")}).open(token); ok {
		t.Error("accepted by another server")
	}
	now = now.Add(linkLife + time.Second)
	if _, ok := l.open(token); ok {
		t.Error("accepted when expired")
	}
	if _, err := l.Path(millicent.Package{SHA256: "../../etc/passwd"}); err == nil {
		t.Error("a link to what is no digest")
	}
}

func TestDownload(t *testing.T) {
	p := newPlatform()
	p.packages[digest] = "zip"
	path, err := (&Links{Secret: []byte("secret")}).Path(millicent.Package{SHA256: digest, Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	if status, body, err := p.do(millicent.Identity{}, "GET", path, ""); status != 200 || body != "zip" || err != nil {
		t.Errorf("got %d %q, error %v", status, body, err)
	}
	if status, body, err := p.do(millicent.Identity{}, "HEAD", path, ""); status != 200 || body != "" || err != nil {
		t.Errorf("HEAD: got %d %q, error %v", status, body, err)
	}
	if _, _, err := p.do(user, "GET", "/_millicent/packages/forged", ""); millicent.ErrorCode(err) != millicent.CodeAccessDenied {
		t.Errorf("forged: %v", err)
	}
	delete(p.packages, digest)
	if _, _, err := p.do(user, "GET", path, ""); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("deleted: %v", err)
	}
}

func TestPublic(t *testing.T) {
	for path, want := range map[string]bool{
		"/_millicent/health": true, "/_millicent/packages/x": true, "/_millicent/packages/": false,
		"/_millicent/info": false, "/_millicent/keys": false, "/_millicent/healthy": false,
	} {
		if got := Public(httptest.NewRequest("GET", path, nil)); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if Public(httptest.NewRequest("POST", "/_millicent/health", nil)) {
		t.Error("POST is public")
	}
}

func FuzzLinks(f *testing.F) {
	l := &Links{Secret: []byte("secret")}
	f.Add("x")
	f.Add(strings.Repeat("A", 107))
	f.Fuzz(func(t *testing.T, token string) {
		if _, ok := l.open(token); ok {
			t.Fatalf("a made-up token is accepted: %q", token)
		}
	})
}
