package console

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

func TestMain(m *testing.M) {
	os.Exit(millicenttest.Main(m, "../../cmd/millicent", func() error { return nil }))
}

// code is functions of several tempers. Their output is a page's nightmare.
const code = `
import time, random
def handler(event, context):
    print("<img src=x onerror=alert(1)> \"quoted\" & more")
    if event.get("fail"):
        raise ValueError("the card was declined <b>twice</b>")
    time.sleep(event.get("sleep", 0))
    return "answered"
`

// deploy creates a function.
func deploy(t *testing.T, s *millicenttest.Server, name string, memory int32, description string) {
	t.Helper()
	s.Create(t, &lambda.CreateFunctionInput{
		FunctionName: aws.String(name), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		MemorySize: aws.Int32(memory), Description: aws.String(description),
		Code: &types.FunctionCode{ZipFile: millicenttest.Zip(t, map[string]string{"app.py": code})},
	})
}

// deployPage creates a function of a code with a URL that is open to all, and
// returns the URL's path.
func deployPage(t *testing.T, s *millicenttest.Server, name, code string) string {
	t.Helper()
	s.Create(t, &lambda.CreateFunctionInput{
		FunctionName: aws.String(name), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		Code: &types.FunctionCode{ZipFile: millicenttest.Zip(t, map[string]string{"app.py": code})},
	})
	out, err := s.SDK().CreateFunctionUrlConfig(t.Context(), &lambda.CreateFunctionUrlConfigInput{
		FunctionName: aws.String(name), AuthType: types.FunctionUrlAuthTypeNone,
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(*out.FunctionUrl)
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(u.Host, ".")
	return "/_url/" + id + "/"
}

// work has functions called, until stop is called. It returns once each was.
func work(t *testing.T, s *millicenttest.Server) (stop func()) {
	t.Helper()
	ended := make(chan struct{})
	var group sync.WaitGroup
	for name, events := range map[string][]string{
		"checkout":  {`{}`, `{"sleep":0.004}`, `{"sleep":0.02}`, `{}`, `{}`},
		"thumbnail": {`{"sleep":0.08}`, `{"sleep":0.12}`, `{"sleep":0.3}`},
		"payments":  {`{"sleep":0.03}`, `{"sleep":0.01}`, `{"fail":true}`, `{"sleep":0.05}`},
	} {
		s.Invoke(t, name, events[0])
		group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ended:
					return
				case <-time.After(time.Duration(20+i%7*9) * time.Millisecond):
				}
				_, _ = s.TryInvoke(t, name, events[i%len(events)]) // that of payments fails, as it is to
			}
		})
	}
	return func() { close(ended); group.Wait() }
}

// screenshots returns the directory for them.
func screenshots(t *testing.T) string {
	if dir := os.Getenv("MILLICENT_SCREENSHOTS"); dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	return t.TempDir()
}

// workTime is how long functions run before they are looked at: some steps of
// the charts.
func workTime(t *testing.T) time.Duration {
	d, err := time.ParseDuration(os.Getenv("MILLICENT_CONSOLE_WORK"))
	if err != nil {
		return 11 * time.Second
	}
	return d
}

