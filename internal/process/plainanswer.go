package process

import (
	"net/http"
	"strconv"
	"time"
)

// A plainAnswer is an answer of the Runtime API that is sent as a whole. The
// zero value is an empty one.
type plainAnswer struct {
	header http.Header
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (a *plainAnswer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header, 8)
	}
	return a.header
}

// WriteHeader implements http.ResponseWriter.
func (a *plainAnswer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter. It keeps p, which the caller leaves
// alone, where that is all that is written.
func (a *plainAnswer) Write(p []byte) (int, error) {
	if a.body == nil {
		a.body = p
	} else {
		a.body = append(a.body[:len(a.body):len(a.body)], p...)
	}
	return len(p), nil
}

// bytes returns the answer: a short one in one piece, a long one's body apart,
// which is not copied.
func (a *plainAnswer) bytes() (head, rest []byte) {
	size := 512
	if len(a.body) <= joinLimit {
		size += len(a.body)
	}
	b := append(make([]byte, 0, size), "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	b = append(append(append(b, ' '), http.StatusText(a.status)...), "\r\n"...)
	for name, values := range a.header {
		for _, value := range values {
			b = appendField(b, name, value)
		}
	}
	b = time.Now().UTC().AppendFormat(append(b, "Date: "...), http.TimeFormat)
	b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(a.body)), 10)
	b = append(b, "\r\n\r\n"...)
	if len(a.body) <= joinLimit {
		return append(b, a.body...), nil
	}
	return b, a.body
}

// appendField appends a header. As in net/http, a value cannot begin another.
func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	for i := range len(value) {
		if value[i] == '\r' || value[i] == '\n' {
			b = append(b, ' ')
			continue
		}
		b = append(b, value[i])
	}
	return append(b, "\r\n"...)
}
