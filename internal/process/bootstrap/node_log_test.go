package bootstrap

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const consoleUse = `
console.log('at import');
const circle = {}; circle.self = circle;
export const handler = async () => {
  process.stdout.write('raw\n');
  console.log('two\nlines', {a: 1});
  console.debug('%d apples', 3);
  console.info({a: [1]});
  console.warn(circle);
  console.error('caught', new TypeError('bad'));
  console.trace('t');
  console.fatal('f');
  console.log();
  const e = new Error('own'); e.code = 'E_OWN'; e.extra = 1;
  throw e;
}`

func TestNodeLogText(t *testing.T) {
	f := start(t, program{runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{"index.mjs": consoleUse}})
	f.invoke("{}")
	got := f.entries()
	for i := range got {
		got[i].text = strings.ReplaceAll(isoMillis.ReplaceAllString(got[i].text, "TIME"), f.root, "ROOT")
	}
	want := []entry{
		{textInfo, "TIME\tundefined\tINFO\tat import"},
		{textInfo, "TIME\trequest-1\tINFO\ttwo\nlines { a: 1 }"},
		{textDebug, "TIME\trequest-1\tDEBUG\t3 apples"},
		{textInfo, "TIME\trequest-1\tINFO\t{ a: [ 1 ] }"},
		{textWarn, "TIME\trequest-1\tWARN\t<ref *1> { self: [Circular *1] }"},
		{textError, "TIME\trequest-1\tERROR\tcaught TypeError: bad\n    at handler (file://ROOT/index.mjs:10:27)\n"},
		{textPlain | 4, "TIME\trequest-1\tTRACE\tt"},
		{textFatal, "TIME\trequest-1\tFATAL\tf"},
		{textInfo, "TIME\trequest-1\tINFO\t"},
		{textError, "TIME\trequest-1\tERROR\tInvoke Error \t{\"errorType\":\"Error\",\"errorMessage\":\"own\",\"code\":\"E_OWN\",\"extra\":1,\"stack\":[\"Error: own\",\"    at handler (file://ROOT/index.mjs:14:13)\"]}"},
	}
	if len(got) == len(want) { // Node shows the bootstrap's own frames here
		if head, _, ok := strings.Cut(got[5].text, "14:13)\n"); ok {
			got[5].text = head
		}
		got[5].text = got[5].text[:strings.Index(got[5].text, ":10:27)")+len(":10:27)\n")]
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if got, want := f.output(), "raw\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
}

func TestNodeLogPlain(t *testing.T) {
	f := start(t, program{runtime: "nodejs20.x", handler: "index.handler", plain: true, files: map[string]string{
		"index.mjs": "export const handler = async () => { process.stdout.write('first\\n'); console.log('two\\nlines'); process.stdout.write('x'.repeat(30000) + '\\n'); }",
	}})
	f.respond("{}")
	got := isoMillis.ReplaceAllString(f.output(), "TIME")
	if want := "first\nTIME\trequest-1\tINFO\ttwo\rlines\n" + strings.Repeat("x", 30000) + "\n"; got != want {
		t.Errorf("output %.200q…, want %.200q…", got, want)
	}
}

func TestNodeLogJSON(t *testing.T) {
	f := start(t, program{runtime: "nodejs22.x", handler: "index.handler", files: map[string]string{"index.mjs": consoleUse},
		env: map[string]string{"AWS_LAMBDA_LOG_FORMAT": "JSON"}})
	f.send(event{body: "{}", headers: map[string]string{"Lambda-Runtime-Aws-Tenant-Id": "blue"}})
	f.outcome()
	entryOf := func(level string, message any) map[string]any {
		return map[string]any{"level": level, "requestId": "request-1", "tenantId": "blue", "message": message}
	}
	const keys = "timestamp level requestId tenantId message"
	failed := func(message, kind, text, frame string) map[string]any {
		m := entryOf("ERROR", message)
		m["errorType"], m["errorMessage"] = kind, text
		m["stackTrace"] = []any{kind + ": " + text, frame}
		return m
	}
	want := []struct {
		keys  string
		value map[string]any
	}{
		{"timestamp level message", map[string]any{"level": "INFO", "message": "at import"}},
		{keys, entryOf("INFO", "two\nlines { a: 1 }")},
		{keys, entryOf("DEBUG", "3 apples")},
		{keys, entryOf("INFO", map[string]any{"a": []any{float64(1)}})},
		{keys, entryOf("WARN", "<ref *1> { self: [Circular *1] }")},
		{keys + " errorType errorMessage stackTrace", failed("", "TypeError", "bad", "    at handler (file://ROOT/index.mjs:10:27)")},
		{keys, entryOf("TRACE", "t")},
		{keys, entryOf("FATAL", "f")},
		{keys, entryOf("INFO", "")},
		{keys + " errorType errorMessage stackTrace", failed("", "Error", "own", "    at handler (file://ROOT/index.mjs:14:13)")},
	}
	got := f.entries()
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(got), len(want), got)
	}
	long := regexp.MustCompile(`"message":"(caught TypeError: bad|Invoke Error Error: own)\\n(?:[^"\\]|\\.)*"`)
	for i, w := range want {
		text := strings.ReplaceAll(got[i].text, f.root, "ROOT")
		if w.value["errorType"] != nil {
			if !long.MatchString(text) {
				t.Errorf("message of %s", text)
			}
			text = long.ReplaceAllString(text, `"message":""`)
		}
		checkJSON(t, text, w.keys, w.value, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	}
}

func TestNodeLogLevel(t *testing.T) {
	const source = "export const handler = async () => { for (const m of ['trace', 'debug', 'log', 'warn', 'error', 'fatal']) console[m]('x') }"
	tests := []struct{ format, level, want string }{
		{"Text", "ERROR", "TRACE DEBUG INFO WARN ERROR FATAL"}, // a level applies to the JSON format only
		{"JSON", "", "TRACE DEBUG INFO WARN ERROR FATAL"},
		{"JSON", "TRACE", "TRACE DEBUG INFO WARN ERROR FATAL"},
		{"JSON", "INFO", "INFO WARN ERROR FATAL"},
		{"JSON", "FATAL", "FATAL"},
	}
	for _, tt := range tests {
		t.Run(tt.format+" "+tt.level, func(t *testing.T) {
			f := start(t, program{runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{"index.mjs": source},
				env: map[string]string{"AWS_LAMBDA_LOG_FORMAT": tt.format, "AWS_LAMBDA_LOG_LEVEL": tt.level}})
			f.respond("{}")
			var got []string
			for _, e := range f.entries() {
				got = append(got, regexp.MustCompile(`TRACE|DEBUG|INFO|WARN|ERROR|FATAL`).FindString(e.text))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
