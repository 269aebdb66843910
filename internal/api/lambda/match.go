package lambda

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/millicent-run/millicent"
)

// An operation is one of the service model's.
type operation struct {
	name   string
	method string
	path   string // with labels in braces, and a query that must be there
	status int    // of success
	input  *shape // nil when the operation is not built
}

// A route is an operation with what serves it, ready to match.
type route struct {
	*operation
	endpoint endpoint // nil when the operation is not built

	segments []string
	query    string // key of the parameter that must be there, or empty
	value    string // that parameter's value
}

// A routingTable finds the route of a request by method and number of path
// segments, which leaves a handful of candidates.
type routingTable map[routingKey][]route

type routingKey struct {
	method   string
	segments int
}

func newRoutingTable(bindings []binding) routingTable {
	endpoints := map[string]endpoint{}
	for _, b := range bindings {
		endpoints[b.operation] = b.endpoint
	}
	t := routingTable{}
	for i := range operations {
		op := &operations[i]
		path, query, _ := strings.Cut(op.path, "?")
		r := route{operation: op, endpoint: endpoints[op.name], segments: split(path)}
		r.query, r.value, _ = strings.Cut(query, "=")
		key := routingKey{op.method, len(r.segments)}
		t[key] = append(t[key], r)
	}
	return t
}

// find returns the route of a request and the labels of its path. Of several,
// one with a query of its own goes first, then one whose path is a literal
// where the other's is a label.
func (t routingTable) find(r *http.Request) (route, map[string]string, error) {
	segments := split(r.URL.EscapedPath())
	var best *route
	bestRank := -1
	candidates := t[routingKey{r.Method, len(segments)}]
	for i := range candidates {
		c := &candidates[i]
		if rank := c.rank(segments, r.URL); rank > bestRank {
			best, bestRank = c, rank
		}
	}
	if best == nil {
		return route{}, nil, millicent.Errorf(codeUnknown, "There is no operation %s %s.", r.Method, r.URL.Path)
	}
	labels := map[string]string{}
	for i, s := range best.segments {
		if strings.HasPrefix(s, "{") {
			value, err := url.PathUnescape(segments[i])
			if err != nil {
				return route{}, nil, millicent.Errorf(codeSerialization, "The path of the request is malformed.")
			}
			labels[strings.Trim(s, "{}")] = value
		}
	}
	return *best, labels, nil
}

// rank returns how closely a path matches, or -1.
func (r *route) rank(segments []string, u *url.URL) int {
	rank := 0
	for i, s := range r.segments {
		switch {
		case s == segments[i]:
			rank++
		case !strings.HasPrefix(s, "{") || segments[i] == "":
			return -1
		}
	}
	if r.query != "" {
		if u.Query().Get(r.query) != r.value {
			return -1
		}
		rank += len(segments)
	}
	return rank
}

// split cuts a path into its segments. A slash at the end is as good as none:
// older clients send one.
func split(path string) []string {
	return strings.Split(strings.Trim(path, "/"), "/")
}

// isVersioned reports whether a path begins with a date, as all of the Lambda
// API's do.
func isVersioned(path string) bool {
	const form = "/0000-00-00/"
	if len(path) < len(form) {
		return false
	}
	for i, c := range []byte(form) {
		if c == '0' && (path[i] < '0' || path[i] > '9') || c != '0' && path[i] != c {
			return false
		}
	}
	return true
}