// TestConsole looks at each page as people do.
func TestConsole(t *testing.T) {
	t.Parallel()
	s := millicenttest.Up(t, millicenttest.Config{})
	b := newBrowser(t)
	dir := screenshots(t)
	p := b.newPage(t)

	p.scheme("light")
	p.open(s.URL() + "/_console/")
	p.wait(`document.querySelector('.start')?.innerText.includes('millicent deploy ./hello')`)
	p.shoot(filepath.Join(dir, "empty-light.png"))
	checkAxe(t, p, "the page without functions")

	deploy(t, s, "checkout", 128, "Takes orders")
	deploy(t, s, "thumbnail", 512, "")
	deploy(t, s, "payments", 256, "Charges cards")
	deploy(t, s, "a-function-with-the-longest-name-that-there-may-be-of-64-letters", 128, "")
	s.CLI(t, "budget", "set", "payments", "5 cents/day", "--stop")
	s.CLI(t, "budget", "set", "--tenant", "2 cents/hour", "--warn", "50%,80%")
	stop := work(t, s)
	defer stop()
	time.Sleep(workTime(t)) // charts of a time take that time

	// The first page, as it has become by itself.
	p.wait(`document.querySelectorAll('tbody tr').length === 4`)
	p.wait(`[...document.querySelectorAll('tbody tr')].find((r) => r.innerText.includes('payments')).querySelector('.bad')`)
	p.wait(`[...document.querySelectorAll('tbody tr')].find((r) => r.innerText.includes('payments')).innerText.includes('millicents')`)
	checkLooks(t, p, dir, "functions")

	p.open(s.URL() + "/_console/functions/payments")
	p.wait(`document.querySelector('#recent') && document.querySelectorAll('.table tbody tr').length > 10`)
	p.wait(`document.querySelectorAll('.plot canvas').length === 4`)
	p.wait(`document.querySelector('.log').innerText.includes('<img src=x onerror=alert(1)> "quoted" & more')`)
	p.eval(`[...document.querySelectorAll('.choice button')].find((b) => b.innerText === 'Cold starts').click()`)
	p.wait(`[...document.querySelectorAll('tbody .row')].length === document.querySelectorAll('.mark.cold').length`)
	p.eval(`document.querySelector('.row').click()`)
	p.wait(`document.querySelector('.why .says').innerText.startsWith('Cold start: ')`)
	p.wait(`document.querySelectorAll('.bill tbody tr').length >= 1 && document.querySelector('.bill tbody').innerText.includes('millicents')`)
	checkLooks(t, p, dir, "function")

	p.open(s.URL() + "/_console/budgets")
	p.wait(`document.querySelectorAll('.budget').length === 2 && document.querySelector('.budgets').innerText.includes('tops what it does not cover')`)
	checkLooks(t, p, dir, "budgets")
	p.wantNoProblems(s.URL())

	without := b.newPage(t)
	checkWithoutCharts(t, s, without)
	without.wantNoProblems(s.URL())
}

// checkWithoutCharts looks at a function's page of a build without uPlot.
func checkWithoutCharts(t *testing.T, s *millicenttest.Server, p *page) {
	t.Helper()
	p.replace("/dist/uPlot.js", "export default null;")
	p.open(s.URL() + "/_console/functions/payments")
	p.wait(`document.querySelector('.plot').innerText.includes('This build has no charts: with npm installed, “make build” adds them.')`)
	p.wait(`document.querySelector('.chart .reading').innerText.includes('ran ')`) // what they would show is there
}

// checkLooks makes pictures of the page that is shown, and holds it to what
// people need: in light and dark, wide and narrow.
func checkLooks(t *testing.T, p *page, dir, name string) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		p.scheme(scheme)
		p.size(1280, 900)
		p.shoot(filepath.Join(dir, name+"-"+scheme+".png"))
		checkAxe(t, p, name+" in "+scheme)
		p.size(400, 850)
		p.shoot(filepath.Join(dir, name+"-"+scheme+"-400.png"))
		var wide []string
		p.eval(`(document.documentElement.scrollWidth <= 400 ? [] : [...document.querySelectorAll('main *')]
			.filter((e) => e.getBoundingClientRect().right > 400).map((e) => e.outerHTML.slice(0, 120)))`, &wide)
		if len(wide) > 0 {
			t.Errorf("%s in %s scrolls sideways at 400 px: %q", name, scheme, wide)
		}
	}
	p.size(1280, 900)
	p.scheme("light")
}

