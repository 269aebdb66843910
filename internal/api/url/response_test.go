package url

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResponseFrom(t *testing.T) {
	asJSON := http.Header{"Content-Type": {"application/json"}}
	for _, c := range []struct {
		payload string
		want    Response
	}{
		// Inferred.
		{``, Response{200, asJSON, nil}},
		{`"hello"`, Response{200, asJSON, []byte("hello")}},
		{`["hello", 3, true]`, Response{200, asJSON, []byte(`["hello",3,true]`)}},
		{`3.1`, Response{200, asJSON, []byte(`3.1`)}},
		{`true`, Response{200, asJSON, []byte(`true`)}},
		{`null`, Response{200, asJSON, []byte(`null`)}},
		{`{"message": "hi"}`, Response{200, asJSON, []byte(`{"message":"hi"}`)}},
		{`{"body": "x", "headers": {"a": "b"}}`, Response{200, asJSON, []byte(`{"body":"x","headers":{"a":"b"}}`)}},
		{`{"StatusCode": 201}`, Response{200, asJSON, []byte(`{"StatusCode":201}`)}},

		// Explicit.
		{`{"statusCode": 201}`, Response{201, asJSON, nil}},
		{`{"statusCode": "404", "body": "gone"}`, Response{404, asJSON, []byte("gone")}},
		{`{"statusCode": 2e2, "body": null}`, Response{200, asJSON, nil}},
		{`{"statusCode": 200, "body": "PGI+", "isBase64Encoded": true}`, Response{200, asJSON, []byte("<b>")}},
		{`{"statusCode": 200, "body": "PGI+", "isBase64Encoded": false}`, Response{200, asJSON, []byte("PGI+")}},
		{`{"statusCode": 200, "body": {"a": 1}}`, Response{200, asJSON, []byte(`{"a":1}`)}},
		{
			`{"statusCode": 302, "headers": {"content-type": "text/html", "location": "/x", "x-n": 3, "x-b": true}, "cookies": ["a=1; HttpOnly", "b=2"]}`,
			Response{302, http.Header{
				"Content-Type": {"text/html"}, "Location": {"/x"}, "X-N": {"3"}, "X-B": {"true"},
				"Set-Cookie": {"a=1; HttpOnly", "b=2"},
			}, nil},
		},
		{`{"statusCode": 200, "headers": {"Connection": "close", "Content-Length": "999", "transfer-encoding": "x"}}`, Response{200, asJSON, nil}},
		{`{"statusCode": 200, "headers": {"set-cookie": "c=3"}}`, Response{200, http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"c=3"}}, nil}},

		// Streamed, with a prelude.
		{
			`{"statusCode":201,"headers":{"x-a":"b","content-type":"text/html"},"cookies":["c=1"]}` + "\x00\x00\x00\x00\x00\x00\x00\x00<b>\x00</b> ",
			Response{201, http.Header{"Content-Type": {"text/html"}, "X-A": {"b"}, "Set-Cookie": {"c=1"}}, []byte("<b>\x00</b> ")},
		},
		{"{}\x00\x00\x00\x00\x00\x00\x00\x00", Response{200, http.Header{"Content-Type": {"application/octet-stream"}}, nil}},
	} {
		got, err := ResponseFrom([]byte(c.payload))
		if err != nil {
			t.Errorf("%s: %v", c.payload, err)
			continue
		}
		if diff := cmp.Diff(c.want, *got, cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.payload, diff)
		}
	}
}

func TestResponseFromMalformed(t *testing.T) {
	for _, payload := range []string{
		`{`, `nope`, `"open`, `[1,`, "\x00", "\x00\x00\x00\x00\x00\x00\x00\x00", "{\x00\x00\x00\x00\x00\x00\x00\x00",
		`{"statusCode":1}` + "\x00\x00\x00\x00\x00\x00\x00\x00",
		`{"statusCode": 99}`, `{"statusCode": 100}`, `{"statusCode": 600}`, `{"statusCode": 200.5}`,
		`{"statusCode": "abc"}`, `{"statusCode": {}}`, `{"statusCode": true}`, `{"statusCode": "NaN"}`, `{"statusCode": 1e300}`,
		`{"statusCode": 200, "headers": []}`, `{"statusCode": 200, "headers": {"a": {}}}`,
		`{"statusCode": 200, "headers": {"a b": "x"}}`, `{"statusCode": 200, "headers": {"": "x"}}`,
		`{"statusCode": 200, "headers": {"a": "x\r\nset-cookie: y"}}`, `{"statusCode": 200, "headers": {"a": "\u0000"}}`,
		`{"statusCode": 200, "cookies": "a=1"}`, `{"statusCode": 200, "cookies": ["a=1\nb"]}`,
		`{"statusCode": 200, "body": "***", "isBase64Encoded": true}`,
	} {
		if got, err := ResponseFrom([]byte(payload)); err == nil {
			t.Errorf("%q: got %+v, want an error", payload, got)
		}
	}
}

func FuzzResponseFrom(f *testing.F) {
	f.Add([]byte(`{"statusCode":200,"headers":{"a":"b"},"cookies":["c=d"],"body":"eA==","isBase64Encoded":true}`))
	f.Add([]byte(`"text"`))
	f.Add([]byte(`{"statusCode":200}` + "\x00\x00\x00\x00\x00\x00\x00\x00body"))
	f.Add([]byte(`{"statusCode":"201","body":{}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := ResponseFrom(payload)
		if err != nil {
			return
		}
		if r.Status < 200 || r.Status > 599 {
			t.Fatalf("status %d", r.Status)
		}
		for name, values := range r.Header {
			for _, v := range values {
				if !validName(name) || !validValue(v) {
					t.Fatalf("header %q: %q", name, v)
				}
			}
		}
	})
}
