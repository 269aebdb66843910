package bootstrap

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const neverSettled = "The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes"

// Each case is a handler with what the runtimes up to 22 and from 24 on make
// of it. A result is JSON; an error is its type and message.
func TestNodeOutcomes(t *testing.T) {
	const hang = "new Promise(() => {})"
	tests := []struct {
		name    string
		handler string
		old     string // nodejs22.x and before
		new     string // nodejs24.x and after; empty means as old, "-" does not exist there
	}{
		{name: "async result", handler: "async (e) => ({e})", old: `{"e":7}`},
		{name: "promise result", handler: "() => Promise.resolve([1])", old: `[1]`},
		{name: "thenable result", handler: "() => ({ then(f) { f('thenable') } })", old: `"thenable"`},
		{name: "undefined", handler: "async () => {}", old: `null`},
		{name: "function", handler: "async () => () => {}", old: `null`},
		{name: "text beyond ASCII", handler: "async () => 'grüß 😀'", old: `"grüß 😀"`},
		{name: "buffer", handler: "async () => Buffer.from('a')", old: `{"type":"Buffer","data":[97]}`},
		{name: "plain return", handler: "(e) => e", old: `null`, new: `7`},
		{name: "nothing at all", handler: "() => {}", old: `null`},
		{name: "BigInt", handler: "async () => 1n", old: "Error: Unable to stringify response body"},
		{name: "circle", handler: "async () => { const a = {}; a.a = a; return a }", old: "Error: Unable to stringify response body"},
		{name: "throw", handler: "() => { throw new TypeError('no') }", old: "TypeError: no"},
		{name: "async throw", handler: "async () => { throw new RangeError('no') }", old: "RangeError: no"},
		{name: "own error", handler: "async () => { class Mine extends Error {}; const e = new Mine('m'); e.name = 'Mine'; throw e }", old: "Mine: m"},
		{name: "text thrown", handler: "async () => { throw 'text' }", old: "string: text"},
		{name: "object thrown", handler: "async () => { throw {a: 1} }", old: "object: [object Object]"},
		{name: "number thrown", handler: "() => { throw 7 }", old: "number: 7"},
		{name: "undefined thrown", handler: "async () => { throw undefined }", old: "string: handled", new: "undefined: undefined"},
		{name: "never settled", handler: "() => " + hang, old: "Runtime.NodeJsExit: " + neverSettled},
		{name: "async never settled", handler: "async () => { await " + hang + " }", old: "Runtime.NodeJsExit: " + neverSettled},

		{name: "callback", handler: "(e, c, done) => done(null, e)", old: `7`, new: "-"},
		{name: "callback with an error", handler: "(e, c, done) => done(new Error('cb'))", old: "Error: cb", new: "-"},
		{name: "callback with text", handler: "(e, c, done) => done('cb')", old: "string: cb", new: "-"},
		{name: "callback later", handler: "(e, c, done) => { setTimeout(() => done(null, 'later'), 5) }", old: `"later"`, new: "-"},
		{name: "callback waits for the loop", handler: "(e, c, done) => { const a = []; setTimeout(() => a.push(1), 20); done(null, a) }", old: `[1]`, new: "-"},
		{name: "callback does not wait", handler: "(e, c, done) => { c.callbackWaitsForEmptyEventLoop = false; const a = []; setTimeout(() => a.push(1), 60000); done(null, a) }", old: `[]`, new: "-"},
		{name: "first callback counts", handler: "(e, c, done) => { done(null, 1); done(null, 2); done(new Error('late')) }", old: `1`, new: "-"},
		{name: "callback before a promise", handler: "async (e, c, done) => { done(null, 1); return 2 }", old: `1`, new: "-"},
		{name: "callback error does not wait", handler: "(e, c, done) => { setTimeout(() => {}, 60000); done(new Error('now')) }", old: "Error: now", new: "-"},

		{name: "succeed", handler: "(e, c) => { setTimeout(() => {}, 60000); c.succeed(e) }", old: `7`, new: "TypeError: c.succeed is not a function"},
		{name: "fail", handler: "(e, c) => { setTimeout(() => {}, 60000); c.fail(new Error('f')) }", old: "Error: f", new: "TypeError: c.fail is not a function"},
		{name: "fail with nothing", handler: "(e, c) => c.fail()", old: "string: handled", new: "TypeError: c.fail is not a function"},
		{name: "done", handler: "(e, c) => { setTimeout(() => {}, 60000); c.done(null, e) }", old: `7`, new: "TypeError: c.done is not a function"},
		{name: "done with an error", handler: "(e, c) => c.done(new Error('d'))", old: "Error: d", new: "TypeError: c.done is not a function"},
	}
	for _, runtime := range []string{"nodejs18.x", "nodejs22.x", "nodejs24.x"} {
		t.Run(runtime, func(t *testing.T) {
			arguments := "e, c, done"
			if runtime == "nodejs24.x" {
				arguments = "e, c"
			}
			// One process serves them all, so that each meets the state that
			// the others left; but a timer that is left keeps the event loop
			// from being empty.
			source := "const cases = [\n"
			for _, tt := range tests {
				source += tt.handler + ",\n"
			}
			source += "]\nexport const handler = (" + arguments + ") => { const i = e; e = 7; return cases[i](" + arguments + ") }\n"
			p := program{runtime: runtime, handler: "index.handler", files: map[string]string{"index.mjs": source}}
			shared := start(t, p)
			for i, tt := range tests {
				want := tt.old
				if runtime == "nodejs24.x" && tt.new != "" {
					want = tt.new
				}
				if want == "-" {
					continue
				}
				f := shared
				if strings.Contains(tt.handler, "60000") {
					f = start(t, p)
				}
				if got := nodeOutcome(t, f.invoke(strconv.Itoa(i))); got != want {
					t.Errorf("%s: got %s, want %s", tt.name, got, want)
				}
			}
		})
	}
}

