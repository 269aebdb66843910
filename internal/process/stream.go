package process

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
)

const (
	// maxStream is how large a streamed response may be, in bytes, as on Lambda.
	maxStream = 200 << 20

	// streamBuffer is how much of a streamed response is read at a time.
	streamBuffer = 64 << 10
)

// errStreamTooLarge is the error of a Write that exceeds maxStream.
var errStreamTooLarge = errors.New("the streamed response is too large")

// A stream carries the response of one invocation to its sink while the
// runtime writes it. The runtime waits for a slow receiver: nothing is held
// but the part that is being written. Whether the receiver is still there does
// not matter to the runtime, as on Lambda: what nobody takes is counted and
// dropped.
type stream struct {
	sink    millicent.Sink
	version string
	ctx     context.Context // ends when nobody waits for the response any more
	end     context.CancelFunc
	moved   atomic.Int64 // parts that have come and parts that were taken: odd while one is being taken

	mu    sync.Mutex // held by who writes to sink
	began time.Time  // zero before
	size  int64      // of what the runtime has written
	gone  bool       // nothing is written any more: the receiver has left, or the wait is over
	cut   bool       // it is over: the rest is missing
}

// newStream returns a stream that ends with ctx, at the deadline, and when it is
// closed, whichever is first. Close it.
func newStream(ctx context.Context, sink millicent.Sink, version string, deadline time.Time) *stream {
	s := &stream{sink: sink, version: version}
	s.ctx, s.end = context.WithDeadline(ctx, deadline)
	return s
}

// begin announces the response.
func (s *stream) begin(contentType string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil {
		s.began = time.Now()
		s.sink.Begin(s.version, contentType)
	}
}

// Write takes the next part of the response. It fails where it is too large.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved.Add(1)
	defer s.moved.Add(1)
	if s.size += int64(len(p)); s.size > maxStream {
		return 0, errStreamTooLarge
	}
	if s.gone || len(p) == 0 {
		return len(p), nil
	}
	err := s.ctx.Err()
	if err == nil {
		err = s.sink.Write(s.ctx, p)
	}
	if err != nil {
		s.gone, s.cut = true, s.ctx.Err() != nil
	}
	return len(p), nil
}

// whole returns what the runtime says that came of a response, nil where not
// all of that could be passed on: then the end of the wait is what came of it.
func (s *stream) whole(out *outcome) *outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return nil
	}
	return out
}

// close has the sink left alone from now on.
func (s *stream) close() {
	s.end() // a write that waits ends
	s.mu.Lock()
	defer s.mu.Unlock()
}

// respondInParts passes a response on as it comes.
func (s *session) respondInParts(w http.ResponseWriter, r *http.Request, t *turn) {
	t.stream.begin(r.Header.Get("Content-Type"))
	_, err := io.CopyBuffer(t.stream, r.Body, make([]byte, streamBuffer))
	switch {
	case errors.Is(err, errStreamTooLarge):
		s.settle(t, &outcome{failure: lifecycle.ResponseTooLarge(maxStream)})
		_, _ = io.CopyN(io.Discard, r.Body, maxDiscard) // its length decides nothing
		answerTooLarge(w, maxStream)
	case err != nil:
		s.settle(t, &outcome{failure: truncatedResponse()})
		answerTruncated(w)
	default:
		s.settle(t, t.stream.whole(endOf(r, &outcome{})))
		answerAccepted(w)
	}
}

// endOf returns what becomes of a response that has come whole: what its
// trailers say may be that it broke off.
func endOf(r *http.Request, whole *outcome) *outcome {
	kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type")
	if kind == "" {
		return whole
	}
	return &outcome{failure: trailerFailure(kind, r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))}
}
