package millicenttest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// WholeBodies is base for AWS's client of Go, with bodies of requests that
// nobody can take away.
//
// The client closes a request's body as soon as the answer has begun, and what
// it wraps the body in (smithy-go up to v1.28.9, internal/io/safe.go) then
// answers WriteTo with io.EOF, which is an error there. Where the server is
// quick, net/http has sent the body by then but not looked whether that was all
// of it: it takes the error for one of sending, and closes the connection on
// which the answer is still to be read.
func WholeBodies(base *http.Transport) http.RoundTripper { return wholeBodies{base} }

type wholeBodies struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (w wholeBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return w.Transport.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if closeErr := r.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return w.Transport.RoundTrip(r)
}