// nodeOutcome shows a response's body, or an error's type and message.
func nodeOutcome(t *testing.T, o outcome) string {
	t.Helper()
	if strings.HasSuffix(o.path, "/response") {
		return o.body
	}
	d := decodeError(t, o.body)
	if got := o.header.Get("Lambda-Runtime-Function-Error-Type"); got != d.Type {
		t.Errorf("error type header %q, want %q", got, d.Type)
	}
	return d.Type + ": " + d.Message
}

func TestNodeErrorDocument(t *testing.T) {
	f := start(t, program{runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{
		"index.js": "exports.handler = async (event) => {\n  if (event === 1) throw new Error('x');\n  if (event === 2) throw 'x';\n  return event;\n}\n",
	}})
	tests := []struct{ event, want string }{
		{"1", `{"errorType":"Error","errorMessage":"x","trace":["Error: x","    at exports.handler (ROOT/index.js:2:26)"]}`},
		{"2", `{"errorType":"string","errorMessage":"x","trace":[]}`},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(strings.ReplaceAll(tt.want, "ROOT", f.root), f.invoke(tt.event).body); diff != "" {
			t.Errorf("event %s (-want +got):\n%s", tt.event, diff)
		}
	}
	if got := nodeOutcome(t, f.invoke("{")); !strings.HasPrefix(got, "SyntaxError: ") {
		t.Errorf("bad event: %s", got)
	}
}

// What nobody catches fails the invocation and ends the process.
func TestNodeUncaught(t *testing.T) {
	tests := []struct {
		name, handler, want string
		code                int
		log                 string
	}{
		{"exception", "() => new Promise(() => setImmediate(() => { throw new Error('lost') }))", "Error: lost", 129, "Uncaught Exception"},
		{"rejection", "() => { Promise.reject(new Error('lost')); return new Promise(r => setTimeout(r, 60000)) }",
			"Runtime.UnhandledPromiseRejection: Error: lost", 128, "Unhandled Promise Rejection"},
		{"rejection with text", "() => { Promise.reject('lost'); return new Promise(r => setTimeout(r, 60000)) }",
			"Runtime.UnhandledPromiseRejection: lost", 128, "Unhandled Promise Rejection"},
		{"after the outcome was decided", "(e, c) => { c.succeed('fine'); throw new Error('late') }", `"fine"`, 0, ""},
		{"rejection after the outcome was decided", "async () => { Promise.reject(new Error('late')); return 'fine' }", "Runtime.UnhandledPromiseRejection: Error: late|\"fine\"", 128, "Unhandled Promise Rejection"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, program{runtime: "nodejs22.x", handler: "index.handler", files: map[string]string{"index.mjs": "export const handler = " + tt.handler}})
			got := nodeOutcome(t, f.invoke("{}"))
			if first, second, ok := strings.Cut(tt.want, "|"); got != first && (!ok || got != second) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if tt.code == 0 {
				f.idle(2) // it serves on
				return
			}
			if code := f.exit(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if logs := f.entries(); len(logs) != 1 || !strings.Contains(logs[0].text, "\tERROR\t"+tt.log+" \t{\"errorType\":") {
				t.Errorf("log %+v", logs)
			}
		})
	}
}

