package api

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/millicent-run/millicent"
)

const (
	// maxRequest is the largest body of any operation, CreateFunction's.
	maxRequest = 70167211

	// maxBodies bounds the bodies of all requests that are being served: each
	// is in memory.
	maxBodies = 512 << 20

	// maxURLBodies is what function URLs may use, of memory of their own: what
	// strangers send keeps nobody from deploying.
	maxURLBodies = 128 << 20

	// bodyGrace and bodyRate are how slowly a client may send its body: the
	// n-th byte must come within bodyGrace + n/bodyRate.
	bodyGrace = 30 * time.Second
	bodyRate  = 128 << 10 // bytes a second
)

// bodyDeadline returns until when a client may send what comes after the
// first n bytes of a body that began at a time.
func bodyDeadline(began time.Time, n int64) time.Time {
	return began.Add(bodyGrace + time.Duration(n)*time.Second/bodyRate)
}

// budget is memory that requests share.
type budget struct {
	whole *budget // that it is a part of; may be nil
	limit int64
	used  atomic.Int64
}

// take takes n bytes, if they are there.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.limit && (b.whole == nil || b.whole.take(n)) {
		return true
	}
	b.used.Add(-n)
	return false
}

// give gives n bytes back.
func (b *budget) give(n int64) {
	b.used.Add(-n)
	if b.whole != nil {
		b.whole.give(n)
	}
}

// body is a request's body on its way in: bounded in size, in time, and
// together with all others in memory, which is charged as the bytes arrive.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	budget  *budget
	began   time.Time
	taken   int64
	refused error // why no more is read
}

// boundBody makes in the body of the request that a answers, within bounds. It
// began at a time. The caller gives the memory back.
func (a *answer) boundBody(in *body, r *http.Request, b *budget, began time.Time) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	*in = body{ReadCloser: r.Body, control: &a.control, budget: b, began: began}
	if r.ContentLength != 0 {
		in.expect(bodyDeadline(in.began, 0))
	}
	r.Body = in
	if r.ContentLength < 0 || r.ContentLength > maxRequest { // others are as long as they say
		r.Body = http.MaxBytesReader(a.ResponseWriter, in, maxRequest)
	}
}

// Read implements io.Reader. With the end of the body its deadline is lifted:
// what follows may take long, and the server goes on reading to see whether
// the client leaves.
func (b *body) Read(p []byte) (int, error) {
	if b.refused != nil {
		return 0, b.refused
	}
	n, err := b.ReadCloser.Read(p)
	if !b.budget.take(int64(n)) {
		b.refused = millicent.Throttled("CallerRateLimitExceeded")
		return 0, b.refused
	}
	b.taken += int64(n)
	switch {
	case err == nil:
		b.expect(bodyDeadline(b.began, b.taken))
	case errors.Is(err, io.EOF):
		b.expect(time.Time{})
	}
	return n, err
}

// expect sets until when more must have come; a zero time is for ever.
func (b *body) expect(until time.Time) {
	// Where there are no deadlines (in tests) there are no slow clients.
	_ = b.control.SetReadDeadline(until)
}

// release gives back the memory. Nothing may use the body's bytes after it.
func (b *body) release() {
	b.budget.give(b.taken)
	b.taken = 0
}
