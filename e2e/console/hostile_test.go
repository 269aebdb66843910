package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// hostile is a function whose page tries what a page can under the origin of
// the console, and shows what came of it as its title.
const hostile = `
page = """<!doctype html><title>begun</title><script>
(async () => {
  const got = {};
  const attempt = async (name, f) => { try { got[name] = String(await f()) } catch (e) { got[name] = "refused" } };
  await attempt("storage", () => sessionStorage.getItem("millicent.session"));
  await attempt("cookies", () => document.cookie = "a=b");
  await attempt("read", async () => (await fetch("/_millicent/info")).text());
  await attempt("read the API", async () => (await fetch("/2015-03-31/functions")).text());
  await attempt("delete", async () => (await fetch("/2015-03-31/functions/hello", {method: "DELETE"})).status);
  await attempt("create a key", async () => (await fetch("/_millicent/keys", {method: "POST", body: "{}"})).text());
  await attempt("service worker", async () => (await navigator.serviceWorker.register("/_url/sw.js", {scope: "/"})).scope);
  await attempt("frame", () => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.src = "/_console/";
    frame.onload = () => { try { resolve(frame.contentDocument.title) } catch { resolve("nothing") } };
    setTimeout(() => resolve("nothing"), 3000);
    document.body.append(frame);
  }));
  await attempt("window", () => window.open("/_console/").document.title);
  await attempt("opener", () => window.opener.document.title);
  document.title = JSON.stringify(got);
})();
</script><body>"""
def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "text/html", "service-worker-allowed": "/"}, "body": page}
`

// TestHostilePage opens a function's page beside the console, under the same
// origin, on an open server and on one that knows its callers.
func TestHostilePage(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	for _, auth := range []string{"none", "sigv4"} {
		t.Run(auth, func(t *testing.T) {
			s := millicenttest.Up(t, millicenttest.Config{Args: []string{"--auth", auth}})
			if auth == "sigv4" {
				withKey(t, s)
			}
			deploy(t, s, "hello", 128, "")
			path := deployPage(t, s, "hostile", hostile)
			p := b.newPage(t)
			p.open(s.URL() + "/_console/")
			if auth == "sigv4" {
				signIn(p, s.KeyID, s.KeySecret)
			}
			p.wait(`document.querySelectorAll('tbody tr').length === 2`)

			p.open(s.URL() + path) // in the same tab, with its storage
			p.wait(`document.title.startsWith('{')`)
			var title string
			p.eval("document.title", &title)
			var got map[string]string
			if err := json.Unmarshal([]byte(title), &got); err != nil || len(got) != 10 {
				t.Fatalf("the page says %s: %v", title, err)
			}
			for what, came := range got {
				if came != "refused" && (what != "frame" || came != "nothing") {
					t.Errorf("%s: %s", what, came)
				}
			}
			s.Invoke(t, "hello", `{}`) // it is there
		})
	}
}

// withKey makes an access key through the admin socket, for the test to sign with.
func withKey(t *testing.T, s *millicenttest.Server) {
	t.Helper()
	var key struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(s.CLI(t, "keys", "create", "--data", s.Data, "--json")), &key); err != nil {
		t.Fatal(err)
	}
	s.KeyID, s.KeySecret = key.ID, key.Secret
}

// signIn fills in the form and sends it, by keyboard.
func signIn(p *page, id, secret string) {
	p.t.Helper()
	p.wait(`document.activeElement.id === 'key'`)
	p.write(id)
	p.press("Tab")
	p.write(secret)
	p.press("Enter")
}

// TestSignIn signs in and out where calls have to be signed.
func TestSignIn(t *testing.T) {
	t.Parallel()
	s := millicenttest.Up(t, millicenttest.Config{Args: []string{"--auth", "sigv4"}})
	withKey(t, s)
	id, secret := s.KeyID, s.KeySecret
	withKey(t, s) // the page's is deleted below
	deploy(t, s, "hello", 128, "")
	p := newBrowser(t).newPage(t)
	p.open(s.URL() + "/_console/functions/hello")
	p.wait(`document.title.startsWith('Sign in')`)
	if text := p.text("main"); strings.Contains(text, "hello") {
		t.Errorf("before the sign-in: %s", text)
	}
	for _, scheme := range []string{"light", "dark"} {
		p.scheme(scheme)
		p.shoot(fmt.Sprintf("%s/sign-in-%s.png", screenshots(t), scheme))
		checkAxe(t, p, "the sign-in in "+scheme)
	}
	signIn(p, id, "another")
	p.wait(`document.querySelector('[role=alert]').innerText.includes('There is no such access key, or its secret is another one.')`)
	p.eval(`document.getElementById('key').select(); document.getElementById('key').focus()`)
	signIn(p, id, secret)
	p.wait(`document.querySelector('h1').innerText === 'hello' && document.querySelector('#live').innerText === 'Live'`)
	s.Invoke(t, "hello", `{}`)
	p.wait(`document.querySelector('.log').innerText.includes('REPORT')`)

	var kept string
	p.eval(`document.cookie + JSON.stringify(localStorage) + location.href`, &kept)
	if strings.Contains(kept, secret) || strings.Contains(kept, "session") {
		t.Errorf("kept beyond the tab: %s", kept)
	}
	p.call("Page.reload", object{})
	p.wait(`document.querySelector('h1')?.innerText === 'hello' && document.querySelector('#live').innerText === 'Live'`)
	p.eval(`document.getElementById('leave').click()`)
	p.wait(`document.title.startsWith('Sign in') && sessionStorage.length === 0`)

	signIn(p, id, secret)
	p.wait(`document.querySelector('h1').innerText === 'hello'`)
	s.CLI(t, "keys", "delete", id, "--data", s.Data)
	p.wait(`document.title.startsWith('Sign in')`)
	p.wantNoProblems(s.URL(), "403 (Forbidden)") // by which the page learns that it has to
}
