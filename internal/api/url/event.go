package url

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	neturl "net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millicent-run/millicent"
)

// A Request is an HTTP request to a function URL, with what the platform
// knows of it.
type Request struct {
	HTTP     *http.Request
	Body     []byte
	ID       string // request id
	TraceID  string
	Target   Target
	Now      time.Time
	Identity *millicent.Identity // who signed it; nil for a URL that needs no signature
}

// event is the payload, members in the order of AWS's documentation.
type event struct {
	Version         string            `json:"version"`
	RouteKey        string            `json:"routeKey"`
	RawPath         string            `json:"rawPath"`
	RawQueryString  string            `json:"rawQueryString"`
	Cookies         []string          `json:"cookies,omitempty"`
	Headers         map[string]string `json:"headers"`
	Query           map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext  requestContext    `json:"requestContext"`
	Body            string            `json:"body,omitempty"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

type requestContext struct {
	AccountID    string      `json:"accountId"`
	APIID        string      `json:"apiId"`
	Authorizer   *authorizer `json:"authorizer,omitempty"`
	DomainName   string      `json:"domainName"`
	DomainPrefix string      `json:"domainPrefix"`
	HTTP         httpContext `json:"http"`
	RequestID    string      `json:"requestId"`
	RouteKey     string      `json:"routeKey"`
	Stage        string      `json:"stage"`
	Time         string      `json:"time"`
	TimeEpoch    int64       `json:"timeEpoch"`
}

type httpContext struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

type authorizer struct {
	IAM iam `json:"iam"`
}

type iam struct {
	AccessKey       string  `json:"accessKey"`
	AccountID       string  `json:"accountId"`
	CallerID        string  `json:"callerId"`
	CognitoIdentity *string `json:"cognitoIdentity"`
	PrincipalOrgID  *string `json:"principalOrgId"`
	UserARN         string  `json:"userArn"`
	UserID          string  `json:"userId"`
}

// EventFrom returns the event of payload format 2.0 for a request.
func EventFrom(r Request) ([]byte, error) {
	body, encoded := encodeBody(r.HTTP.Header.Get("Content-Type"), r.Body)
	e := event{
		Version:         "2.0",
		RouteKey:        "$default",
		RawPath:         r.Target.Path,
		RawQueryString:  r.HTTP.URL.RawQuery,
		Cookies:         cookies(r.HTTP.Header),
		Headers:         headers(r),
		Query:           queryParameters(r.HTTP.URL.RawQuery),
		RequestContext:  contextOf(r),
		Body:            body,
		IsBase64Encoded: encoded,
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func contextOf(r Request) requestContext {
	c := requestContext{
		AccountID:    "anonymous",
		APIID:        r.Target.ID,
		DomainName:   r.Target.Domain,
		DomainPrefix: r.Target.ID,
		HTTP: httpContext{
			Method:    r.HTTP.Method,
			Path:      r.Target.Path,
			Protocol:  r.HTTP.Proto,
			SourceIP:  sourceIP(r.HTTP),
			UserAgent: r.HTTP.UserAgent(),
		},
		RequestID: r.ID,
		RouteKey:  "$default",
		Stage:     "$default",
		Time:      r.Now.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		TimeEpoch: r.Now.UnixMilli(),
	}
	if id := r.Identity; id != nil {
		c.AccountID = id.Tenant
		c.Authorizer = &authorizer{iam{
			AccessKey: id.AccessKey,
			AccountID: id.Tenant,
			CallerID:  id.AccessKey,
			UserARN:   id.ARN(),
			UserID:    id.AccessKey,
		}}
	}
	return c
}

// headers returns the request's headers, names in lower case and several
// values joined, without the hop-by-hop Connection and with the platform's
// own in place of the client's.
func headers(r Request) map[string]string {
	out := make(map[string]string, len(r.HTTP.Header)+6)
	for name, values := range r.HTTP.Header {
		separator := ","
		if name == "Cookie" {
			separator = "; "
		}
		out[strings.ToLower(name)] = strings.Join(values, separator)
	}
	for _, name := range []string{"connection", "x-amzn-tls-version", "x-amzn-tls-cipher-suite"} {
		delete(out, name)
	}
	out["host"] = r.HTTP.Host
	out["x-amzn-trace-id"] = r.TraceID
	out["x-forwarded-for"] = sourceIP(r.HTTP)
	out["x-forwarded-proto"] = "http"
	if state := r.HTTP.TLS; state != nil {
		out["x-forwarded-proto"] = "https"
		out["x-amzn-tls-version"] = tlsVersion(state)
		out["x-amzn-tls-cipher-suite"] = tlsCipher(state)
	}
	out["x-forwarded-port"] = port(r.HTTP, out["x-forwarded-proto"])
	return out
}

// port returns the port that the client connected to.
func port(r *http.Request, proto string) string {
	if _, p, err := net.SplitHostPort(r.Host); err == nil {
		return p
	}
	if proto == "https" {
		return "443"
	}
	return "80"
}

// sourceIP returns the address of the connection; of no header.
func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func cookies(h http.Header) []string {
	var out []string
	for _, line := range h["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// queryParameters decodes a query; values of one name are joined by commas,
// and what cannot be decoded stays as it came. nil when there are none.
func queryParameters(raw string) map[string]string {
	var out map[string]string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		if out == nil {
			out = map[string]string{}
		}
		if before, ok := out[name]; ok {
			value = before + "," + value
		}
		out[name] = value
	}
	return out
}

func unescape(s string) string {
	if u, err := neturl.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// encodeBody returns the body as text if its type says that it is text and it
// is valid UTF-8, else in base64.
func encodeBody(contentType string, body []byte) (s string, encoded bool) {
	if len(body) == 0 {
		return "", false
	}
	if isText(contentType) && utf8.Valid(body) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

// isText goes by the media type: text/*, and what is JSON, XML or JavaScript.
// Forms of both kinds are not.
func isText(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		media = strings.TrimSpace(media)
	}
	if strings.HasPrefix(media, "text/") {
		return true
	}
	subtype, ok := strings.CutPrefix(media, "application/")
	if !ok {
		return false
	}
	switch subtype {
	case "json", "xml", "javascript", "x-javascript", "ecmascript":
		return true
	}
	return strings.HasSuffix(subtype, "+json") || strings.HasSuffix(subtype, "+xml") || strings.HasPrefix(subtype, "x-amz-json-")
}
