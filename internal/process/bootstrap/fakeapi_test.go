package bootstrap

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds every wait for an interpreter; it is long because a loaded
// machine is slow, and no test waits for it unless it fails.
const patience = 60 * time.Second

// An event is what the fake Runtime API answers to one call of next.
type event struct {
	id      string
	body    string
	headers map[string]string
}

// An outcome is what a bootstrap posted.
type outcome struct {
	path    string // below /2018-06-01/runtime/
	body    string
	header  http.Header
	trailer http.Header
	chunked bool
}

// fakeAPI is a Runtime API for one process. next is told of every call of
// next before it is answered.
type fakeAPI struct {
	*httptest.Server
	events   chan event
	next     chan struct{}
	outcomes chan outcome
	status   atomic.Int32       // answer to posts
	link     io.ReadWriteCloser // instead of HTTP, if not nil
	linkEnd  chan struct{}
}

func newFakeAPI(t testing.TB) *fakeAPI {
	t.Helper()
	f := &fakeAPI{
		events:   make(chan event),
		next:     make(chan struct{}, 100),
		outcomes: make(chan outcome, 100),
	}
	f.setStatus(http.StatusAccepted)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", f.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/", f.servePost)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) serveNext(w http.ResponseWriter, r *http.Request) {
	select {
	case f.next <- struct{}{}:
	default: // nobody counts
	}
	select {
	case <-r.Context().Done():
	case e := <-f.events:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", e.id)
		h.Set("Lambda-Runtime-Deadline-Ms", "4000000000000")
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:f")
		for k, v := range e.headers {
			h.Set(k, v)
		}
		io.WriteString(w, e.body)
	}
}

func (f *fakeAPI) servePost(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = append(body, " (truncated)"...)
	}
	f.outcomes <- outcome{
		path:    strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/"),
		body:    string(body),
		header:  r.Header,
		trailer: r.Trailer,
		chunked: len(r.TransferEncoding) > 0,
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(f.status.Load()))
	io.WriteString(w, `{"status":"OK"}`)
}

// hangUp ends all that a process can reach the fake by.
func (f *fakeAPI) hangUp() {
	if f.link != nil {
		f.link.Close()
		return
	}
	f.Listener.Close()
	f.CloseClientConnections()
}

// address is what AWS_LAMBDA_RUNTIME_API says.
func (f *fakeAPI) address() string { return strings.TrimPrefix(f.URL, "http://") }

func (f *fakeAPI) setStatus(status int) { f.status.Store(int32(status)) }
