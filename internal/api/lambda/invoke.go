package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/millicent-run/millicent"
)

const maxClientContext = 3583 // bytes, encoded

func (h *Handler) invoke(ctx context.Context, req *request, in *InvocationRequest) (*InvocationResponse, error) {
	if in.DurableExecutionName != nil {
		return nil, unsupported("Durable execution is not built yet.")
	}
	inv, err := h.called(req, *in.FunctionName, in.Qualifier, in.TenantId, in.Payload)
	if err != nil {
		return nil, err
	}
	switch millicent.InvocationType(value(in.InvocationType)) {
	case millicent.Event:
		return &InvocationResponse{StatusCode: new(http.StatusAccepted)}, h.cfg.Invoker.Enqueue(ctx, inv)
	case millicent.DryRun:
		return &InvocationResponse{StatusCode: new(http.StatusNoContent)}, h.cfg.Invoker.Check(ctx, inv)
	}
	if inv.ClientContext, err = clientContext(in.ClientContext); err != nil {
		return nil, err
	}
	inv.Tail = value(in.LogType) == "Tail"
	res, err := h.cfg.Invoker.Invoke(ctx, inv)
	if err != nil {
		return nil, err
	}
	out := &InvocationResponse{
		StatusCode:      new(http.StatusOK),
		FunctionError:   optional(res.FunctionError),
		ExecutedVersion: &res.Version,
		Payload:         res.Payload,
	}
	if inv.Tail {
		out.LogResult = new(base64.StdEncoding.EncodeToString(res.LogTail))
	}
	return out, nil
}

// invokeAsync is the old form of an invocation of type Event.
func (h *Handler) invokeAsync(ctx context.Context, req *request, in *InvokeAsyncRequest) (*InvokeAsyncResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if err := checkEvent(in.InvokeArgs); err != nil {
		return nil, err
	}
	return &InvokeAsyncResponse{Status: new(http.StatusAccepted)}, h.cfg.Invoker.Enqueue(ctx, h.invocation(req, n, in.InvokeArgs))
}

// called returns the call that a request makes, with an answer to come.
func (h *Handler) called(req *request, function string, qualifier, tenant *string, payload []byte) (*millicent.Invocation, error) {
	n, err := h.resolve(req, function, qualifier)
	if err != nil {
		return nil, err
	}
	if tenant != nil {
		return nil, unsupported("Tenant isolation is not built yet.")
	}
	if err := checkEvent(payload); err != nil {
		return nil, err
	}
	return h.invocation(req, n, payload), nil
}

// invocation returns the call to make. The invoker adds its lineage.
func (h *Handler) invocation(req *request, n name, event []byte) *millicent.Invocation {
	return &millicent.Invocation{
		ID:        req.id,
		Tenant:    n.account,
		Function:  n.function,
		Qualifier: n.qualifier,
		ARN:       n.arn(),
		Event:     event,
		TraceID:   req.header.Get("X-Amzn-Trace-Id"),
		Received:  h.cfg.Now(),
	}
}

// checkEvent refuses a payload that is not JSON; none at all is fine.
func checkEvent(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	if text := jsonFault(payload); text != "" {
		return millicent.Errorf(codeContent, "Could not parse request body into json: Could not parse payload into json: %s", text)
	}
	return nil
}

// clientContext decodes what mobile SDKs send of themselves.
func clientContext(header *string) ([]byte, error) {
	if header == nil {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(*header)
	if err != nil || len(*header) > maxClientContext || !json.Valid(data) {
		return nil, &millicent.Error{
			Code:    codeContent,
			Message: "Client context must be a valid Base64-encoded JSON object.",
			Err:     err,
		}
	}
	return data, nil
}
