package api

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// bodyTime is how long a client may take to send its body, writeTime how
	// long it may take to accept one write. Between the two an invocation
	// runs for as long as its function may.
	bodyTime  = 5 * time.Minute
	writeTime = 2 * time.Minute
)

// answer is a response on its way: it knows whether it has begun, and gives
// slow clients their deadlines.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	status  int
	bytes   int64
}

// newAnswer returns the answer to r, and bounds r's body in size and time.
func newAnswer(w http.ResponseWriter, r *http.Request) *answer {
	a := &answer{ResponseWriter: w, control: http.NewResponseController(w)}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if r.ContentLength != 0 && a.control.SetReadDeadline(time.Now().Add(bodyTime)) == nil {
		r.Body = &timedBody{ReadCloser: r.Body, control: a.control}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	return a
}

// Unwrap lets http.ResponseController through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	// Where there are no deadlines (in tests) there are no slow clients.
	_ = a.control.SetWriteDeadline(time.Now().Add(writeTime))
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// FlushError lets http.ResponseController flush.
func (a *answer) FlushError() error {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	_ = a.control.SetWriteDeadline(time.Now().Add(writeTime)) // as in Write
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

// timedBody lifts the deadline once the body has been read: what follows may
// take long, and the server goes on reading to see whether the client leaves.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{}) // it was settable when the body began
	}
	return n, err
}
