package bootstrap

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
)

// Each case is a streaming handler, the body that it streams and how it fails.
func TestNodeStreams(t *testing.T) {
	const http = "application/vnd.awslambda.http-integration-response"
	tests := []struct {
		name    string
		handler string
		body    string
		media   string // application/octet-stream unless given
		old     string // type and message of its failure by nodejs22.x
		new     string // by nodejs24.x where it differs
		begun   bool   // the failure comes after the first byte
		log     string
	}{
		{name: "text", handler: "async (e, s) => { s.write('a'); s.write(Buffer.from('b')); s.end('c') }", body: "abc"},
		{name: "object", handler: "async (e, s) => { s.write({a: e}); s.end() }", body: `{"a":7}`},
		{name: "nothing", handler: "async (e, s) => { s.end() }", body: ""},
		{name: "empty chunks", handler: "async (e, s) => { s.write(''); s.write('a'); s.write(''); s.end() }", body: "a"},
		{name: "a megabyte", handler: "async (e, s) => { for (let i = 0; i < 16; i++) if (!s.write('x'.repeat(65536))) await new Promise(r => s.once('drain', r)); s.end() }", body: strings.Repeat("x", 1<<20)},
		{name: "content type", handler: "async (e, s) => { s.setContentType('text/plain'); s.end('a') }", body: "a", media: "text/plain"},
		{name: "pipeline", handler: "async (e, s) => { await pipeline(Readable.from(['a', 'b']), s) }", body: "ab"},
		{name: "pipe that outlives the handler", handler: "async (e, s) => { Readable.from((async function* () { for (const c of 'abc') { yield c; await new Promise(r => setTimeout(r, 2)) } })()).pipe(s) }", body: "abc"},
		{name: "HTTP prelude", handler: "async (e, s) => { s = awslambda.HttpResponseStream.from(s, {statusCode: 201, headers: {a: 'b'}, cookies: ['c=d']}); s.write('body'); s.end() }",
			body: `{"statusCode":201,"headers":{"a":"b"},"cookies":["c=d"]}` + strings.Repeat("\x00", 8) + "body", media: http},
		{name: "HTTP prelude without a body", handler: "async (e, s) => { awslambda.HttpResponseStream.from(s, {statusCode: 204}).end() }",
			body: `{"statusCode":204}` + strings.Repeat("\x00", 8), media: http},
		{name: "return value", handler: "async (e, s) => { s.end('a'); return 1 }", body: "a", log: "\tWARN\tStreaming handlers ignore return values."},
		{name: "failure before the first byte", handler: "async (e, s) => { throw new TypeError('early') }", old: "TypeError: early", log: "\tERROR\tInvoke Error \t"},
		{name: "failure after the first byte", handler: "async (e, s) => { s.write('a'); await new Promise(r => setTimeout(r, 2)); throw new TypeError('mid') }", body: "a", old: "TypeError: mid", begun: true, log: "\tERROR\tInvoke Error \t"},
		{name: "content type too late", handler: "async (e, s) => { s.write('a'); s.setContentType('text/plain') }", body: "a", old: "Runtime.InvalidStreamingOperation: Cannot set content-type, too late.", begun: true, log: "Invoke Error"},
		{name: "no async handler", handler: "(e, s) => { }", old: "string: Streaming does not support non-async handlers.", new: "Error: Streaming does not support non-async handlers.", log: "Invoke Error"},
		{name: "not ended", handler: "async (e, s) => { s.write('a') }", body: "a", old: "string: Response stream is not finished.", new: "Error: Response stream is not finished.", begun: true, log: "Invoke Error"},
		{name: "not even begun", handler: "async (e, s) => { }", old: "string: Response stream is not finished.", new: "Error: Response stream is not finished.", log: "Invoke Error"},
		{name: "destroyed", handler: "async (e, s) => { s.write('a'); s.destroy(new RangeError('gone')); }", body: "a", old: "RangeError: gone", begun: true, log: "Invoke Error"},
		{name: "never settled", handler: "(e, s) => new Promise(() => {})", old: "Runtime.NodeJsExit: " + neverSettled, log: "Invoke Error"},
		{name: "context", handler: "async (e, s, c) => { s.end(c.awsRequestId.split('-')[0]) }", body: "request"},
	}
	source := "import { pipeline } from 'node:stream/promises'; import { Readable } from 'node:stream';\nconst cases = [\n"
	for _, tt := range tests {
		source += tt.handler + ",\n"
	}
	source += "]\nexport const handler = awslambda.streamifyResponse((e, s, c) => cases[e](7, s, c), {highWaterMark: 1024})\n"
	for _, runtime := range []string{"nodejs20.x", "nodejs24.x"} {
		t.Run(runtime, func(t *testing.T) {
			f := start(t, program{runtime: runtime, handler: "index.handler", files: map[string]string{"index.mjs": source}})
			for i, tt := range tests {
				want := tt.old
				if runtime == "nodejs24.x" && tt.new != "" {
					want = tt.new
				}
				o := f.invoke(strconv.Itoa(i))
				checkStream(t, tt.name, o, tt.body, tt.media, want, tt.begun)
				logs := f.entries()
				if tt.log == "" && len(logs) > 0 || tt.log != "" && (len(logs) != 1 || !strings.Contains(logs[0].text, tt.log)) {
					t.Errorf("%s: log %+v, want %q", tt.name, logs, tt.log)
				}
			}
		})
	}
}

