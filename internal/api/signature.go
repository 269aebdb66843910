package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeForm   = "20060102T150405Z"
	maxExpires = 7 * 24 * time.Hour // of a presigned request
	maxSigned  = 100                // headers
)

// A signature is what a request says of how it was signed: nothing of it is
// proven yet.
type signature struct {
	presigned bool // in the query instead of in headers

	key     string // access key id
	date    string // of the scope, YYYYMMDD
	region  string
	service string
	headers []string // signed ones, in lower case
	value   string   // hex
	token   string   // session token, or empty

	time    time.Time
	expires time.Duration // of a presigned request, after time
}

// parseSignature reads a request's signature. A request without one gives
// codeMissingToken, a garbled one codeIncomplete.
func parseSignature(r *http.Request) (*signature, error) {
	if values := r.Header["Authorization"]; len(values) > 0 {
		if len(values) > 1 {
			return nil, incomplete("The request has more than one Authorization header.")
		}
		return parseHeader(r, values[0])
	}
	if strings.Contains(r.URL.RawQuery, "X-Amz-") {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, incomplete("The query of the request is malformed.")
		}
		if query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Signature") {
			return parseQuery(query)
		}
	}
	return nil, errUnsigned
}

// errUnsigned is the answer to most requests of a server that needs no
// signatures, and nobody sees it there.
var errUnsigned = millicent.Errorf(codeMissingToken, "Missing Authentication Token")

func parseHeader(r *http.Request, value string) (*signature, error) {
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.HasPrefix(scheme, "AWS4-") {
		return nil, errUnsigned
	}
	if scheme != algorithm {
		return nil, incomplete("Unsupported AWS 'algorithm': '%.40s'.", scheme)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, incomplete("'%.100s' not a valid key=value pair (missing equal-sign) in Authorization header.", part)
		}
		parts[name] = v
	}
	s := &signature{value: parts["Signature"], token: r.Header.Get("X-Amz-Security-Token")}
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if parts[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if len(missing) > 0 {
		return nil, incomplete("%s", strings.Join(missing, " "))
	}
	return s, s.read(parts["Credential"], parts["SignedHeaders"], date)
}

func parseQuery(query url.Values) (*signature, error) {
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Expires"} {
		if len(query[name]) != 1 || query.Get(name) == "" {
			return nil, incomplete("AWS query-string parameters must include '%s', once.", name)
		}
	}
	if a := query.Get("X-Amz-Algorithm"); a != algorithm {
		return nil, incomplete("Unsupported AWS 'algorithm': '%.40s'.", a)
	}
	seconds, err := strconv.Atoi(query.Get("X-Amz-Expires"))
	if err != nil || seconds < 1 || seconds > int(maxExpires/time.Second) {
		return nil, incomplete("X-Amz-Expires must be a number from 1 to %d.", int(maxExpires/time.Second))
	}
	s := &signature{
		presigned: true, expires: time.Duration(seconds) * time.Second,
		value: query.Get("X-Amz-Signature"), token: query.Get("X-Amz-Security-Token"),
	}
	return s, s.read(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Date"))
}

// read reads the parts that both forms have.
func (s *signature) read(credential, headers, date string) error {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || slices.Contains(scope, "") {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%.100s'", credential)
	}
	s.key, s.date, s.region, s.service = scope[0], scope[1], scope[2], scope[3]
	s.headers = strings.Split(headers, ";")
	if len(s.headers) > maxSigned {
		return incomplete("At most %d headers can be signed.", maxSigned)
	}
	var err error
	if s.time, err = time.Parse(timeForm, date); err != nil {
		return incomplete("Date must be in ISO-8601 'basic format'. Got '%.40s'. See http://en.wikipedia.org/wiki/ISO_8601", date)
	}
	return nil
}

func incomplete(format string, args ...any) error {
	return millicent.Errorf(codeIncomplete, format, args...)
}
