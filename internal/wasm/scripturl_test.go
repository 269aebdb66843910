package wasm

import (
	"encoding/json"
	"os"
	"testing"
)

// TestScriptURLs has URLs parsed and changed; testdata/script/url.json says what
// becomes of them, as url.spec.whatwg.org has it.
func TestScriptURLs(t *testing.T) {
	table, err := os.ReadFile("testdata/script/url.json")
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, EngineConfig{})
	w := loadScript(t, e, `export const handler = ({ parse, set }) => {
  const wrong = [];
  const compare = (what, got, want) => { if (JSON.stringify(got) !== JSON.stringify(want)) wrong.push(JSON.stringify([what, got, want])) };
  for (const { url, base, want } of parse) {
    const u = URL.parse(url, base);
    compare([url, base], u && [u.href, u.origin, u.host, u.pathname, u.search, u.hash, u.username, u.password], want);
    compare(["can parse", url, base], URL.canParse(url, base), want !== null);
    if (u) compare(["again", url], new URL(u.href).href, u.href);
  }
  for (const { url, member, value, want } of set) {
    const u = new URL(url);
    u[member] = value;
    compare([url, member, value], u.href, want);
  }
  return wrong;
}`, ProgramConfig{})
	a := w.serve(string(table), soon)
	var wrong []string
	if err := json.Unmarshal(a.Payload, &wrong); err != nil || a.Failure != nil {
		t.Fatal(err, a.Failure, string(a.Document()))
	}
	for _, c := range wrong {
		t.Errorf("what, got, want: %s", c)
	}
}

func TestScriptSearchParams(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	w := loadScript(t, e, evaluator, ProgramConfig{})
	for expression, want := range map[string]string{
		`String(new URLSearchParams("?a=1&b=2+3&c=%C3%A9&d&=e&&f=%zz&a=%ff"))`: `"a=1&b=2+3&c=%C3%A9&d=&=e&f=%25zz&a=%EF%BF%BD"`,
		`String(new URLSearchParams({a: 1, b: "x y&z=é*-._~"}))`:               `"a=1&b=x+y%26z%3D%C3%A9*-._%7E"`,
		`String(new URLSearchParams([["a", "1"], ["a", 2]]))`:                  `"a=1&a=2"`,
		`String(new URLSearchParams(new Map([["a", "1"]])))`:                   `"a=1"`,
		`(() => { const p = new URLSearchParams("a=1&b=2&a=3"); return [p.get("a"), p.getAll("a"), p.get("c"), p.has("a", "3"), p.has("a", "4"), p.size] })()`:                                     `["1",["1","3"],null,true,false,3]`,
		`(() => { const p = new URLSearchParams("a=1&b=2&a=3"); p.set("a", 9); p.append("c", 0); p.delete("b"); return String(p) })()`:                                                             `"a=9&c=0"`,
		`(() => { const p = new URLSearchParams("b=2&a=1&b=1&a=0"); p.sort(); return [...p].join(";") })()`:                                                                                        `"a,1;a,0;b,2;b,1"`,
		`(() => { const u = new URL("https://x/?a=1"); u.searchParams.append("b", "é"); const s = u.href; u.search = "?c=d"; return [s, u.searchParams.get("c"), [...u.searchParams.keys()]] })()`: `["https://x/?a=1&b=%C3%A9","d",["c"]]`,
		`(() => { const u = new URL("https://x/?a=1"); u.searchParams.delete("a"); return u.href })()`:                                                                                             `"https://x/"`,
		`(() => { try { new URLSearchParams([["a"]]) } catch (e) { return e.name } })()`:                                                                                                           `"TypeError"`,
		`(() => { try { new URL("nothing") } catch (e) { return [e.name, e.code, e.message] } })()`:                                                                                                `["TypeError","ERR_INVALID_URL","Invalid URL"]`,
		`JSON.stringify({u: new URL("x:y")}) + String(new URL("x:y"))`:                                                                                                                             `"{\"u\":\"x:y\"}x:y"`,
	} {
		if a := w.serve(quoted(expression), soon); a.Failure != nil || string(a.Payload) != want {
			t.Errorf("%s: got %s, %v; want %s", expression, a.Payload, a.Failure, want)
		}
	}
}
