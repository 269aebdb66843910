package plain

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// JoinLimit is the size up to which a body is copied behind its head, so that
// both are written at once.
const JoinLimit = 64 << 10

// An Answer is one that is sent as a whole. The zero value is an empty one.
type Answer struct {
	header http.Header
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (a *Answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header, 8)
	}
	return a.header
}

// WriteHeader implements http.ResponseWriter; the first status counts.
func (a *Answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter. It keeps p, which the caller leaves
// alone, where that is all that is written.
func (a *Answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if !a.hasBody() {
		return 0, http.ErrBodyNotAllowed
	}
	if a.body == nil {
		a.body = p
	} else {
		a.body = append(a.body[:len(a.body):len(a.body)], p...)
	}
	return len(p), nil
}

func (a *Answer) hasBody() bool {
	return a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

// Parts returns the answer: a short one in one piece, a long one's body apart,
// which is not copied. Its length is its body's, whatever the header says.
func (a *Answer) Parts() (head, rest []byte) {
	size := 512
	if len(a.body) <= JoinLimit {
		size += len(a.body)
	}
	return a.parts(make([]byte, 0, size))
}

// parts is Parts with memory for the head, and for a short answer's body.
func (a *Answer) parts(b []byte) (head, rest []byte) {
	a.WriteHeader(http.StatusOK)
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	b = append(append(append(b, ' '), http.StatusText(a.status)...), "\r\n"...)
	for name, values := range a.header {
		if name == "Content-Length" {
			continue
		}
		for _, value := range values {
			b = appendField(b, name, value)
		}
	}
	if a.header["Date"] == nil {
		b = append(append(append(b, "Date: "...), date(time.Now())...), "\r\n"...)
	}
	if a.hasBody() {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(len(a.body)), 10), "\r\n"...)
	}
	b = append(b, "\r\n"...)
	if len(a.body) <= JoinLimit {
		return append(b, a.body...), nil
	}
	return b, a.body
}

// appendField appends a header. As in net/http, a value cannot begin another.
func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	from := len(b)
	b = append(b, value...)
	for i, c := range b[from:] {
		if c == '\r' || c == '\n' {
			b[from+i] = ' '
		}
	}
	return append(b, "\r\n"...)
}

// A stamp is a second, as HTTP writes it.
type stamp struct {
	second int64
	text   string
}

// latest is the last one that was written.
var latest atomic.Pointer[stamp]

// date returns a time as HTTP writes it.
func date(t time.Time) string {
	s := latest.Load()
	if s == nil || s.second != t.Unix() {
		s = &stamp{t.Unix(), t.UTC().Format(http.TimeFormat)}
		latest.Store(s)
	}
	return s.text
}
