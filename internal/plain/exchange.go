package plain

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// An exchange is a request's body and the answer to it: the handler's
// ResponseWriter, with what http.ResponseController asks of one.
type exchange struct {
	Answer
	body body
	ctx  requestContext
	loop *loop
}

// newExchange returns the exchange of the next request, which has its context.
func newExchange(l *loop) *exchange {
	x := &exchange{loop: l}
	x.ctx.loop, x.body.x = l, x
	return x
}

// begin makes a request the handler's.
func (x *exchange) begin(r *http.Request) {
	x.ctx.heard = r.ContentLength == 0
	if r.ContentLength > 0 {
		x.body.rest = rest{x.loop.In, r.ContentLength}
		r.Body = &x.body
	}
	r.RemoteAddr = x.loop.remote
	_ = x.loop.read.to(time.Time{})  // fails only when it is closed
	_ = x.loop.write.to(time.Time{}) // as above
}

// Write implements http.ResponseWriter. It keeps p where that is long, which the
// handler leaves alone then. What is short is copied: package fmt and others
// use the memory of what they write again, for somebody else's answer.
func (x *exchange) Write(p []byte) (int, error) {
	if len(p) <= JoinLimit && x.Answer.body == nil {
		p = append(x.loop.body[:0], p...)
		x.loop.body = spare(p)
	}
	return x.Answer.Write(p)
}

// end ends what the handler had of the request, and reads what it left of the
// body. The error says that there is no telling where another request begins.
func (x *exchange) end() error {
	x.ctx.end()
	x.body.closed.Store(true)
	_, err := x.loop.In.Discard(int(x.body.left)) // at most maxBody
	return err
}

// SetReadDeadline is for http.ResponseController.
func (x *exchange) SetReadDeadline(t time.Time) error { return x.loop.read.to(t) }

// SetWriteDeadline is for http.ResponseController.
func (x *exchange) SetWriteDeadline(t time.Time) error { return x.loop.write.to(t) }

// A body is a request's, of known length. Its context hears of its end.
type body struct {
	rest
	x      *exchange
	closed atomic.Bool
}

// Read implements io.Reader. The last bytes come with io.EOF.
func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.closed.Load():
		return 0, http.ErrBodyReadAfterClose
	case b.left == 0:
		return 0, io.EOF
	}
	n, err := b.rest.Read(p)
	switch {
	case b.left == 0:
		b.x.ctx.bodyEnded()
	case err != nil:
		b.x.ctx.cancelled()
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.closed.Store(true)
	return nil
}
