package url

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
)

const nuls = "\x00\x00\x00\x00\x00\x00\x00\x00"

// streaming is a function behind a URL that streams: parts of that type.
func streaming(contentType string, parts ...string) *platform {
	p := answering("")
	p.url.InvokeMode = millicent.ResponseStream
	p.stream = func(ctx context.Context, sink millicent.Sink) {
		sink.Begin("$LATEST", contentType)
		for _, part := range parts {
			if sink.Write(ctx, []byte(part)) != nil {
				return
			}
		}
	}
	return p
}

func TestStreamedAnswers(t *testing.T) {
	const prelude = `{"statusCode":201,"headers":{"x-a":"b"},"cookies":["c=1","d=2"]}`
	for _, tt := range []struct {
		name        string
		contentType string
		parts       []string
		status      int
		media, body string
	}{
		{"no prelude", "text/plain", []string{"a", "", "b"}, 200, "text/plain", "ab"},
		{"nothing", "text/plain", nil, 200, "text/plain", ""},
		{"no type", "", []string{"a"}, 200, "application/octet-stream", "a"},
		{"a type that cannot be one", "a\r\nb", []string{"a"}, 200, "application/octet-stream", "a"},
		{"what would be a result as a whole", "application/json", []string{`{"statusCode":404}`}, 200, "application/json", `{"statusCode":404}`},
		{"prelude", integration, []string{prelude + nuls + "a", "b"}, 201, "application/octet-stream", "ab"},
		{"prelude with parameters", integration + ";charset=utf-8", []string{prelude + nuls}, 201, "application/octet-stream", ""},
		{"prelude in pieces", integration, strings.Split(prelude+nuls+"a\x00b", ""), 201, "application/octet-stream", "a\x00b"},
		{"the type in the prelude", integration, []string{`{"headers":{"Content-Type":"text/html"}}` + nuls, "<a>"}, 200, "text/html", "<a>"},
		{"no body", integration, []string{`{"statusCode":204}` + nuls, "a"}, 204, "application/octet-stream", ""},
		{"length that is said", integration, []string{`{"headers":{"content-length":"7"}}` + nuls, "a"}, 200, "application/octet-stream", "a"},
		{"no JSON", integration, []string{"{" + nuls, "a"}, 502, "application/json", answerFailed},
		{"prelude that does not end", integration, []string{prelude}, 502, "application/json", answerFailed},
		{"none at all", integration, nil, 502, "application/json", answerFailed},
		{"prelude without an end in sight", integration, []string{strings.Repeat("x", maxPrelude), "y", "z"}, 502, "application/json", answerFailed},
		{"one that is too long", integration, []string{strings.Repeat(" ", maxPrelude) + prelude + nuls}, 502, "application/json", answerFailed},
	} {
		resp, body, err := streaming(tt.contentType, tt.parts...).serve(t, newRequest("GET", "/"))
		if err != nil || resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.media || body != tt.body {
			t.Errorf("%s: %d %v %q, error %v", tt.name, resp.StatusCode, resp.Header, body, err)
		}
		if resp.Header.Get("Content-Length") != "" {
			t.Errorf("%s: a length is said", tt.name)
		}
		if said := strings.Join(resp.Header["Set-Cookie"], ","); (said == "c=1,d=2") != (tt.status == 201) {
			t.Errorf("%s: cookies %s", tt.name, said)
		}
	}
}

func TestStreamedToHead(t *testing.T) {
	resp, body, err := streaming(integration, `{"statusCode":418}`+nuls+"tea").serve(t, newRequest("HEAD", "/"))
	if err != nil || resp.StatusCode != 418 || body != "" {
		t.Errorf("%d %q, error %v", resp.StatusCode, body, err)
	}
}

func TestStreamedCORS(t *testing.T) {
	p := streaming("text/plain", "a")
	p.url.CORS = &millicent.CORS{AllowOrigins: []string{"*"}}
	resp, body, err := p.serve(t, newRequest("GET", "/", "Origin", "https://a.example"))
	if err != nil || body != "a" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v %q, error %v", resp.Header, body, err)
	}
}

// What fails before anything was sent is answered as ever.
func TestStreamedFailures(t *testing.T) {
	p := streaming(integration, "{")
	p.result = &millicent.Result{FunctionError: "Unhandled", Payload: []byte(`{}`)}
	if resp, body, err := p.serve(t, newRequest("GET", "/")); err != nil || resp.StatusCode != 502 || body != answerFailed {
		t.Errorf("%d %q, error %v", resp.StatusCode, body, err)
	}
	p = answering("")
	p.url.InvokeMode, p.err = millicent.ResponseStream, millicent.Throttled("")
	if _, _, err := p.serve(t, newRequest("GET", "/")); !errors.Is(err, p.err) {
		t.Errorf("got %v", err)
	}
}

// What fails later is cut off: a client must not take it for the whole.
func TestStreamedCutOff(t *testing.T) {
	for name, change := range map[string]func(*platform){
		"the function": func(p *platform) { p.result = &millicent.Result{FunctionError: "Unhandled"} },
		"the platform": func(p *platform) { p.result, p.err = nil, millicent.Errorf(millicent.CodeInternal, "no") },
	} {
		p := streaming("text/plain", "a")
		change(p)
		h := New(Config{Region: "us-east-1", Functions: p, Invoker: p, Verifier: p, Log: slog.New(slog.DiscardHandler)})
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Host = newRequest("GET", "/").Host
			target, _ := Match(r)
			if err := h.Serve(w, r, target); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}))
		resp, err := http.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		srv.Close()
		if resp.StatusCode != 200 || string(body) != "a" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %d %q, error %v", name, resp.StatusCode, body, err)
		}
	}
}

// However a response is cut into parts, and whatever it is, the same comes of
// it.
func FuzzStreamed(f *testing.F) {
	f.Add([]byte(`{"statusCode":201,"headers":{"a":"b"},"cookies":["c=d"]}`+nuls+"body"), 3)
	f.Add([]byte(`{}`+nuls+nuls), 1)
	f.Add([]byte("{"+nuls[1:]+"x"), 2)
	f.Fuzz(func(t *testing.T, response []byte, size int) {
		if size < 1 {
			return
		}
		var parts []string
		for rest := response; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			parts = append(parts, string(rest[:min(size, len(rest))]))
		}
		resp, body, err := streaming(integration, parts...).serve(t, newRequest("GET", "/"))
		whole, wholeBody, wholeErr := streaming(integration, string(response)).serve(t, newRequest("GET", "/"))
		if err != nil || wholeErr != nil || resp.StatusCode != whole.StatusCode || body != wholeBody {
			t.Fatalf("%d %q (%v) in parts, %d %q (%v) at once", resp.StatusCode, body, err, whole.StatusCode, wholeBody, wholeErr)
		}
	})
}
