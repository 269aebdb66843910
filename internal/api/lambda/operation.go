package lambda

import "net/http"

// Operation returns the name of the operation that a request is for and the
// function that its path names, as it names it; "" where there is none.
func (h *Handler) Operation(r *http.Request) (name, function string) {
	route, labels, err := h.routes.find(r)
	if err != nil {
		return "", ""
	}
	return route.name, labels["FunctionName"]
}
