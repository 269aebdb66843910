package lambda

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/millicent-run/millicent"
)

// TestPlainIsNoOtherWay: a plain invocation gets the answer that it would get
// by the long way, which a slash at the end of its path makes it go.
func TestPlainIsNoOtherWay(t *testing.T) {
	rec := &recorder{}
	p := newPlatform(t, func(cfg *Config) { cfg.Invoker = rec })
	for _, c := range []struct {
		name, body string
		err        error
	}{
		{"f", `{"a":1}`, nil},
		{"f", "", nil},
		{"f", `{"a"`, nil},
		{"f", "\xff", nil},
		{"F-_9", `"x"`, nil},
		{strings.Repeat("n", maxNameLength), "1", nil},
		{"f", `"` + strings.Repeat("x", believed) + `"`, nil},
		{"f", `"` + strings.Repeat("x", maxInvokeBody) + `"`, nil},
		{"f", "1", millicent.Throttled(millicent.ReasonConcurrency)},
		{"f", "1", errors.New("broken")},
	} {
		rec.err = c.err
		var invoked [2]*millicent.Invocation
		var answers [2]answer
		for i, slash := range []string{"", "/"} {
			r := httptest.NewRequest(http.MethodPost, functionPath(c.name, "/invocations"+slash), nil)
			if _, ok := p.plain(r); ok != (slash == "") {
				t.Errorf("%.10s: plain is %t with %q", c.name, ok, slash)
			}
			rec.invoked = nil
			answers[i] = p.call(http.MethodPost, functionPath(c.name, "/invocations"+slash), c.body)
			if invoked[i] = rec.invoked; invoked[i] != nil {
				invoked[i].Received = invoked[0].Received
			}
		}
		wantEqual(t, answers[0].status, answers[1].status)
		wantEqual(t, answers[0].header, answers[1].header)
		wantEqual(t, string(answers[0].body), string(answers[1].body))
		wantEqual(t, invoked[0], invoked[1])
	}
}

// TestWhatIsNotPlain: whatever an invocation can say beside its function makes
// it go the long way.
func TestWhatIsNotPlain(t *testing.T) {
	p := newPlatform(t, nil)
	plain := func(method, path string, header ...string) bool {
		r := httptest.NewRequest(method, path, strings.NewReader("{}"))
		for _, key := range header {
			r.Header.Set(key, "")
		}
		_, ok := p.plain(r)
		return ok
	}
	path := functionPath("f", "/invocations")
	if !plain(http.MethodPost, path, "Authorization", "X-Amz-Date") {
		t.Error("a plain one is not")
	}
	for _, m := range p.invokeOp.input.members {
		if m.in == inHeader && plain(http.MethodPost, path, m.key) {
			t.Errorf("with %s it is", m.key)
		}
		if m.in == inQuery && plain(http.MethodPost, path+"?"+m.key+"=1") {
			t.Errorf("with %s it is", m.key)
		}
	}
	for _, other := range []string{
		functionPath("f:1", "/invocations"), functionPath("arn:aws:lambda:us-east-1:111111111111:function:f", "/invocations"),
		functionPath("", "/invocations"), functionPath("%66", "/invocations"), functionPath("f/g", "/invocations"),
		functionPath(strings.Repeat("n", maxNameLength+1), "/invocations"), functionPath("f", "/versions"), "/",
	} {
		if plain(http.MethodPost, other) {
			t.Errorf("%s is", other)
		}
	}
	if plain(http.MethodGet, path) {
		t.Error("GET is")
	}
}

func TestReadAll(t *testing.T) {
	text := strings.Repeat("0123456789", 1000)
	for _, length := range []int64{-1, 0, 1, 9999, 10_000, 10_001, believed, believed + 1} {
		for name, r := range map[string]io.Reader{
			"at once":       strings.NewReader(text),
			"byte by byte":  iotest.OneByteReader(strings.NewReader(text)),
			"end with data": iotest.DataErrReader(strings.NewReader(text)),
		} {
			if got, err := readAll(r, length); err != nil || string(got) != text {
				t.Errorf("%s, length %d: read %d bytes, %v", name, length, len(got), err)
			}
		}
	}
	broken := errors.New("broken")
	if _, err := readAll(iotest.ErrReader(broken), 10); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