func TestNodeContext(t *testing.T) {
	const source = `
export const handler = async (event, context) => {
  delete process.env.AWS_LAMBDA_FUNCTION_NAME;
  return { ...context, keys: Object.keys(context).sort().join(' '), remaining: context.getRemainingTimeInMillis(),
    trace: process.env._X_AMZN_TRACE_ID, channel: process.env._LAMBDA_TELEMETRY_LOG_FD,
    store: [awslambda.InvokeStore.getRequestId(), awslambda.InvokeStore.getXRayTraceId(), awslambda.InvokeStore.getTenantId()] };
};`
	const keys = "awsRequestId clientContext functionName functionVersion getRemainingTimeInMillis identity invokedFunctionArn logGroupName logStreamName memoryLimitInMB tenantId"
	base := map[string]any{
		"functionName": "f", "functionVersion": "$LATEST", "memoryLimitInMB": "128", "logGroupName": "/aws/lambda/f",
		"logStreamName": "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef", "awsRequestId": "one",
		"invokedFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
	}
	trace := "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0"
	for _, runtime := range []string{"nodejs22.x", "nodejs24.x"} {
		t.Run(runtime, func(t *testing.T) {
			f := start(t, program{runtime: runtime, handler: "index.handler", files: map[string]string{"index.mjs": source}})
			full := map[string]string{
				"Lambda-Runtime-Deadline-Ms":      "1000",
				"Lambda-Runtime-Trace-Id":         trace,
				"Lambda-Runtime-Aws-Tenant-Id":    "blue",
				"Lambda-Runtime-Client-Context":   `{"client":{"app_title":"grüß"},"Custom":{"k":"v"}}`,
				"Lambda-Runtime-Cognito-Identity": `{"cognitoIdentityId":"id","cognitoIdentityPoolId":"pool"}`,
			}
			for _, headers := range []map[string]string{full, {"Lambda-Runtime-Deadline-Ms": "1000"}} {
				want := map[string]any{"keys": keys, "store": []any{"one", nil, nil}}
				for k, v := range base {
					want[k] = v
				}
				if runtime == "nodejs22.x" {
					want["keys"] = strings.Replace(keys, "awsRequestId", "awsRequestId callbackWaitsForEmptyEventLoop", 1)
					want["keys"] = strings.Replace(want["keys"].(string), "clientContext", "clientContext done fail", 1)
					want["keys"] = strings.Replace(want["keys"].(string), "memoryLimitInMB", "memoryLimitInMB succeed", 1)
					want["callbackWaitsForEmptyEventLoop"] = true
				} else {
					want["keys"] = keys + " xRayTraceId"
				}
				if len(headers) > 1 {
					want["clientContext"] = map[string]any{"client": map[string]any{"app_title": "grüß"}, "Custom": map[string]any{"k": "v"}}
					want["identity"] = map[string]any{"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}
					want["tenantId"], want["trace"], want["store"] = "blue", trace, []any{"one", trace, "blue"}
					if runtime == "nodejs24.x" {
						want["xRayTraceId"] = trace
					}
				}
				f.send(event{id: "one", body: "{}", headers: headers})
				var got map[string]any
				if err := json.Unmarshal([]byte(f.outcome().body), &got); err != nil {
					t.Fatal(err)
				}
				if remaining, _ := got["remaining"].(float64); remaining >= 0 {
					t.Errorf("remaining %v after the deadline, want less than zero", got["remaining"])
				}
				delete(got, "remaining")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

// Nothing that an invocation puts into its asynchronous context is there in
// the next.
func TestNodeAsyncContextEnds(t *testing.T) {
	f := start(t, program{runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{"index.mjs": `
import { AsyncLocalStorage } from 'node:async_hooks';
const als = new AsyncLocalStorage();
export const handler = async (event) => {
  const before = als.getStore();
  als.enterWith(event);
  awslambda.InvokeStore.set('mine', [...(awslambda.InvokeStore.get('mine') ?? []), event]);
  await new Promise((r) => setTimeout(r, 1));
  return [before ?? null, als.getStore(), awslambda.InvokeStore.get('mine')];
};`}})
	for i := range 3 {
		n := strconv.Itoa(i)
		if got, want := f.respond(n), "[null,"+n+",["+n+"]]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestNodeGlobals(t *testing.T) {
	const source = "export const handler = async () => [typeof globalThis.awslambda, Object.keys(globalThis.awslambda ?? {})]"
	for value, want := range map[string]string{
		"":  `["object",["streamifyResponse","HttpResponseStream","InvokeStore"]]`,
		"1": `["undefined",[]]`,
	} {
		f := start(t, program{runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{"index.mjs": source},
			env: map[string]string{"AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA": value}})
		if got := f.respond("{}"); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

func TestNodeSurvives(t *testing.T) {
	tests := []struct{ name, source string }{
		{"patched globals", "JSON.parse = JSON.stringify = Date.now = globalThis.setImmediate = globalThis.Promise = undefined; process.exit = () => {}"},
		{"patched net and fs", "import net from 'node:net'; import fs from 'node:fs'; net.connect = net.createConnection = fs.writeSync = undefined"},
		{"closed standard output", "import fs from 'node:fs'; fs.closeSync(1)"},
		{"another directory", "process.chdir('/')"},
		{"empty environment", "for (const k of Object.keys(process.env)) delete process.env[k]"},
		{"replaced environment", "process.env = {}"},
		{"no console", "globalThis.console = undefined"},
		{"frozen prototypes", "Object.freeze(Object.prototype); Object.freeze(Array.prototype); Object.freeze(Error.prototype)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, program{runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{
				"index.mjs": tt.source + "\nexport async function handler(event) { if (event === 2) throw new Error('two'); return event }\n",
			}})
			for _, tt := range []struct{ event, want string }{{"1", "1"}, {"2", "Error: two"}, {"3", "3"}} {
				if got := nodeOutcome(t, f.invoke(tt.event)); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			}
		})
	}
}

func TestNodeReconnects(t *testing.T)          { testReconnects(t, echoNode) }
func TestNodeLargePayloads(t *testing.T)       { testLargePayloads(t, echoNode) }
func TestNodeRefusedResponse(t *testing.T)     { testRefusedResponse(t, echoNode) }
func TestNodeKeepsNothing(t *testing.T)        { testKeepsNothing(t, echoNode) }
func TestNodeEndsWithThePlatform(t *testing.T) { testEndsWithThePlatform(t, echoNode) }

var echoNode = program{runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{
	"index.mjs": "export const handler = async (event) => event\n",
}, args: []string{"--max-semi-space-size=2"}} // so that garbage does not pass for what is kept

// What V8 keeps of the program is taken as it is; else a start compiles it
// over again, and nobody notices.
func TestNodeProgramIsKept(t *testing.T) {
	const interpreter = "/usr/bin/node"
	if _, err := os.Stat(interpreter); err != nil {
		t.Skipf("no interpreter: %v", err)
	}
	cmd := exec.Command(interpreter, "-e", `
		const file = process.argv[1];
		const [source, cachedData] = [file, file + '.' + process.version].map((name) => fs.readFileSync(name));
		const script = new vm.Script(source.toString(), { filename: '/var/runtime/node/program.js', cachedData });
		process.exit(script.cachedDataRejected ? 1 : 0);`, filepath.Join(layOut(t, interpreter), "node", "program.js"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
