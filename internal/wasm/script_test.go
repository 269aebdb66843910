package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent/internal/wasm/javascript"
)

// bundleOf is a module that needs no bundling.
func bundleOf(code string) *javascript.Bundle {
	return &javascript.Bundle{Name: "index.mjs", Code: []byte(code)}
}

// loadScript loads a function of JavaScript, whose handler is index.handler.
func loadScript(t testing.TB, e *Engine, code string, cfg ProgramConfig) *world {
	t.Helper()
	if cfg.MemoryMB == 0 {
		cfg.MemoryMB = 128
	}
	w := &world{TB: t}
	cfg.Log = &w.log
	p, err := e.LoadScript(t.Context(), bundleOf(code), "index.handler", cfg)
	if err != nil {
		t.Fatalf("%v: %s", err, w.log.String())
	}
	w.Program = p
	t.Cleanup(func() {
		if w.instance != nil {
			w.instance.Close()
		}
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// evaluator evaluates its event, an expression.
const evaluator = `export const handler = (event, context) => (0, eval)(event)`

// TestScriptInterfaces has expressions evaluated, each in a request of its own,
// in an instance that is compared to its image after each.
func TestScriptInterfaces(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	w := loadScript(t, e, evaluator, ProgramConfig{Environ: []string{"COLOUR=blue", "EMPTY="}})
	for expression, want := range map[string]string{
		`undefined`:     `null`,
		`({a: [1, 2]})`: `{"a":[1,2]}`,
		`Promise.resolve({then: (done) => done("x")})`: `"x"`,
		`process.env.COLOUR + process.env.EMPTY`:       `"blue"`,
		`process.env.NONE === undefined`:               `true`,
		`typeof process.exit + process.cwd()`:          `"function/var/task"`,

		`btoa("Zürich") + atob("WvxyaWNo")`:                           `"WvxyaWNoZürich"`,
		`(() => { try { atob("*") } catch (e) { return e.name } })()`: `"InvalidCharacterError"`,

		`[...new TextEncoder().encode("aé€😀\ud800")].join()`:                                                                                         `"97,195,169,226,130,172,240,159,152,128,239,191,189"`,
		`new TextEncoder().encodeInto("aé€", new Uint8Array(4))`:                                                                                     `{"read":2,"written":3}`,
		`new TextDecoder().decode(new Uint8Array([0xef,0xbb,0xbf,97,195,169]))`:                                                                      `"aé"`,
		`new TextDecoder().decode(new Uint8Array([97,0xe2,0x82,98,0xff,0xf0,0x9f,0x98,0x80]))`:                                                       `"a\ufffdb\ufffd😀"`,
		`(() => { try { new TextDecoder("utf-8", {fatal: true}).decode(new Uint8Array([0xff])) } catch (e) { return e.name } })()`:                   `"TypeError"`,
		`(() => { const d = new TextDecoder(); return d.decode(new Uint8Array([0xe2,0x82]), {stream: true}) + d.decode(new Uint8Array([0xac])) })()`: `"€"`,
		`new TextDecoder("utf-16").decode(new Uint8Array([0x61,0,0x3d,0xd8,0,0xde]))`:                                                                `"a😀"`,
		`(() => { try { new TextDecoder("koi") } catch (e) { return e.name } })()`:                                                                   `"RangeError"`,

		`crypto.randomUUID() === crypto.randomUUID()`:                                                       `false`,
		`/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())`: `true`,
		`new Set(crypto.getRandomValues(new Uint32Array(100))).size > 98`:                                   `true`,
		`(() => { try { crypto.getRandomValues(new Uint8Array(65537)) } catch (e) { return e.name } })()`:   `"QuotaExceededError"`,

		`Math.abs(Date.now() - ` + fmt.Sprint(time.Now().UnixMilli()) + `) < 600000`:                             `true`,
		`new Date(0).toString().slice(0, 24)`:                                                                    `"Thu Jan 01 1970 00:00:00"`,
		`(() => { const a = performance.now(); for (let i = 0; i < 1e4; i++); return performance.now() > a })()`: `true`,

		`(() => { const o = {d: new Date(1), m: new Map([[1, {a: 1}]]), s: new Set([2]), b: new Uint8Array([1,2]), e: new TypeError("x"), r: /a/g, n: null};
			o.self = o; const c = structuredClone(o);
			return [c !== o, c.self === c, c.d.getTime(), c.m.get(1).a, c.m.get(1) !== o.m.get(1), c.s.has(2), c.b[1], c.b !== o.b, c.e instanceof TypeError && c.e.message, String(c.r), c.n] })()`: `[true,true,1,1,true,true,2,true,"x","/a/g",null]`,
		`(() => { try { structuredClone({f() {}}) } catch (e) { return e.name } })()`: `"DataCloneError"`,

		`new Promise((r) => { const all = []; setTimeout(() => all.push("t"), 5); setImmediate(() => all.push("i")); queueMicrotask(() => all.push("m"));
			process.nextTick(() => all.push("n")); Promise.resolve().then(() => all.push("p")); all.push("s"); setTimeout(() => r(all.join("")), 10) })`: `"smnpit"`,
		`new Promise((r) => { let n = 0; const t = setInterval((by) => { n += by; if (n === 6) { clearInterval(t); r(n) } }, 1, 2) })`:                                              `6`,
		`new Promise((r) => { const t = setTimeout(() => r("no"), 1); clearTimeout(t); setTimeout(() => r("yes"), 5) })`:                                                            `"yes"`,
		`new Promise((r) => { const t = setTimeout(() => r("no"), 1); clearTimeout(+t); setTimeout(() => r("yes"), 5) })`:                                                           `"yes"`,
		`new Promise((r) => { const i = setImmediate(() => r("no")); clearImmediate(i); setTimeout(() => r("yes"), 5) })`:                                                           `"yes"`,
		`(async () => { const all = []; await Promise.all([30, 10, 20, 10].map((n, i) => new Promise((r) => setTimeout(() => { all.push(i); r() }, n)))); return all.join("") })()`: `"1320"`,
		`(() => { try { setTimeout("x") } catch (e) { return e.code } })()`:                                                                                                         `"ERR_INVALID_ARG_TYPE"`,
		`(async () => { for await (const x of (async function* () { yield 1; yield 2 })()) var sum = (sum ?? 0) + x; return sum })()`:                                               `3`,

		`typeof Buffer + typeof millicent`:           `"undefinedundefined"`,
		`import("./other.mjs").catch((e) => e.name)`: `"ReferenceError"`,
		`import("host.js").catch((e) => e.name)`:     `"ReferenceError"`,
	} {
		a := w.serve(quoted(expression), soon)
		if got := string(a.Payload); a.Failure != nil || got != strings.ReplaceAll(want, `\ufffd`, "\ufffd") {
			t.Errorf("%s: got %s, %v; want %s", expression, got, a.Failure, want)
		}
	}
	began := time.Now()
	if w.answers(quoted(`new Promise((r) => setTimeout(r, 30))`), `null`); time.Since(began) < 30*time.Millisecond {
		t.Error("a timer was early")
	}
	if w.replaced != 0 {
		t.Errorf("%d instances were replaced, though no request failed", w.replaced)
	}
}

// quoted is a text as JSON.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(text) + `"`
}

// TestScriptsAreIsolated has requests leave what the next must not find.
func TestScriptsAreIsolated(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	w := loadScript(t, e, `let calls = 0; globalThis.atInit = Math.random(); const early = Math.random;
		export const handler = (event) => (0, eval)(event)(early, () => ++calls)`, ProgramConfig{})
	random := map[string]bool{}
	for range 3 {
		w.answers(quoted(`(_, count) => count()`), `1`)
		w.answers(quoted(`() => { const had = globalThis.left; globalThis.left = "a secret"; return had ?? null }`), `null`)
		w.answers(quoted(`() => { const had = Array.prototype.left; Array.prototype.left = 1; return had ?? null }`), `null`)
		w.answers(quoted(`() => { const had = process.env.LEFT; process.env.LEFT = "x"; return had ?? null }`), `null`)
		w.answers(quoted(`() => { setTimeout(() => { console.log("from before") }, 1); setInterval(() => { throw new Error("from before") }, 1); return 0 }`), `0`)
		w.answers(quoted(`() => new Promise((r) => setTimeout(r, 10))`), `null`)
		w.answers(quoted(`() => { Promise.reject(new Error("nobody cares")); return 1 }`), `1`)
		for _, source := range []string{`() => Math.random()`, `(early) => early()`} {
			random[string(w.serve(quoted(source), soon).Payload)] = true
		}
	}
	if len(random) != 6 {
		t.Errorf("six requests have the random numbers %v", random)
	}
	if strings.Contains(w.log.String(), "from before") {
		t.Errorf("a timer of an earlier request was heard: %s", w.log.String())
	}
	w.answers(quoted(`() => atInit === globalThis.atInit`), `true`)
	if bytes.Contains(w.instance.mem.space[:w.instance.mem.size], []byte("a secret")) {
		t.Error("the memory still has what a request left")
	}
}

func TestScriptFailures(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	w := loadScript(t, e, `export const handler = (event, context) => {
  function inner() { throw new TypeError("broken") }
  if (event === "throw") inner();
  return (0, eval)(event);
}`, ProgramConfig{MemoryMB: 32})
	for _, c := range []struct{ event, kind, document string }{
		{"throw", "TypeError", `\{"errorType":"TypeError","errorMessage":"broken","trace":\["TypeError: broken","    at inner \(index.mjs:2:\d+\)","    at handler \(index.mjs:3:\d+\)"\]\}`},
		{`Promise.reject(new RangeError("later"))`, "RangeError", `"errorMessage":"later"`},
		{`Promise.reject("text")`, "string", `\{"errorType":"string","errorMessage":"text","trace":\[\]\}`},
		{`Promise.reject(undefined)`, "undefined", `"errorMessage":"undefined"`},
		{`Promise.reject(Object.assign(new Error("named"), {name: "Mine"}))`, "Mine", `"errorMessage":"named"`},
		{`Promise.reject(Object.assign(new Error("forged"), {name: "A\nREPORT é"}))`, "AREPORT ", `"errorMessage":"forged"`},
		{`new Promise(() => { Promise.reject(new Error("unheard")) })`, "Runtime.UnhandledPromiseRejection", `"errorMessage":"Error: unheard"`},
		{`new Promise(() => { setTimeout(() => { throw new Error("uncaught") }, 1) })`, "Error", `"errorMessage":"uncaught"`},
		{`new Promise(() => { queueMicrotask(() => { throw new Error("uncaught") }) })`, "Error", `"errorMessage":"uncaught"`},
		{`new Promise(() => {})`, "Runtime.NodeJsExit", `never settled`},
		{`({n: 1n})`, "Error", `"errorMessage":"Unable to stringify response body"`},
		{`process.exit(3)`, "Runtime.ExitError", ``},
		{`(function f() { return f() + 1 })()`, "RangeError", `"errorMessage":"Maximum call stack size exceeded"`},
		{`(() => { const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1)) })()`, "Runtime.OutOfMemory", ``},
		{`(() => { let s = "x"; const all = []; for (;;) all.push({a: s += "y"}) })()`, "Runtime.OutOfMemory", ``},
		{`"x".repeat(6291557)`, "Function.ResponseSizeTooLarge", ``},
	} {
		a := w.serve(quoted(c.event), soon)
		if a.Failure == nil || a.Failure.Type != c.kind || !regexp.MustCompile(c.document).Match(a.Failure.Document) {
			t.Errorf("%s: got %.100s, %v, %s; want %s, %s", c.event, a.Payload, a.Failure, a.Document(), c.kind, c.document)
		}
	}
	for _, event := range []string{`for (;;);`, `new Promise(() => setInterval(() => {}, 1))`, `new Promise((r) => setTimeout(r, 100000))`, `(async () => { for (;;) await 0 })()`} {
		if a := w.serve(quoted(event), 100*time.Millisecond); a.Failure == nil || !a.Failure.Timeout {
			t.Errorf("%s ended by %v", event, a.Failure)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	i, err := w.Instance(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	request := &Request{Event: []byte(`"new Promise((r) => setTimeout(r, 100000))"`), Deadline: time.Now().Add(soon), Log: &w.log}
	if a := i.Serve(ctx, request); a.Failure == nil || a.Failure.Type != "Runtime.Cancelled" {
		t.Errorf("a request that nobody waits for ended by %v", a.Failure)
	}
	w.answers(`"1 + 1"`, `2`)
}

// Document is what is said of a failure besides.
func (a *Answer) Document() []byte {
	if a.Failure == nil {
		return nil
	}
	return a.Failure.Document
}

// TestScriptsThatDoNotLoad has modules that fail before any request.
func TestScriptsThatDoNotLoad(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	for code, want := range map[string]string{
		`export const other = 1`:                  "Runtime.HandlerNotFound: index.handler is undefined or not exported",
		`export const handler = 1`:                "Runtime.HandlerNotFound: index.handler is not a function",
		`throw new TypeError("at once")`:          "TypeError: at once",
		`await Promise.reject(new Error("soon"))`: "Error: soon",
		`setTimeout(() => { throw new Error("later") }, 1); await new Promise(() => setTimeout(() => {}, 100000))`: "Error: later",
		`await new Promise(() => {})`: "Runtime.NodeJsExit: ",
		`for (;;);`:                   "Sandbox.Timedout: ",
		`export const handler = (`:    "Runtime.UserCodeSyntaxError: SyntaxError: ",
		`require("node:fs")`:          "Runtime.ImportModuleError: Error: Cannot find module 'node:fs'",
		`process.exit(0)`:             "Runtime.ExitError: Runtime exited without providing a reason",
	} {
		cfg := ProgramConfig{MemoryMB: 64, Log: &bytes.Buffer{}}
		if code == `for (;;);` {
			cfg.InitTime = 100 * time.Millisecond
		}
		_, err := e.LoadScript(t.Context(), bundleOf(code), "index.handler", cfg)
		var f *Failure
		if !errors.As(err, &f) || !strings.HasPrefix(f.Error(), want) {
			t.Errorf("%s: got %v, want %s", code, err, want)
		}
	}
	for handler, want := range map[string]string{"index": "Runtime.MalformedHandlerName", "index.a.b": "", "dir/index.a.b": "", "index.default": "Runtime.HandlerNotFound"} {
		p, err := e.LoadScript(t.Context(), bundleOf(`await 0; export const a = {b: () => 1}`), handler, ProgramConfig{MemoryMB: 64, Log: &bytes.Buffer{}})
		if err == nil {
			err = p.Close(t.Context())
		}
		var f *Failure
		if got := ""; errors.As(err, &f) {
			if got = f.Type; got != want {
				t.Errorf("%s: got %v, want %s", handler, err, want)
			}
		} else if err != nil || want != "" {
			t.Errorf("%s: got %v, want %q", handler, err, want)
		}
	}
}

// TestScriptsLog has the console's entries in both formats.
func TestScriptsLog(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	const code = `export const handler = (event) => { for (const values of (0, eval)(event)) console[values.shift()](...values) }`
	const event = `[["log", "a %s of %d", "list", 2, {x: [1, {y: {z: {}}}]}], ["error", "two\nlines"], ["debug", [1n, null, undefined, "it's"], new Map([["k", new Set([1])]])],
		["warn", Object.assign(new Error("bad"), {stack: ""})], ["info", {a: 1}], ["group"], ["log", "a\ud800b%\ud7ff", "\udc00"]]`
	for _, c := range []struct {
		environ []string
		want    string
	}{
		{nil, "" +
			"TIME\tID\tINFO\ta list of 2 { x: [ 1, { y: [Object] } ] }\n" +
			"TIME\tID\tERROR\ttwo\rlines\n" +
			"TIME\tID\tDEBUG\t[ 1n, null, undefined, \"it's\" ] Map(1) { 'k' => Set(1) { 1 } }\n" +
			"TIME\tID\tWARN\t[Error: bad]\n" +
			"TIME\tID\tINFO\t{ a: 1 }\n" +
			"TIME\tID\tINFO\t  a\ufffdb%\ud7ff \ufffd\n"},
		{[]string{"AWS_LAMBDA_LOG_FORMAT=JSON", "AWS_LAMBDA_LOG_LEVEL=INFO"}, "" +
			`{"timestamp":"TIME","level":"INFO","requestId":"ID","message":"a list of 2 { x: [ 1, { y: [Object] } ] }"}` + "\n" +
			`{"timestamp":"TIME","level":"ERROR","requestId":"ID","message":"two\nlines"}` + "\n" +
			`{"timestamp":"TIME","level":"WARN","requestId":"ID","message":{"errorType":"Error","errorMessage":"bad","stackTrace":["Error: bad"]}}` + "\n" +
			`{"timestamp":"TIME","level":"INFO","requestId":"ID","message":{"a":1}}` + "\n" +
			`{"timestamp":"TIME","level":"INFO","requestId":"ID","message":"a\ud800b%` + "\ud7ff" + ` \udc00"}` + "\n"},
	} {
		w := loadScript(t, e, code, ProgramConfig{Environ: c.environ})
		i, err := w.Instance(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		request := &Request{Event: []byte(quoted(event)), Deadline: time.Now().Add(soon), Log: &w.log, Environ: []string{EnvRequestID + "=ID"}}
		if a := i.Serve(t.Context(), request); a.Failure != nil {
			t.Errorf("%v: %s", a.Failure, a.Document())
		}
		got := regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`).ReplaceAllString(w.log.String(), "TIME")
		if got != c.want {
			t.Errorf("got\n%swant\n%s", got, c.want)
		}
	}
}

// TestScriptsSeeTheirInvocation has what a handler gets besides the event.
func TestScriptsSeeTheirInvocation(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	w := loadScript(t, e, `export const handler = (event, context) => ({...context, trace: process.env._X_AMZN_TRACE_ID,
		left: context.getRemainingTimeInMillis() > 50000})`, ProgramConfig{Environ: []string{"AWS_LAMBDA_FUNCTION_NAME=f", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128"}})
	i, err := w.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	for _, told := range []string{"1", ""} {
		request := &Request{Event: []byte(`{}`), Deadline: time.Now().Add(soon), Log: &w.log, Environ: []string{EnvRequestID + "=ID", EnvFunctionARN + "=arn:f",
			EnvDeadline + "=" + fmt.Sprint(time.Now().Add(soon).UnixMilli()), EnvClientContext + `={"custom":{"a":"=\n"}}`}}
		if told != "" {
			request.Environ = append(request.Environ, EnvTraceID+"=Root=1")
		}
		want := `{"functionName":"f","memoryLimitInMB":"128","clientContext":{"custom":{"a":"=\n"}},"invokedFunctionArn":"arn:f","awsRequestId":"ID","left":true}`
		if told != "" {
			want = strings.Replace(want, `"left"`, `"xRayTraceId":"Root=1","trace":"Root=1","left"`, 1)
		}
		if a := i.Serve(t.Context(), request); string(a.Payload) != want {
			t.Errorf("got %s, %v; want %s", a.Payload, a.Failure, want)
		}
	}
	for code, want := range map[string]string{
		`exports.x`: ``,
		`export default {handler: async () => 1}`:                                                                                                    `1`,
		`export function handler(event, context, done) { setTimeout(() => done(null, "later"), 5); return 1 }`:                                       `"later"`,
		`export function handler(event, context, done) { let n = 0; done(null, {get n() { return n }}); setTimeout(() => { n = 1 }, 5) }`:            `{"n":1}`,
		`export function handler(event, context, done) { context.callbackWaitsForEmptyEventLoop = false; setTimeout(() => {}, 1e6); done(null, 2) }`: `2`,
		`export function handler(event, context, done) { }`:                                                                                          `null`,
		`export async function handler(event, context, done) { return 3 }`:                                                                           `3`,
		`export const handler = async () => { setTimeout(() => {}, 1e6).unref(); return 4 }`:                                                         `4`,
	} {
		if want != "" {
			loadScript(t, e, code, ProgramConfig{}).answers(`{}`, want)
		}
	}
}

// TestLocalRunsJavaScript deploys TypeScript to a host as a package.
func TestLocalRunsJavaScript(t *testing.T) {
	l, spec := newLocal(t, "reactor", LocalConfig{})
	spec.Module, spec.Handler, spec.Digest, spec.Dir = "", "src/index.handler", "typescript", t.TempDir()
	for file, content := range map[string]string{
		"src/index.ts":                "import { greet } from './greet.js';\nimport { shout } from 'shout';\ninterface E { name: string }\nexport const handler = async (e: E): Promise<string> => shout(greet(e.name));\n",
		"src/greet.ts":                "type Name = string;\n\nexport function greet(name: Name): string {\n  if (name === '') throw new RangeError('nobody');\n  return `hello ${name} from ${process.env.COLOUR}`;\n}\n",
		"node_modules/shout/index.js": "exports.shout = (text) => text.toUpperCase();\n",
		"broken.ts":                   "export const handler = () => {\n  const a: = 1;\n};\n",
	} {
		file = filepath.Join(spec.Dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Prepare(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	s := begin(t, l, spec)
	if o := s.Opened(); o.Loaded || !o.Compiled || o.Idle <= 0 {
		t.Errorf("it opened with %+v", o)
	}
	gives(t, s, `{"name":"you"}`, `"HELLO YOU FROM BLUE"`)
	a, err := s.Serve(t.Context(), &Request{Event: []byte(`{"name":""}`), Deadline: time.Now().Add(soon)})
	if err != nil || a.Failure == nil {
		t.Fatalf("got %v, %v", a, err)
	}
	if want := regexp.MustCompile(`^\{"errorType":"RangeError","errorMessage":"nobody","trace":\["RangeError: nobody","    at greet \(/var/task/src/greet.ts:4:\d+\)","    at .*\(/var/task/src/index.ts:4:\d+\)"\]\}$`); !want.Match(a.Failure.Document) {
		t.Errorf("got %s", a.Failure.Document)
	}
	gives(t, s, `{"name":"you"}`, `"HELLO YOU FROM BLUE"`)

	broken := *spec
	broken.Handler, broken.Log = "broken.handler", &bytes.Buffer{}
	for _, err := range []error{l.Prepare(t.Context(), &broken), func() error { _, err := l.Open(t.Context(), &broken); return err }()} {
		var f *Failure
		if !errors.As(err, &f) || f.Type != "Runtime.UserCodeSyntaxError" || !strings.Contains(string(f.Document), `"    at /var/task/broken.ts:2:12"`) {
			t.Errorf("got %v", err)
		}
	}
	if log := broken.Log.(*bytes.Buffer).String(); !strings.Contains(log, "\tERROR\tInit Error \t{\"errorType\":\"Runtime.UserCodeSyntaxError\"") {
		t.Errorf("logged %q", log)
	}
}

// TestScriptsFetch has the host make requests, here a host that answers with
// what it was asked.
func TestScriptsFetch(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	w := loadScript(t, e, evaluator, ProgramConfig{})
	i, err := w.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	echo := func(_ context.Context, request []byte) []byte {
		n := binary.LittleEndian.Uint32(request)
		asked, body := request[4:4+n], request[4+n:]
		head := fmt.Sprintf(`{"status":201,"url":"http://there/","headers":[["X-Asked",%s],["Set-Cookie","a=1"],["Set-Cookie","b=2"]]}`, quoted(string(asked)))
		if bytes.Contains(asked, []byte("wrong")) {
			head, body = `{"error":"no such host"}`, nil
		}
		return append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(head))), head...), body...)
	}
	for _, c := range []struct {
		fetch            Fetch
		expression, want string
	}{
		{echo, `fetch("http://here/a b", {method: "post", body: "é", headers: {"X-A": "1"}, redirect: "manual"}).then(async (r) => [r.ok, r.status, r.url, r.redirected, r.headers.get("x-asked"), r.headers.getSetCookie(), await r.text(), r.bodyUsed])`,
			`[true,201,"http://there/",true,"{\"method\":\"POST\",\"url\":\"http://here/a%20b\",\"headers\":[[\"content-type\",\"text/plain;charset=UTF-8\"],[\"x-a\",\"1\"]],\"redirect\":\"manual\",\"timeout\":0}",["a=1","b=2"],"é",true]`},
		{echo, `fetch(new Request("http://here/", {method: "PUT", body: JSON.stringify({a: 1})})).then((r) => r.json())`, `{"a":1}`},
		{echo, `fetch("http://here/", {method: "PUT", body: new Uint8Array([9, 1, 2]).subarray(1)}).then((r) => r.arrayBuffer()).then((b) => [...new Uint8Array(b)])`, `[1,2]`},
		{echo, `fetch("http://here/", {method: "PUT", body: new URLSearchParams({a: "b c"})}).then(async (r) => (await r.clone().text()) + await r.text())`, `"a=b+ca=b+c"`},
		{echo, `fetch("http://wrong/").catch((e) => [e.name, e.message, e.cause.message])`, `["TypeError","fetch failed","no such host"]`},
		{echo, `fetch("nowhere").catch((e) => e.message)`, `"Invalid URL"`},
		{echo, `fetch("http://here/", {body: "x"}).catch((e) => e.name)`, `"TypeError"`},
		{echo, `fetch("http://here/", {headers: {"a b": "c"}}).catch((e) => e.name)`, `"TypeError"`},
		{echo, `fetch("http://here/", {signal: AbortSignal.abort()}).catch((e) => e.name)`, `"AbortError"`},
		{echo, `fetch("http://here/", {signal: AbortSignal.timeout(1500)}).then((r) => JSON.parse(r.headers.get("x-asked")).timeout)`, `1500`},
		{echo, `new Promise((r) => { const c = new AbortController(); c.signal.addEventListener("abort", (e) => r([e.type, c.signal.reason.name])); c.abort() })`, `["abort","AbortError"]`},
		{echo, `Response.json({a: 1}).headers.get("content-type")`, `"application/json"`},
		{nil, `fetch("http://here/").catch((e) => e.cause.message)`, `"outbound HTTP is off for this function"`},
	} {
		request := &Request{Event: []byte(quoted(c.expression)), Deadline: time.Now().Add(soon), Fetch: c.fetch, Log: &w.log}
		if a := i.Serve(t.Context(), request); a.Failure != nil || string(a.Payload) != c.want {
			t.Errorf("%s: got %s, %v %s; want %s", c.expression, a.Payload, a.Failure, a.Document(), c.want)
		}
	}
	slow := func(ctx context.Context, _ []byte) []byte {
		<-ctx.Done()
		return refusal("too late")
	}
	request := &Request{Event: []byte(`"fetch('http://here/')"`), Deadline: time.Now().Add(50 * time.Millisecond), Fetch: slow, Log: &w.log}
	if a := i.Serve(t.Context(), request); a.Failure == nil || !a.Failure.Timeout {
		t.Errorf("a request that is not answered in time ended by %v", a.Failure)
	}
}

// The engine is started ahead where it is kept, and only there.
func TestEngineIsExpected(t *testing.T) {
	dir := t.TempDir()
	started := func() bool {
		e := newEngine(t, EngineConfig{CacheDir: dir})
		e.expectScripts(t.Context())
		return e.scripts.base != nil
	}
	if started() {
		t.Error("the engine is started where nobody has used it")
	}
	if _, err := newEngine(t, EngineConfig{CacheDir: dir}).javascript(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !started() {
		t.Error("the engine is not started")
	}
}
