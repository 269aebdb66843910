package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// writeTime is how long a client may take to accept one write. Between the
// end of the body and the first write an invocation runs for as long as its
// function may.
const writeTime = 2 * time.Minute

// answer is a response on its way: it knows whether it has begun, and gives
// slow clients their deadlines.
type answer struct {
	http.ResponseWriter
	control http.ResponseController
	status  int
	bytes   int64
	apart   bool // a function's answer under the origin of the APIs: see keepApart

	mu   sync.Mutex // guards what follows
	late time.Time  // see SetWriteDeadline; zero when nothing was said
}

// to makes a the answer that is written to w.
func (a *answer) to(w http.ResponseWriter) {
	a.ResponseWriter, a.control = w, *http.NewResponseController(w)
}

// Unwrap lets http.ResponseController through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.begin(status)
	a.ResponseWriter.WriteHeader(status)
}

// begin notes the answer's status, before its headers are sent.
func (a *answer) begin(status int) {
	if a.status != 0 || status < http.StatusOK {
		return
	}
	a.status = status
	if a.apart {
		keepApart(a.Header())
	}
}

// keepApart has a browser treat what a function answers as of an origin of its
// own. Function URLs by path share the origin of the APIs and of the console:
// a page of a function's could otherwise call these as the page that it was
// opened beside, with what that one may do.
func keepApart(h http.Header) {
	h.Add("Content-Security-Policy", "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts")
	h.Del("Service-Worker-Allowed")
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.begin(http.StatusOK)
	a.allow()
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// allow gives the next write its time.
func (a *answer) allow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	until := time.Now().Add(writeTime)
	if !a.late.IsZero() && a.late.Before(until) {
		until = a.late
	}
	// Where there are no deadlines (in tests) there are no slow clients.
	_ = a.control.SetWriteDeadline(until)
}

// SetWriteDeadline ends writes sooner than writeTime does, also the one that
// is being made; the zero time takes that back.
func (a *answer) SetWriteDeadline(t time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.late = t
	return a.control.SetWriteDeadline(t)
}

// FlushError lets http.ResponseController flush.
func (a *answer) FlushError() error {
	a.begin(http.StatusOK)
	a.allow()
	return a.control.Flush()
}

// send writes a whole answer, unless one has begun.
func (a *answer) send(status int, header http.Header, body []byte) {
	if a.status != 0 {
		return
	}
	for name, values := range header {
		a.Header()[name] = values
	}
	a.Header().Set("Content-Length", strconv.Itoa(len(body)))
	a.WriteHeader(status)
	_, _ = a.Write(body) // a client that left misses nothing
}
