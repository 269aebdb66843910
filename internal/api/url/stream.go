package url

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/api/stream"
)

// integration is the type of a response whose beginning says what it is as
// HTTP; see preludeEnd.
const integration = "application/vnd.awslambda.http-integration-response"

// maxPrelude bounds what comes before a streamed response's body, in bytes.
const maxPrelude = 64 << 10

var errPrelude = errors.New("a response of type " + integration + " has no prelude, or one of more than 64 KB")

// A sink sends a response as it comes. A function that does not say more of it
// than a type has status 200, and what it answers is the body, whatever it is.
type sink struct {
	h   *Handler
	w   http.ResponseWriter
	r   *http.Request
	url *millicent.FunctionURL
	out *stream.Writer

	prelude []byte // what came of it
	inside  bool   // the prelude has not ended yet
	begun   bool   // the client has got a status
	silent  bool   // the answer has no body
	over    bool   // the answer is complete, whatever else comes
}

func (h *Handler) newSink(w http.ResponseWriter, r *http.Request, u *millicent.FunctionURL) *sink {
	return &sink{h: h, w: w, r: r, url: u, out: stream.NewWriter(w)}
}

// Begin implements millicent.Sink.
func (s *sink) Begin(_, contentType string) {
	if media, _, err := mime.ParseMediaType(contentType); err == nil && media == integration {
		s.inside = true
		return
	}
	if contentType == "" || !validValue(contentType) {
		contentType = "application/octet-stream"
	}
	s.head(&Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {contentType}}})
}

// Write implements millicent.Sink.
func (s *sink) Write(ctx context.Context, p []byte) error {
	if s.inside {
		var err error
		if p, err = s.cut(p); err != nil {
			s.fail(err)
			return err
		}
	}
	if s.inside || s.silent || s.over {
		return nil
	}
	return s.out.Write(ctx, p)
}

// cut takes more of the prelude, and returns what is behind it once it is
// whole.
func (s *sink) cut(p []byte) (body []byte, err error) {
	s.prelude = append(s.prelude, p...)
	prelude, body, whole := bytes.Cut(s.prelude, preludeEnd)
	switch {
	case whole && len(prelude) > maxPrelude, len(prelude) >= maxPrelude+len(preludeEnd):
		return nil, errPrelude
	case !whole:
		return nil, nil
	}
	response, err := streamed(prelude, nil)
	if err != nil {
		return nil, err
	}
	s.inside, s.prelude = false, nil
	s.head(response)
	return body, nil
}

// head sends all but the body.
func (s *sink) head(response *Response) {
	s.begun = true
	s.silent = s.r.Method == http.MethodHead || bodyless(response.Status)
	s.h.writeHead(s.w, s.r, s.url, response)
}

// fail answers that the function's response is none.
func (s *sink) fail(err error) {
	s.h.cfg.Log.Warn("function URL got a malformed result", "url", s.url.ID, "error", err)
	s.head(failed())
	if !s.silent {
		_, _ = s.w.Write([]byte(answerFailed)) // a client that left misses nothing
	}
	s.inside, s.over = false, true
}

// finish ends the answer, once the invocation is over: with res, unless err
// says why nothing came of it. What has begun, and does not end well, is cut
// off, which is all that a client can still be told.
func (s *sink) finish(res *millicent.Result, err error) error {
	switch {
	case s.over:
	case err != nil && !s.begun:
		return err
	case err != nil:
		s.h.cfg.Log.Warn("a streamed response broke off", "url", s.url.ID, "error", err)
		panic(http.ErrAbortHandler)
	case res.FunctionError != "" && s.begun:
		panic(http.ErrAbortHandler)
	case res.FunctionError != "":
		return s.h.answer(s.w, s.r, s.url, res)
	case s.inside:
		s.fail(errPrelude)
	}
	return nil
}
