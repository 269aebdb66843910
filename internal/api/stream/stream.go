// Package stream sends answers while they are being made.
package stream

import (
	"context"
	"net/http"
	"time"
)

// A Writer sends the parts of an answer's body as they come. One goroutine at a
// time uses it.
type Writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// NewWriter returns a Writer of w's body; headers are the caller's to write.
func NewWriter(w http.ResponseWriter) *Writer {
	return &Writer{w, http.NewResponseController(w)}
}

// Write sends p: it is on its way when Write returns. It waits for a slow
// client until ctx ends, and fails then, as it does where the client has left.
func (s *Writer) Write(ctx context.Context, p []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = s.control.SetWriteDeadline(time.Unix(1, 0)) // where there are none (in tests) nothing waits
	})
	_, err := s.w.Write(p)
	if err == nil {
		err = s.control.Flush()
	}
	if !stop() {
		<-interrupted
		_ = s.control.SetWriteDeadline(time.Time{}) // as above
	}
	return err
}
