package wasm

import (
	"strings"
	"testing"
	"time"
)

// TestScriptEvents has events of all kinds come as JSON.parse would read them,
// whether the engine reads them at once or is given them as text.
func TestScriptEvents(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	w := loadScript(t, e, `export const handler = async (event) => event`, ProgramConfig{})
	long := `"` + strings.Repeat("long ", maxKept) + `"`
	for event, want := range map[string]string{
		`{"a":[1,-0.5,1e3,true,null,{"b":"é😀"}],"__proto__":1}`: `{"a":[1,-0.5,1000,true,null,{"b":"é😀"}],"__proto__":1}`,
		` 7 `:           `7`,
		`null`:          `null`,
		`"\ud800"`:      `"\ud800"`,
		"\"a\xffb\"":    "\"a\ufffdb\"",
		`{"a":1,"a":2}`: `{"a":2}`,
		long:            long,
	} {
		w.answers(event, want)
	}
	for _, event := range []string{``, `{`, `{}x`, "\"a\nb\"", "\"a\x00b\"", "\ufeff1", "\xff", "{}\x00"} {
		if a := w.serve(event, soon); a.Failure == nil || a.Failure.Type != "SyntaxError" {
			t.Errorf("%q: got %s, %v", event, a.Payload, a.Failure)
		}
	}
	w.answers(`1`, `1`)
}

// TestScriptAnswers has handlers answer in the ways there are.
func TestScriptAnswers(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	for code, want := range map[string]string{
		`() => 1`:             `1`,
		`() => {}`:            `null`,
		`async () => {}`:      `null`,
		`async () => () => 1`: `null`,
		`async () => ({ toJSON: (key) => [key] })`:                                         `[""]`,
		`() => ({ then: (done) => done(2) })`:                                              `2`,
		`() => Promise.resolve(3)`:                                                         `3`,
		`async () => { const a = [1]; Promise.resolve().then(() => a.push(2)); return a }`: `[1,2]`,
		`async () => { Promise.reject(new Error("nobody cares")); return 4 }`:              `4`,
		`async () => { await null; return 5 }`:                                             `5`,
		`async (event, context, done) => 6`:                                                `6`,
		`(event, context, done) => { done(null, 7) }`:                                      `7`,
		`(event, context, done) => {}`:                                                     `null`,
		`(event, context, done) => { setImmediate(done, null, 8); return 9 }`:              `8`,
		`(event, context, done) => { context.callbackWaitsForEmptyEventLoop = false; done(null, 1); return Promise.resolve(2) }`: `1`,
		`async (event, context) => [context.awsRequestId, context.getRemainingTimeInMillis() > 0, Object.keys(context).length]`:  `["an id",true,12]`,
	} {
		w := loadScript(t, e, "export const handler = "+code, ProgramConfig{})
		req := &Request{Event: []byte(`0`), Deadline: time.Now().Add(soon), Log: &w.log}
		req.Environ = []string{EnvRequestID + "=an id", EnvDeadline + "=99999999999999"}
		i, err := w.Instance(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a := i.Serve(t.Context(), req); string(a.Payload) != want || a.Failure != nil {
			t.Errorf("%s: got %s, %v; want %s", code, a.Payload, a.Failure, want)
		}
		i.Close()
	}
	w := loadScript(t, e, `export const handler = async () => { const a = []; a.push(a); return a }`, ProgramConfig{})
	if a := w.serve(`0`, soon); a.Failure == nil || !strings.Contains(string(a.Failure.Document), "Unable to stringify response body") {
		t.Errorf("a circle was answered: %s, %v", a.Payload, a.Failure)
	}
}
