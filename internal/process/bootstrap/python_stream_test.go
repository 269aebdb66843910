package bootstrap

import (
	"strconv"
	"strings"
	"testing"
)

// Each case is the body of a generator function, what it streams and how it
// fails.
func TestPythonStreams(t *testing.T) {
	tests := []struct {
		name   string
		code   string
		body   string
		media  string // application/octet-stream unless given
		fails  string // type and message
		begun  bool   // the failure comes after the first part
		logged bool
	}{
		{name: "text and bytes", code: "yield 'grüß'; yield b'\\x00\\xff'; yield bytearray(b'x'); yield memoryview(b'y')", body: "grüß\x00\xffxy"},
		{name: "nothing", code: "return; yield", body: ""},
		{name: "empty parts", code: "yield ''; yield 'a'; yield b''; yield 'b'", body: "ab"},
		{name: "a large part", code: "yield 'x' * (1 << 20)", body: strings.Repeat("x", 1<<20)},
		{name: "many parts", code: "yield from ('x' * 1000 for _ in range(1000))", body: strings.Repeat("x", 1e6)},
		{name: "HTTP prelude", code: "yield {'statusCode': 201, 'headers': {'a': 'b'}}; yield 'body'",
			body: `{"statusCode": 201, "headers": {"a": "b"}}` + strings.Repeat("\x00", 8) + "body", media: "application/vnd.awslambda.http-integration-response"},
		{name: "failure before the first part", code: "raise ValueError('early'); yield", fails: "ValueError: early", logged: true},
		{name: "failure after the first part", code: "yield 'a'; raise ValueError('mid')", body: "a", fails: "ValueError: mid", begun: true, logged: true},
		{name: "what has no bytes", code: "yield 1", fails: "Runtime.MarshalError: Unable to stream what is neither bytes nor str: int", logged: true},
		{name: "a dict that comes late", code: "yield 'a'; yield {}", body: "a", fails: "Runtime.MarshalError: Unable to stream what is neither bytes nor str: dict", begun: true, logged: true},
		{name: "end of a generator that is given up", code: "\n        try: yield 1\n        finally: raise KeyError('last')", fails: "KeyError: 'last'", logged: true},
		{name: "a child that nobody waits for", code: "import os; yield 'a'; pid = os.fork(); yield 'b' if pid else 'child'; os.waitpid(pid, 0)", body: "ab"},
		{name: "return value", code: "yield 'a'; return 'b'", body: "a"},
	}
	source := "cases = []\n"
	for _, tt := range tests {
		source += "def g():\n    if True: " + tt.code + "\ncases.append(g)\n"
	}
	source += "def handler(event, context):\n    return cases[event]()\n"
	source = strings.ReplaceAll(source, "if True: \n", "if True:\n")
	f := start(t, program{runtime: "python3.13", handler: "app.handler", files: map[string]string{"app.py": source}})
	for i, tt := range tests {
		o := f.invoke(strconv.Itoa(i))
		if kind := o.header.Get("Lambda-Runtime-Function-Error-Type"); tt.fails != "" && !tt.begun {
			if got := decodeError(t, o.body); got.Type+": "+got.Message != tt.fails || o.chunked || kind == "" {
				t.Errorf("%s: failed with %+v, want %s", tt.name, got, tt.fails)
			}
		} else {
			checkStream(t, tt.name, o, tt.body, tt.media, tt.fails, tt.begun)
		}
		if logs := f.entries(); tt.logged != (len(logs) == 1) {
			t.Errorf("%s: log %+v", tt.name, logs)
		}
	}
	if o := f.invoke("0"); !o.chunked || o.body == "" {
		t.Errorf("the last one: %+v", o)
	}
}

// A platform that does not want the stream to its end does not end the
// process.
func TestPythonStreamRefused(t *testing.T) {
	if overLink {
		return
	}
	f := start(t, program{runtime: "python3.13", handler: "app.handler", files: map[string]string{
		"app.py": "def handler(event, context):\n    yield 'x' * event\n",
	}})
	f.api.setStatus(413)
	f.invoke("10")
	f.api.setStatus(202)
	if o := f.invoke("3"); o.body != "xxx" {
		t.Errorf("body %q", o.body)
	}
}
