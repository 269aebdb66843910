package bootstrap

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const logging = `
import logging, sys
log = logging.getLogger('shop')
logging.getLogger().setLevel(logging.DEBUG)
logging.basicConfig(format='never used')
log.info('at import')
def handler(event, context):
    print('printed\nraw')
    sys.stderr.write('to stderr')
    log.debug('d')
    log.warning('two\nlines %s', 'é')
    log.critical('c')
    context.log('raw log\n')
    try:
        {}['x']
    except KeyError:
        log.error('caught', exc_info=True, extra={'order': 7})
`

var isoMillis = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)

func TestPythonLogText(t *testing.T) {
	f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{"app.py": logging}})
	f.respond("{}")
	got := f.entries()
	for i := range got {
		got[i].text = strings.ReplaceAll(isoMillis.ReplaceAllString(got[i].text, "TIME"), f.root, "ROOT")
	}
	want := []entry{
		{textInfo, "[INFO]\tTIME\t\tat import"},
		{textDebug, "[DEBUG]\tTIME\trequest-1\td"},
		{textWarn, "[WARNING]\tTIME\trequest-1\ttwo\nlines é"},
		{textFatal, "[CRITICAL]\tTIME\trequest-1\tc"},
		{textPlain, "raw log"},
		{textError, "[ERROR]\tTIME\trequest-1\tcaught\nTraceback (most recent call last):\n  File \"ROOT/app.py\", line 15, in handler\n    {}['x']\n    ~~^^^^^\nKeyError: 'x'"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if got, want := f.output(), "printed\nraw\nto stderr"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
}

// Without a log channel entries go to standard output, one line each, in
// order with what is printed.
func TestPythonLogPlain(t *testing.T) {
	f := start(t, program{runtime: "python3.11", handler: "app.handler", plain: true, files: map[string]string{
		"app.py": "import logging\ndef handler(e, c):\n  print('first')\n  logging.error('two\\nlines')\n  print('second')\n  raise ValueError('no\\nway')\n",
	}})
	f.invoke("{}")
	got := strings.ReplaceAll(isoMillis.ReplaceAllString(f.output(), "TIME"), f.root, "ROOT")
	want := "first\n[ERROR]\tTIME\trequest-1\ttwo\rlines\nsecond\n" +
		"[ERROR] ValueError: no\rway\rTraceback (most recent call last):\r" +
		nbsp + nbsp + "File \"ROOT/app.py\", line 6, in handler\r" + strings.Repeat(nbsp, 4) + "raise ValueError('no\\nway')\n"
	if got != want {
		t.Errorf("output\n%q, want\n%q", got, want)
	}
}

func TestPythonLogJSON(t *testing.T) {
	f := start(t, program{
		runtime: "python3.12", handler: "app.handler", env: map[string]string{"AWS_LAMBDA_LOG_FORMAT": "JSON"},
		files: map[string]string{"app.py": logging + "    raise ValueError('é')\n"},
	})
	f.send(event{body: "{}", headers: map[string]string{"Lambda-Runtime-Aws-Tenant-Id": "blue"}})
	f.outcome()
	trace := []any{"  File \"ROOT/app.py\", line 15, in handler\n    {}['x']\n"}
	want := []struct {
		kind  uint32
		keys  string
		value map[string]any
	}{
		{jsonInfo, "timestamp level message logger", map[string]any{"level": "INFO", "message": "at import", "logger": "shop"}},
		{0xa55a0002 | 8, "timestamp level message logger requestId tenantId", map[string]any{"level": "DEBUG", "message": "d", "logger": "shop", "requestId": "request-1", "tenantId": "blue"}},
		{jsonWarn, "timestamp level message logger requestId tenantId", map[string]any{"level": "WARNING", "message": "two\nlines é", "logger": "shop", "requestId": "request-1", "tenantId": "blue"}},
		{0xa55a0002 | 24, "timestamp level message logger requestId tenantId", map[string]any{"level": "CRITICAL", "message": "c", "logger": "shop", "requestId": "request-1", "tenantId": "blue"}},
		{textPlain, "", nil},
		{jsonError, "timestamp level message logger stackTrace errorType errorMessage requestId location tenantId order", map[string]any{
			"level": "ERROR", "message": "caught", "logger": "shop", "requestId": "request-1", "tenantId": "blue", "order": float64(7),
			"errorType": "KeyError", "errorMessage": "'x'", "location": "ROOT/app.py:handler:17", "stackTrace": trace,
		}},
		{jsonError, "timestamp level errorMessage errorType requestId stackTrace", map[string]any{
			"level": "ERROR", "errorMessage": "é", "errorType": "ValueError", "requestId": "request-1",
			"stackTrace": []any{"  File \"ROOT/app.py\", line 18, in handler\n    raise ValueError('é')\n"},
		}},
	}
	got := f.entries()
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		if got[i].kind != w.kind {
			t.Errorf("entry %d: kind %x, want %x", i, got[i].kind, w.kind)
		}
		if w.value == nil {
			continue
		}
		text := strings.ReplaceAll(got[i].text, f.root, "ROOT")
		checkJSON(t, text, w.keys, w.value, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	}
}

// checkJSON compares a JSON entry's keys, in order, and its values but for the
// time stamp, which has to match a pattern. Python's carets are not compared.
func checkJSON(t *testing.T, text, keys string, want map[string]any, stamp string) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if time, _ := got["timestamp"].(string); !regexp.MustCompile(stamp).MatchString(time) {
		t.Errorf("timestamp %q, want %s", time, stamp)
	}
	delete(got, "timestamp")
	if list, ok := got["stackTrace"].([]any); ok {
		for i := range list {
			list[i] = regexp.MustCompile(`\n[ ~^]+\n`).ReplaceAllString(list[i].(string), "\n")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	if order := keyOrder(t, text); order != keys {
		t.Errorf("keys %q, want %q", order, keys)
	}
}

// keyOrder returns the keys of a JSON object as they come.
func keyOrder(t *testing.T, text string) string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	var keys []string
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(keys, " ")
}

func TestPythonLogLevel(t *testing.T) {
	const source = "import logging\ndef handler(e, c):\n  for l in (10, 20, 30, 40, 50): logging.log(l, str(l))\n"
	tests := []struct{ format, level, want string }{
		{"Text", "", "30 40 50"},
		{"Text", "DEBUG", "30 40 50"}, // a level applies to the JSON format only
		{"JSON", "", "30 40 50"},
		{"JSON", "DEBUG", "10 20 30 40 50"},
		{"JSON", "TRACE", "10 20 30 40 50"},
		{"JSON", "INFO", "20 30 40 50"},
		{"JSON", "WARN", "30 40 50"},
		{"JSON", "ERROR", "40 50"},
		{"JSON", "FATAL", "50"},
	}
	for _, tt := range tests {
		t.Run(tt.format+" "+tt.level, func(t *testing.T) {
			f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{"app.py": source},
				env: map[string]string{"AWS_LAMBDA_LOG_FORMAT": tt.format, "AWS_LAMBDA_LOG_LEVEL": tt.level}})
			f.respond("{}")
			var got []string
			for _, e := range f.entries() {
				if m := regexp.MustCompile(`\t(\d\d)$|"message": "(\d\d)"`).FindStringSubmatch(e.text); m != nil {
					got = append(got, m[1]+m[2])
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A function that never logs does not pay for the import of logging.
func TestPythonLogIsLazy(t *testing.T) {
	f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{
		"app.py": `import sys
before = [m for m in ('logging', 'traceback', 'socket', 'http.client', 'threading') if m in sys.modules]
import logging
def handler(event, context):
    return [before, type(logging.root.handlers[0]).__name__, logging.__spec__.loader.name, len(logging.root.handlers)]
`,
	}, env: map[string]string{"PYTHONNOUSERSITE": "1"}})
	if got, want := f.respond("{}"), `[[], "LambdaLoggerHandler", "logging", 1]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Entries beyond what a pipe takes in one piece stay whole, whoever writes.
func TestPythonLogThreads(t *testing.T) {
	f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{"app.py": `
import logging, threading
def handler(event, context):
    threads = [threading.Thread(target=lambda c=c: logging.error(c * 9000)) for c in 'abcdef']
    for t in threads: t.start()
    for t in threads: t.join()
`}})
	f.respond("{}")
	seen := ""
	for _, e := range f.entries() {
		text := e.text[strings.LastIndex(e.text, "\t")+1:]
		if len(text) != 9000 || strings.Trim(text, text[:1]) != "" {
			t.Fatalf("entry is torn: %.40q…", text)
		}
		seen += text[:1]
	}
	if len(seen) != 6 {
		t.Errorf("entries %q, want 6", seen)
	}
}
