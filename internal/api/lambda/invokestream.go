package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/api/stream"
)

// maxChunk is the most that one PayloadChunk carries, in bytes.
const maxChunk = 64 << 10

// invokeWithResponseStream answers with events, as they come: PayloadChunks,
// and one InvokeComplete, which says whether the function failed.
func (h *Handler) invokeWithResponseStream(ctx context.Context, req *request, in *InvokeWithResponseStreamRequest) (*InvokeWithResponseStreamResponse, error) {
	inv, err := h.called(req, *in.FunctionName, in.Qualifier, in.TenantId, in.Payload)
	if err != nil {
		return nil, err
	}
	if millicent.InvocationType(value(in.InvocationType)) == millicent.DryRun {
		return &InvokeWithResponseStreamResponse{StatusCode: new(http.StatusNoContent)}, h.cfg.Invoker.Check(ctx, inv)
	}
	if inv.ClientContext, err = clientContext(in.ClientContext); err != nil {
		return nil, err
	}
	events := &eventWriter{w: req.w, out: stream.NewWriter(req.w), encoder: eventstream.NewEncoder()}
	inv.Sink, inv.Tail = events, value(in.LogType) == "Tail"
	res, err := h.cfg.Invoker.Invoke(ctx, inv)
	if err != nil && !events.begun {
		return nil, err
	}
	req.answered = true
	if err != nil { // the caller, who has a status already, gets to know it in the last event
		h.cfg.Log.Warn("a streamed response broke off", "id", req.id, "function", inv.Function, "error", err)
	}
	events.complete(ctx, res, err, inv.Tail)
	return nil, nil
}

// An eventWriter is the sink that encodes a response in the form
// application/vnd.amazon.eventstream.
type eventWriter struct {
	w       http.ResponseWriter
	out     *stream.Writer
	encoder *eventstream.Encoder
	buf     bytes.Buffer
	begun   bool
}

// Begin implements millicent.Sink.
func (e *eventWriter) Begin(version, _ string) {
	e.begun = true
	e.w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	e.w.Header().Set("X-Amz-Executed-Version", version)
	e.w.WriteHeader(http.StatusOK)
}

// Write implements millicent.Sink.
func (e *eventWriter) Write(ctx context.Context, p []byte) error {
	for part := range slices.Chunk(p, maxChunk) {
		if err := e.event(ctx, "PayloadChunk", "application/octet-stream", part); err != nil {
			return err
		}
	}
	return nil
}

// complete writes the last event. res is what came of the invocation, unless
// err says why nothing did.
func (e *eventWriter) complete(ctx context.Context, res *millicent.Result, err error, tail bool) {
	var last InvokeWithResponseStreamCompleteEvent
	var told *millicent.Error
	switch {
	case errors.As(err, &told):
		last.ErrorCode, last.ErrorDetails = &told.Code, &told.Message
	case err != nil:
		last.ErrorCode = new(millicent.CodeInternal)
	case res.FunctionError != "":
		last.ErrorCode, last.ErrorDetails = &res.FunctionError, new(string(res.Payload))
	}
	if tail && res != nil {
		last.LogResult = new(base64.StdEncoding.EncodeToString(res.LogTail))
	}
	if !e.begun {
		e.Begin(res.Version, "")
	}
	body, err := marshal(last)
	if err != nil {
		panic(err) // three strings always have a JSON form
	}
	_ = e.event(ctx, "InvokeComplete", "application/json", body) // whoever has left misses nothing
}

// event sends one event.
func (e *eventWriter) event(ctx context.Context, kind, contentType string, payload []byte) error {
	e.buf.Reset()
	if err := e.encoder.Encode(&e.buf, eventstream.Message{
		Headers: eventstream.Headers{
			{Name: ":event-type", Value: eventstream.StringValue(kind)},
			{Name: ":content-type", Value: eventstream.StringValue(contentType)},
			{Name: ":message-type", Value: eventstream.StringValue("event")},
		},
		Payload: payload,
	}); err != nil {
		return err
	}
	return e.out.Write(ctx, e.buf.Bytes())
}
