package lambda

import (
	"net/http"

	"github.com/millicent-run/millicent"
)

// note tells the operator of a call that was to change something: that it
// did, or why not. What failed for no fault of the caller is the listener's
// to tell.
func (h *Handler) note(op *operation, labels map[string]string, req *request, err error) {
	switch {
	case op.method == http.MethodGet, op.name == "Invoke", op.name == "InvokeAsync", op.name == "InvokeWithResponseStream":
		return
	}
	log := h.cfg.Log.With("operation", op.name, "function", subject(labels, req), "tenant", req.tenant, "id", req.id)
	switch {
	case err == nil && req.warning != "":
		log.Warn("changed", "warning", req.warning)
	case err == nil:
		log.Info("changed")
	case isRefusal(err):
		log.Info("change refused", "error", err)
	}
}

// subject returns what a call names as the function that it is about.
func subject(labels map[string]string, req *request) string {
	for _, key := range []string{"FunctionName", "Resource"} {
		if name := labels[key]; name != "" {
			return name
		}
	}
	if req.fields != nil {
		if name, ok := req.fields.values["FunctionName"].(string); ok {
			return name
		}
	}
	return ""
}

// isRefusal reports whether an error is one that its caller can do something
// about.
func isRefusal(err error) bool {
	e, known := ExceptionOf(millicent.ErrorCode(err))
	return known && (e.Status < http.StatusInternalServerError || e.Status == http.StatusNotImplemented)
}
