package lambda

import (
	"net/http"
	"strconv"
	"strings"
)

// Most calls of all are invocations that say nothing but the function's name.
// They need none of what makes other requests into their operation's input,
// which takes as long as the rest of the API. Every other request goes the
// long way, and gets the same answer by it.

const (
	plainPrefix = "/2015-03-31/functions/"
	plainSuffix = "/invocations"
)

// Invokes reports whether a request is to the path of invocations. Those are
// answered in one piece.
func Invokes(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, plainPrefix) && strings.HasSuffix(r.URL.Path, plainSuffix)
}

// invokeOperation is the operation, and the headers that say more of it.
func invokeOperation() (op *operation, headers []string) {
	for i := range operations {
		if operations[i].name == "Invoke" {
			op = &operations[i]
		}
	}
	for _, m := range op.input.members {
		if m.in == inHeader {
			headers = append(headers, http.CanonicalHeaderKey(m.key))
		}
	}
	return op, headers
}

// plain returns the function that a plain invocation is of; ok is false for
// any other request.
func (h *Handler) plain(r *http.Request) (function string, ok bool) {
	if r.Method != http.MethodPost || r.URL.RawQuery != "" || r.URL.RawPath != "" {
		return "", false
	}
	if function, ok = strings.CutPrefix(r.URL.Path, plainPrefix); !ok {
		return "", false
	}
	if function, ok = strings.CutSuffix(function, plainSuffix); !ok || !isPlainName(function) {
		return "", false
	}
	for _, key := range h.invokeHeaders {
		if _, ok := r.Header[key]; ok {
			return "", false
		}
	}
	return function, true
}

// isPlainName reports whether s is a function's name, and no ARN.
func isPlainName(s string) bool {
	if s == "" || len(s) > maxNameLength {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// servePlain is Serve for a plain invocation.
func (h *Handler) servePlain(w http.ResponseWriter, r *http.Request, req *request, function string) error {
	body, done, err := h.read(r, h.invokeOp)
	if err != nil {
		return err
	}
	defer done()
	inv, err := h.called(req, function, nil, nil, body)
	if err != nil {
		return err
	}
	res, err := h.cfg.Invoker.Invoke(r.Context(), inv)
	if err != nil {
		return err
	}
	values := &[...]string{res.Version, "application/json", strconv.Itoa(len(res.Payload)), res.FunctionError}
	header := w.Header()
	header["X-Amz-Executed-Version"] = values[0:1:1]
	header["Content-Type"] = values[1:2:2]
	header["Content-Length"] = values[2:3:3]
	if res.FunctionError != "" {
		header["X-Amz-Function-Error"] = values[3:]
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(res.Payload) // the client may be gone; nobody is left to tell
	return nil
}
