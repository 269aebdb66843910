package url

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

const testID = "abcdefghijklmnopqrstuvwxyz012345"

// decoded builds the event of a request and reads it back.
func decoded(t *testing.T, r *http.Request, body string, id *millicent.Identity) map[string]any {
	t.Helper()
	target, ok := Match(r)
	if !ok {
		t.Fatalf("%s %s is no function URL", r.Host, r.URL)
	}
	payload, err := EventFrom(Request{
		HTTP: r, Body: []byte(body), ID: "request-1", TraceID: "Root=1-2", Target: target, Identity: id,
		Now: time.Date(2020, 3, 12, 20, 3, 58, 390e6, time.FixedZone("CET", 3600)),
	})
	if err != nil {
		t.Fatal(err)
	}
	var e map[string]any
	if err := json.Unmarshal(payload, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func newRequest(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = testID + ".lambda-url.us-east-1.localhost:4566"
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestEventWhole(t *testing.T) {
	r := newRequest("POST", "/my/a%2Fb%20c?p=1&p=2&q=%C3%A9&flag",
		"Header2", "value1", "Header2", "value2", "Cookie", "one=1; two=2", "Connection", "keep-alive",
		"Content-Type", "text/plain; charset=utf-8", "User-Agent", "agent",
		"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "gopher", "X-Amzn-Tls-Version", "forged")
	got := decoded(t, r, "Grüße", nil)
	want := map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": "/my/a%2Fb%20c", "rawQueryString": "p=1&p=2&q=%C3%A9&flag",
		"cookies": []any{"one=1", "two=2"},
		"headers": map[string]any{
			"header2": "value1,value2", "cookie": "one=1; two=2", "content-type": "text/plain; charset=utf-8",
			"user-agent": "agent", "host": r.Host, "x-amzn-trace-id": "Root=1-2",
			"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "http", "x-forwarded-port": "4566",
		},
		"queryStringParameters": map[string]any{"p": "1,2", "q": "é", "flag": ""},
		"requestContext": map[string]any{
			"accountId": "anonymous", "apiId": testID, "domainName": testID + ".lambda-url.us-east-1.localhost", "domainPrefix": testID,
			"http": map[string]any{
				"method": "POST", "path": "/my/a%2Fb%20c", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "agent",
			},
			"requestId": "request-1", "routeKey": "$default", "stage": "$default",
			"time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1584039838390.0,
		},
		"body": "Grüße", "isBase64Encoded": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestEventWithoutParts(t *testing.T) {
	got := decoded(t, newRequest("GET", "/"), "", nil)
	for _, member := range []string{"cookies", "queryStringParameters", "body"} {
		if v, ok := got[member]; ok {
			t.Errorf("%s = %v in an event without", member, v)
		}
	}
	if got["rawQueryString"] != "" || got["isBase64Encoded"] != false {
		t.Errorf("rawQueryString %q, isBase64Encoded %v", got["rawQueryString"], got["isBase64Encoded"])
	}
}

func TestEventSigned(t *testing.T) {
	got := decoded(t, newRequest("GET", "/"), "", &millicent.Identity{Tenant: "111122223333", AccessKey: "AKIA1"})
	c := got["requestContext"].(map[string]any)
	want := map[string]any{"iam": map[string]any{
		"accessKey": "AKIA1", "accountId": "111122223333", "callerId": "AKIA1", "userId": "AKIA1",
		"userArn": "arn:aws:iam::111122223333:user/AKIA1", "cognitoIdentity": nil, "principalOrgId": nil,
	}}
	if diff := cmp.Diff(want, c["authorizer"]); diff != "" {
		t.Errorf("authorizer (-want +got):\n%s", diff)
	}
	if c["accountId"] != "111122223333" {
		t.Errorf("accountId %v", c["accountId"])
	}
}

func TestEventBody(t *testing.T) {
	for _, c := range []struct {
		contentType, body, want string
		encoded                 bool
	}{
		{"application/json", `{"a":1}`, `{"a":1}`, false},
		{"application/json; charset=UTF-8", `"ü"`, `"ü"`, false},
		{"application/problem+json", "{}", "{}", false},
		{"application/soap+xml", "<a/>", "<a/>", false},
		{"application/javascript", "1", "1", false},
		{"TEXT/HTML", "<p>", "<p>", false},
		{"text/plain; =broken", "x", "x", false},
		{"text/plain", "\xff\xfe", "//4=", true},
		{"", "plain", "cGxhaW4=", true},
		{"application/octet-stream", "\x00\x01", "AAE=", true},
		{"application/x-www-form-urlencoded", "a=b", "YT1i", true},
		{"multipart/form-data; boundary=x", "--x--", "LS14LS0=", true},
		{"image/svg+xml", "<svg/>", "PHN2Zy8+", true},
		{"application/octet-stream", "", "", false},
	} {
		if got, encoded := encodeBody(c.contentType, []byte(c.body)); got != c.want || encoded != c.encoded {
			t.Errorf("%q %q: got %q %v, want %q %v", c.contentType, c.body, got, encoded, c.want, c.encoded)
		}
	}
}

func TestQueryParameters(t *testing.T) {
	for raw, want := range map[string]map[string]string{
		"":                nil,
		"&":               nil,
		"a":               {"a": ""},
		"a=1;b=2":         {"a": "1;b=2"},
		"a=%zz":           {"a": "%zz"},
		"a+b=c+d&a%20b=e": {"a b": "c d,e"},
		"a=b=c":           {"a": "b=c"},
	} {
		if diff := cmp.Diff(want, queryParameters(raw)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", raw, diff)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		host, path string
		want       Target
		ok         bool
	}{
		{"Abc.lambda-url.us-east-1.localhost:4566", "/x", Target{"abc", "us-east-1", "abc.lambda-url.us-east-1.localhost", "/x"}, true},
		{"abc.lambda-url.eu-west-1.on.aws", "/", Target{"abc", "eu-west-1", "abc.lambda-url.eu-west-1.on.aws", "/"}, true},
		{"abc.lambda-url.us-east-1.localhost", "/2015-03-31/functions", Target{"abc", "us-east-1", "abc.lambda-url.us-east-1.localhost", "/2015-03-31/functions"}, true},
		{"abc.lambda-url.us-east-1", "/", Target{}, false},
		{"lambda-url.us-east-1.localhost", "/", Target{}, false},
		{"localhost:4566", "/_url/ABC/a%2Fb/c", Target{ID: "abc", Path: "/a%2Fb/c"}, true},
		{"localhost:4566", "/_url/abc", Target{ID: "abc", Path: "/"}, true},
		{"localhost:4566", "/_url/", Target{Path: "/"}, true},
		{"localhost:4566", "/_urls/abc", Target{}, false},
		{"localhost:4566", "/2015-03-31/functions", Target{}, false},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Host = c.host
		if got, ok := Match(r); got != c.want || ok != c.ok {
			t.Errorf("%s %s: got %+v %v, want %+v %v", c.host, c.path, got, ok, c.want, c.ok)
		}
	}
}

func FuzzEventFrom(f *testing.F) {
	f.Add("/a%2Fb", "a=1&a=2", "one=1; two", "text/plain", []byte("body"))
	f.Add("/", "%zz;=&&", ";;=", "text/\xff", []byte{0xff})
	f.Fuzz(func(t *testing.T, path, query, cookie, contentType string, body []byte) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(""))
		r.URL.RawQuery = query
		r.Header["Cookie"] = []string{cookie}
		r.Header["Content-Type"] = []string{contentType}
		payload, err := EventFrom(Request{HTTP: r, Body: body, Target: Target{ID: testID, Path: path}})
		if err != nil || !json.Valid(payload) {
			t.Fatalf("event %q, error %v", payload, err)
		}
	})
}
