package api

import (
	"net/http"
	"strconv"
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
	control *http.ResponseController
	status  int
	bytes   int64
}

func newAnswer(w http.ResponseWriter) *answer {
	return &answer{ResponseWriter: w, control: http.NewResponseController(w)}
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
