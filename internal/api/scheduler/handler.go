package scheduler

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/schedule"
)

// maxRequest bounds a body: the largest input, escaped.
const maxRequest = 2 << 20

// Config gives a Handler what it needs. All of it is required.
type Config struct {
	Region    string
	Schedules *schedule.Service
}

// A Handler serves the EventBridge Scheduler API.
type Handler struct{ cfg Config }

// New returns a Handler.
func New(cfg Config) *Handler { return &Handler{cfg: cfg} }

// A request is what operations know of theirs.
type request struct {
	*http.Request
	tenant string
	rest   string // of the path: a name or an ARN
}

// An operation decodes its request and returns the answer.
type operation func(ctx context.Context, r *request) (any, error)

const (
	schedulesPath = "/schedules"
	groupsPath    = "/schedule-groups"
	tagsPath      = "/tags/arn:aws:scheduler:"
)

// Match reports whether a request is one to the EventBridge Scheduler API.
func Match(r *http.Request) bool {
	path := r.URL.Path
	return path == schedulesPath || strings.HasPrefix(path, schedulesPath+"/") ||
		path == groupsPath || strings.HasPrefix(path, groupsPath+"/") || strings.HasPrefix(path, tagsPath)
}

// find returns the operation of a request, and what its path names.
func (h *Handler) find(r *http.Request) (name string, op operation, rest string) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	resource, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	key := r.Method + " " + resource
	if rest != "" {
		key += "/"
	}
	switch key {
	case "GET schedules":
		return "ListSchedules", h.listSchedules, rest
	case "POST schedules/":
		return "CreateSchedule", h.createSchedule, rest
	case "GET schedules/":
		return "GetSchedule", h.getSchedule, rest
	case "PUT schedules/":
		return "UpdateSchedule", h.updateSchedule, rest
	case "DELETE schedules/":
		return "DeleteSchedule", h.deleteSchedule, rest
	case "GET schedule-groups":
		return "ListScheduleGroups", h.listGroups, rest
	case "POST schedule-groups/":
		return "CreateScheduleGroup", h.createGroup, rest
	case "GET schedule-groups/":
		return "GetScheduleGroup", h.getGroup, rest
	case "DELETE schedule-groups/":
		return "DeleteScheduleGroup", h.deleteGroup, rest
	case "GET tags/":
		return "ListTagsForResource", h.listTags, rest
	case "POST tags/":
		return "TagResource", h.tag, rest
	case "DELETE tags/":
		return "UntagResource", h.untag, rest
	}
	return "", nil, ""
}

// Serve serves a request that matches; Answer has the answers to its errors.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) error {
	answer, err := h.run(r)
	if err != nil {
		return err
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a client that left misses nothing
	return nil
}

func (h *Handler) run(r *http.Request) (any, error) {
	name, op, rest := h.find(r)
	if op == nil {
		return nil, millicent.Errorf(codeUnknown, "Nothing is served at %s %.200s", r.Method, r.URL.Path)
	}
	id := millicent.IdentityFrom(r.Context())
	if id.Function != "" { // schedules are for people
		return nil, millicent.Errorf(millicent.CodeAccessDenied, "User: %s is not authorized to perform: scheduler:%s", id.ARN(), name)
	}
	return op(r.Context(), &request{r, id.Tenant, rest})
}

// decode reads a JSON body.
func (r *request) decode(v any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	switch {
	case err != nil:
		return &millicent.Error{Code: schedule.CodeValidation, Message: "The request's body could not be read.", Err: err}
	case len(body) > maxRequest:
		return millicent.Errorf(schedule.CodeValidation, "The request is larger than %d bytes.", maxRequest)
	case len(body) == 0:
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return &millicent.Error{Code: "SerializationException", Message: "The request is not the JSON of this operation.", Err: err}
	}
	return nil
}

// query returns a parameter of the query; nil when it is not there.
func (r *request) query(name string) *string {
	q := r.URL.Query()
	if !q.Has(name) {
		return nil
	}
	v := q.Get(name)
	return &v
}

// A page is the part of a list that a request asks for.
type page struct {
	max   int
	after string // the key of the last item of the page before
}

func (r *request) page(c *check) page {
	p := page{max: 100}
	if s := r.query("MaxResults"); s != nil {
		n, err := strconv.Atoi(*s)
		if err != nil {
			c.fail(*s, "maxResults", "Member must be a number")
		}
		c.number(&n, "maxResults", 1, 100)
		p.max = n
	}
	if s := r.query("NextToken"); s != nil {
		c.text(s, "nextToken", nextText)
		after, err := base64.RawURLEncoding.DecodeString(*s)
		if err != nil {
			c.fail(*s, "nextToken", "Member must be a token of this operation")
		}
		p.after = string(after)
	}
	return p
}

// cut returns the page of items in the order of their keys, and the token for
// the next one.
func cut[T any](p page, all []T, key func(T) string) (_ []T, next *string) {
	part := all[:0:0]
	for _, item := range all {
		if key(item) <= p.after {
			continue
		}
		if len(part) == p.max {
			token := base64.RawURLEncoding.EncodeToString([]byte(key(part[len(part)-1])))
			return part, &token
		}
		part = append(part, item)
	}
	return part, nil
}

const codeUnknown = "UnknownOperationException"

// statuses are the codes that are not answered with 400.
var statuses = map[string]int{
	millicent.CodeNotFound:          http.StatusNotFound,
	schedule.CodeConflict:           http.StatusConflict,
	schedule.CodeQuota:              http.StatusPaymentRequired,
	"ThrottlingException":           http.StatusTooManyRequests,
	"InternalServerException":       http.StatusInternalServerError,
	codeUnknown:                     http.StatusNotFound,
	millicent.CodeAccessDenied:      http.StatusForbidden,
	millicent.CodeServerUnavailable: http.StatusServiceUnavailable,
}

// words are this API's for codes of other packages.
var words = map[string]string{
	millicent.CodeConflict:  schedule.CodeConflict,
	millicent.CodeInvalid:   schedule.CodeValidation,
	millicent.CodeThrottled: "ThrottlingException",
	millicent.CodeInternal:  "InternalServerException",
}

// Answer returns what is sent for an error. status, where it is not zero, is
// that of an error which is not this package's.
func (h *Handler) Answer(_ *http.Request, err error, status int) (int, http.Header, []byte) {
	var e *millicent.Error
	if !errors.As(err, &e) {
		e = &millicent.Error{Code: millicent.CodeInternal, Message: "The server failed to serve the request; its log says why."}
	}
	code := e.Code
	if word, ok := words[code]; ok {
		code = word
	}
	if status == 0 {
		if status = statuses[code]; status == 0 {
			status = http.StatusBadRequest
		}
	}
	body, _ := json.Marshal(map[string]string{"Message": e.Message}) // strings only: it cannot fail
	return status, http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {code}}, body
}