// checkAxe has axe-core look for faults, and fails the test by serious ones.
func checkAxe(t *testing.T, p *page, what string) {
	t.Helper()
	axe, err := os.ReadFile("../../console/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("needs axe-core (npm ci --prefix console): ", err)
	}
	var world struct{ ExecutionContextID int }
	p.call("Page.createIsolatedWorld", object{"frameId": p.frame, "worldName": "axe"}, &world)
	in := object{"contextId": world.ExecutionContextID}
	p.evalIn(in, string(axe)+"; 0")
	var violations []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	// Of a log, which may be long, some lines are enough.
	p.evalIn(in, `axe.run({exclude: ['.log p:nth-child(n+12)']}).then((r) => r.violations.map(({id, impact, help, nodes}) => ({id, impact, help,
		nodes: nodes.slice(0, 5).map(({html, failureSummary}) => ({html, failureSummary}))})))`, &violations)
	for _, v := range violations {
		text, _ := json.MarshalIndent(v.Nodes, "", "  ")
		if v.Impact == "serious" || v.Impact == "critical" {
			t.Errorf("%s: %s (%s, %s)\n%s", what, v.Help, v.ID, v.Impact, text)
		} else {
			t.Logf("%s: %s (%s, %s)", what, v.Help, v.ID, v.Impact)
		}
	}
}

// focused returns what has the focus: its name for people.
func focused(p *page) (name string) {
	p.eval(`(() => { const e = document.activeElement;
		return [e.tagName.toLowerCase(), e.id, e.getAttribute('aria-label') ?? e.innerText].filter(Boolean).join(' ').trim() })()`, &name)
	return name
}

// TestKeyboard walks through the console without a mouse.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := millicenttest.Up(t, millicenttest.Config{})
	deploy(t, s, "hello", 128, "")
	s.Invoke(t, "hello", `{}`)
	p := newBrowser(t).newPage(t)
	p.open(s.URL() + "/_console/")
	p.wait(`document.querySelectorAll('tbody tr').length === 1`)

	tab := func(want string) {
		t.Helper()
		p.press("Tab")
		if got := focused(p); !strings.HasPrefix(got, want) {
			t.Fatalf("the focus is on %q, want %q", got, want)
		}
		var outline string
		p.eval(`getComputedStyle(document.activeElement).outlineStyle`, &outline)
		if outline == "none" {
			t.Errorf("the focus on %q is not to be seen", want)
		}
	}
	tab("a Skip to the content")
	p.press("Enter")
	if got := focused(p); !strings.HasPrefix(got, "main") {
		t.Errorf("skipped to %q", got)
	}
	for _, want := range []string{"button Function", "button Rate", "button Errors", "button p50", "button p99", "button Cold starts", "button Cost per hour", "a hello"} {
		tab(want)
	}
	p.press("Enter")
	p.wait(`location.pathname === '/_console/functions/hello' && document.querySelector('.row')`)
	if got := focused(p); !strings.HasPrefix(got, "main") {
		t.Errorf("on a new page the focus is on %q", got)
	}
	p.eval(`document.querySelector('.row').focus()`)
	p.press("Enter")
	p.wait(`document.querySelector('.row').ariaExpanded === 'true' && document.querySelector('.why .says').innerText.startsWith('Cold start: first call')`)
	p.press("Enter")
	p.wait(`document.querySelector('.row').ariaExpanded === 'false' && !document.querySelector('.why')`)
	tab("input Filter the log")
	p.write("no line has this")
	p.wait(`[...document.querySelectorAll('.log p')].every((l) => l.hidden)`)
	tab("button Pause")
	p.press(" ")
	p.wait(`document.activeElement.ariaPressed === 'true'`)
	tab("div Log of hello")
	p.eval(`history.back()`)
	p.wait(`location.pathname === '/_console/' && document.querySelector('tbody tr')`)

	p.eval(`document.getElementById('theme').focus()`)
	for _, want := range []string{"light", "dark", "light dark"} {
		p.press("Enter")
		var got string
		p.eval(`getComputedStyle(document.documentElement).colorScheme`, &got)
		if got != want {
			t.Errorf("the theme is %q, want %q", got, want)
		}
	}
	p.wantNoProblems(s.URL())
}