func checkStream(t *testing.T, name string, o outcome, body, media, failure string, begun bool) {
	t.Helper()
	if failure != "" && !begun {
		if o.chunked || !strings.HasSuffix(o.path, "/error") {
			t.Errorf("%s: posted to %s", name, o.path)
			return
		}
		if got := nodeOutcome(t, o); got != failure {
			t.Errorf("%s: got %s, want %s", name, got, failure)
		}
		return
	}
	if media == "" {
		media = "application/octet-stream"
	}
	if !strings.HasSuffix(o.path, "/response") || !o.chunked {
		t.Errorf("%s: posted to %s, chunked %v", name, o.path, o.chunked)
	}
	if got := o.header.Get("Lambda-Runtime-Function-Response-Mode"); got != "streaming" {
		t.Errorf("%s: response mode %q", name, got)
	}
	if got := o.header.Get("Content-Type"); got != media {
		t.Errorf("%s: content type %q, want %q", name, got, media)
	}
	if o.body != body {
		t.Errorf("%s: body of %d bytes %.100q, want %.100q", name, len(o.body), o.body, body)
	}
	kind := o.trailer.Get("Lambda-Runtime-Function-Error-Type")
	text, err := base64.StdEncoding.DecodeString(o.trailer.Get("Lambda-Runtime-Function-Error-Body"))
	if err != nil {
		t.Errorf("%s: error body: %v", name, err)
	}
	got := ""
	if kind != "" || len(text) > 0 {
		d := decodeError(t, string(text))
		got = kind + ": " + d.Message
		if d.Type != kind {
			t.Errorf("%s: type %s in the trailer, %s in the body", name, kind, d.Type)
		}
	}
	if got != failure {
		t.Errorf("%s: failed with %q, want %q", name, got, failure)
	}
}

// An exception that nobody catches ends what was begun, then the process.
func TestNodeStreamUncaught(t *testing.T) {
	f := start(t, program{runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{
		"index.mjs": "export const handler = awslambda.streamifyResponse(async (e, s) => { s.write('a'); setTimeout(() => { throw new Error('lost') }, 5); await new Promise(() => {}) })",
	}})
	checkStream(t, "uncaught", f.invoke("{}"), "a", "", "Error: lost", true)
	if code := f.exit(); code != 129 {
		t.Errorf("exit code %d, want 129", code)
	}
}

// A platform that does not want the stream to its end does not end the
// process.
func TestNodeStreamRefused(t *testing.T) {
	if overLink {
		return
	}
	f := start(t, program{runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{
		"index.mjs": "export const handler = awslambda.streamifyResponse(async (e, s) => { s.end('x'.repeat(e)) })",
	}})
	f.api.setStatus(413)
	f.invoke("10")
	f.api.setStatus(202)
	if o := f.invoke("3"); o.body != "xxx" {
		t.Errorf("body %q", o.body)
	}
}
