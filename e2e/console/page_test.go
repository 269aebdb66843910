package console

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A page is a tab of a browser. It keeps what it asked for, and what went wrong
// in it.
type page struct {
	t       testing.TB
	b       *browser
	session string
	frame   string

	mu       sync.Mutex
	requests []string // addresses
	problems []string

	instead map[string]string // what is answered in place of the server, by the end of an address
}

// object is a JSON object.
type object map[string]any

// newPage opens a tab of a context of its own: no storage is shared.
func (b *browser) newPage(t testing.TB) *page {
	t.Helper()
	var context struct{ BrowserContextID string }
	var target struct{ TargetID string }
	var attached struct{ SessionID string }
	b.call("", "Target.createBrowserContext", object{}, &context)
	b.call("", "Target.createTarget", object{"url": "about:blank", "browserContextId": context.BrowserContextID}, &target)
	b.call("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &page{t: t, b: b, session: attached.SessionID, frame: target.TargetID}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.call(domain+".enable", object{})
	}
	p.size(1280, 900)
	return p
}

func (p *page) call(method string, params any, out ...any) {
	p.t.Helper()
	p.b.call(p.session, method, params, out...)
}

// happened notes an event.
func (p *page) happened(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var e struct {
		Type    string
		Request struct{ URL string }
		Entry   struct{ Level, Text, URL string }
		Args    []struct{ Value, Description any }

		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	_ = json.Unmarshal(m.Params, &e) // of other events other members
	switch {
	case m.Method == "Fetch.requestPaused":
		go p.answer(m) // the answer's own answer is read by the caller
	case m.Method == "Network.requestWillBeSent":
		p.requests = append(p.requests, e.Request.URL)
	case m.Method == "Runtime.exceptionThrown":
		p.problems = append(p.problems, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case m.Method == "Log.entryAdded" && (e.Entry.Level == "error" || e.Entry.Level == "warning"):
		p.problems = append(p.problems, e.Entry.Text+" "+e.Entry.URL)
	case m.Method == "Runtime.consoleAPICalled" && (e.Type == "error" || e.Type == "warning"):
		p.problems = append(p.problems, fmt.Sprint(e.Args))
	}
}

// replace has scripts whose addresses end with a text be another one.
func (p *page) replace(end, script string) {
	p.t.Helper()
	p.instead = map[string]string{end: script}
	p.call("Fetch.enable", object{"patterns": []object{{"urlPattern": "*" + end}}})
}

// answer answers a request that was replaced.
func (p *page) answer(m message) {
	var e struct {
		RequestID string
		Request   struct{ URL string }
	}
	if json.Unmarshal(m.Params, &e) != nil {
		return
	}
	for end, script := range p.instead {
		if strings.HasSuffix(e.Request.URL, end) {
			_, _ = p.b.try(p.session, "Fetch.fulfillRequest", object{ // the page waits in vain when it fails
				"requestId": e.RequestID, "responseCode": 200, "body": []byte(script),
				"responseHeaders": []object{{"name": "Content-Type", "value": "text/javascript"}},
			})
		}
	}
}

// wantNoProblems fails the test when something went wrong in the page since it
// was last asked, but for problems with one of the texts, and when it asked
// another than a server.
func (p *page) wantNoProblems(server string, but ...string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.problems {
		expected := false
		for _, text := range but {
			expected = expected || strings.Contains(problem, text)
		}
		if !expected {
			p.t.Errorf("in the page: %s", problem)
		}
	}
	for _, url := range p.requests {
		if !strings.HasPrefix(url, server+"/") {
			p.t.Errorf("the page asked for %s", url)
		}
	}
	if len(p.requests) == 0 {
		p.t.Error("the page asked for nothing")
	}
	p.problems = nil
}

// open goes to an address, and returns when it has loaded.
func (p *page) open(url string) {
	p.t.Helper()
	p.call("Page.navigate", object{"url": url})
	p.wait(fmt.Sprintf("location.href === %q && document.readyState === 'complete'", url))
}

// eval evaluates an expression in the page's own world, and reads its value
// into out, unless that is absent.
func (p *page) eval(expression string, out ...any) {
	p.t.Helper()
	p.evalIn(object{}, expression, out...)
}

func (p *page) evalIn(params object, expression string, out ...any) {
	p.t.Helper()
	params["expression"], params["awaitPromise"], params["returnByValue"] = expression, true, true
	var result struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.call("Runtime.evaluate", params, &result)
	if result.ExceptionDetails != nil {
		p.t.Fatalf("%.200s: %s", expression, result.ExceptionDetails)
	}
	for _, o := range out {
		if err := json.Unmarshal(result.Result.Value, o); err != nil {
			p.t.Fatalf("%.200s: %v in %s", expression, err, result.Result.Value)
		}
	}
}

// wait returns when a condition holds.
func (p *page) wait(condition string) {
	p.t.Helper()
	var held bool
	p.eval(fmt.Sprintf(`new Promise((resolve) => {
		const end = performance.now() + %d;
		const look = () => {
			let held = false;
			try { held = %s } catch {}
			if (held) resolve(true);
			else if (performance.now() > end) resolve(false);
			else setTimeout(look, 20);
		};
		look();
	})`, patience.Milliseconds()/2, condition), &held)
	if !held {
		var text string
		p.eval("document.body.innerText", &text)
		p.shoot(filepath.Join(p.t.TempDir(), "failed.png"))
		p.t.Fatalf("not so: %s\nin the page: %s\nproblems: %q", condition, text, p.problems)
	}
}

// text returns the text of the first element that a selector selects.
func (p *page) text(selector string) (text string) {
	p.t.Helper()
	p.eval(fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector), &text)
	return text
}

// size makes the page of a width and height.
func (p *page) size(width, height int) {
	p.t.Helper()
	p.call("Emulation.setDeviceMetricsOverride", object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
}

// scheme makes the system's theme light or dark.
func (p *page) scheme(name string) {
	p.t.Helper()
	p.call("Emulation.setEmulatedMedia", object{"features": []object{
		{"name": "prefers-color-scheme", "value": name}, {"name": "prefers-reduced-motion", "value": "reduce"},
	}})
}

// shoot makes a picture of all of the page.
func (p *page) shoot(path string) {
	p.t.Helper()
	p.eval("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
	var shot struct{ Data []byte }
	p.call("Page.captureScreenshot", object{"captureBeyondViewport": true}, &shot)
	if err := os.WriteFile(path, shot.Data, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// keys are those that the tests press, with what they type.
var keys = map[string]struct {
	code int
	text string
}{"Tab": {9, ""}, "Enter": {13, "\r"}, " ": {32, " "}, "Escape": {27, ""}}

// press presses a key.
func (p *page) press(name string) {
	p.t.Helper()
	k := keys[name]
	p.call("Input.dispatchKeyEvent", object{"type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": k.code, "text": k.text})
	p.call("Input.dispatchKeyEvent", object{"type": "keyUp", "key": name, "code": name, "windowsVirtualKeyCode": k.code})
}

// write types a text where the focus is.
func (p *page) write(text string) {
	p.t.Helper()
	p.call("Input.insertText", object{"text": text})
}
