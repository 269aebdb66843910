package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

const (
	targetPrefix = "AmazonSQS."
	formType     = "application/x-www-form-urlencoded"

	// maxRequest bounds a body: a batch of the largest messages, in base64 or
	// escaped.
	maxRequest = 8 << 20
)

// Config gives a Handler what it needs. All of it is required, but for Count.
type Config struct {
	Region string
	Queues *sqs.Service

	// Count, when not nil, is told of each request to a queue.
	Count func(tenant, queue string)
}

// A Handler serves the SQS API.
type Handler struct {
	cfg        Config
	operations map[string]operation
}

// New returns a Handler.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg}
	h.operations = h.bindings()
	return h
}

// An operation decodes a request with decode and returns the answer.
type operation func(ctx context.Context, req *request, decode func(any) error) (any, error)

// A request is what operations know of theirs besides its members.
type request struct {
	identity millicent.Identity
	origin   string // scheme and host that the caller knows this server by
	lineage  millicent.Lineage
}

// typed makes an operation of a function with its own types.
func typed[In, Out any](f func(ctx context.Context, req *request, in *In) (*Out, error)) operation {
	return func(ctx context.Context, req *request, decode func(any) error) (any, error) {
		in := new(In)
		if err := decode(in); err != nil {
			return nil, err
		}
		return f(ctx, req, in)
	}
}

// bindings is the whole surface.
func (h *Handler) bindings() map[string]operation {
	return map[string]operation{
		"CreateQueue":                  typed(h.createQueue),
		"GetQueueUrl":                  typed(h.getQueueURL),
		"GetQueueAttributes":           typed(h.getQueueAttributes),
		"SetQueueAttributes":           typed(h.setQueueAttributes),
		"ListQueues":                   typed(h.listQueues),
		"ListDeadLetterSourceQueues":   typed(h.listSources),
		"DeleteQueue":                  typed(h.deleteQueue),
		"PurgeQueue":                   typed(h.purgeQueue),
		"TagQueue":                     typed(h.tagQueue),
		"UntagQueue":                   typed(h.untagQueue),
		"ListQueueTags":                typed(h.listQueueTags),
		"SendMessage":                  typed(h.sendMessage),
		"SendMessageBatch":             typed(h.sendMessageBatch),
		"ReceiveMessage":               typed(h.receiveMessage),
		"DeleteMessage":                typed(h.deleteMessage),
		"DeleteMessageBatch":           typed(h.deleteMessageBatch),
		"ChangeMessageVisibility":      typed(h.changeVisibility),
		"ChangeMessageVisibilityBatch": typed(h.changeVisibilityBatch),
	}
}

// Inside are the operations that a function may ask for with its own
// credentials, in its own account.
var Inside = map[string]bool{
	"GetQueueUrl": true, "GetQueueAttributes": true, "SendMessage": true, "SendMessageBatch": true,
	"ReceiveMessage": true, "DeleteMessage": true, "DeleteMessageBatch": true,
	"ChangeMessageVisibility": true, "ChangeMessageVisibilityBatch": true,
}

// Match reports whether a request is one to the SQS API.
func Match(r *http.Request) bool {
	if strings.HasPrefix(r.Header.Get("X-Amz-Target"), targetPrefix) {
		return r.Method == http.MethodPost
	}
	return isQuery(r) && (r.URL.Path == "/" || r.URL.Path == "" || isQueuePath(r.URL.Path))
}

// isQuery reports whether a request has a form, or an Action in its URL.
func isQuery(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost:
		return strings.HasPrefix(r.Header.Get("Content-Type"), formType)
	case http.MethodGet:
		return r.URL.Query().Has("Action")
	}
	return false
}

func isQueuePath(path string) bool {
	_, _, ok := parsePath(path)
	return ok
}

// A call is a request in one of the two protocols.
type call struct {
	operation string
	query     bool
	decode    func(any) error
}

// read reads a request's body.
func read(r *http.Request) (c call, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		return c, &millicent.Error{Code: sqs.CodeInvalidValue, Message: "The request's body could not be read.", Err: err}
	}
	if len(body) > maxRequest {
		return c, malformed("The request is larger than %d bytes.", maxRequest)
	}
	if !isQuery(r) {
		c.operation = strings.TrimPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
		c.decode = func(v any) error { return decodeJSON(body, v) }
		return c, nil
	}
	c.query = true
	form := r.URL.Query()
	if r.Method == http.MethodPost {
		if form, err = url.ParseQuery(string(body)); err != nil {
			return c, malformed("The request is no form.")
		}
	}
	c.operation = form.Get("Action")
	if !form.Has("QueueUrl") && isQueuePath(r.URL.Path) {
		form.Set("QueueUrl", r.URL.Path)
	}
	c.decode = func(v any) error { return decodeQuery(form, v) }
	return c, nil
}

func decodeJSON(body []byte, v any) error {
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return &millicent.Error{Code: "SerializationException", Message: "The request is not the JSON of this operation.", Err: err}
	}
	return nil
}

// Serve serves a request that matches; Answer has the answers to its errors.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) error {
	c, err := read(r)
	if err != nil {
		return err
	}
	answer, err := h.run(r, c)
	if err != nil {
		return err
	}
	contentType, body := xmlType, []byte(nil)
	if c.query {
		body = encodeXML(c.operation, millicent.RequestIDFrom(r.Context()), answer)
	} else if contentType, body, err = jsonAnswer(answer); err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // a client that left misses nothing: its messages come back
	return nil
}

const (
	jsonType = "application/x-amz-json-1.0"
	xmlType  = "text/xml"
)

func jsonAnswer(answer any) (contentType string, body []byte, err error) {
	if _, empty := answer.(*none); empty {
		return jsonType, nil, nil
	}
	if body, err = json.Marshal(answer); err != nil {
		return "", nil, fmt.Errorf("encode an answer: %w", err)
	}
	return jsonType, body, nil
}

func (h *Handler) run(r *http.Request, c call) (any, error) {
	op, ok := h.operations[c.operation]
	if !ok {
		return nil, millicent.Errorf(codeInvalidAction, "The action %.80s is not valid for this endpoint.", c.operation)
	}
	id := millicent.IdentityFrom(r.Context())
	if id.Function != "" && !Inside[c.operation] {
		return nil, millicent.Errorf(millicent.CodeAccessDenied, "User: %s is not authorized to perform: sqs:%s", id.ARN(), c.operation)
	}
	req := &request{identity: id, origin: origin(r)}
	if caller, ok := millicent.CallerFrom(r.Context()); ok {
		req.lineage = caller.Causes()
	}
	return op(r.Context(), req, c.decode)
}

// origin returns how the caller reaches this server, for queue URLs.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// Answer returns what is sent for an error, in the request's protocol. status,
// where it is not zero, is that of an error which is not this package's.
func (h *Handler) Answer(r *http.Request, err error, status int) (int, http.Header, []byte) {
	f := faultOf(err)
	if status != 0 {
		f.status = status
	}
	if isQuery(r) {
		return f.status, http.Header{"Content-Type": {xmlType}},
			encodeXMLError(f.kind(), f.queryCode, f.message, millicent.RequestIDFrom(r.Context()))
	}
	body, _ := json.Marshal(map[string]string{"__type": "com.amazonaws.sqs#" + f.code, "message": f.message}) // strings only: it cannot fail
	return f.status, http.Header{"Content-Type": {jsonType}, "X-Amzn-Query-Error": {f.queryCode + ";" + f.kind()}}, body
}
