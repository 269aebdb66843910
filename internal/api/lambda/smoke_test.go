package lambda

import "testing"

func TestSmoke(t *testing.T) {
	p := newPlatform(t, nil)
	a := p.call("POST", functionsPath, createRequest("hello"))
	t.Logf("%d %s", a.status, a.body)
	p.settled("hello")
	a = p.call("GET", functionPath("hello", ""), nil)
	t.Logf("%d %s", a.status, a.body)
	a = p.call("POST", functionPath("hello", "/invocations"), `{"a":1}`)
	t.Logf("%d %v %s", a.status, a.header, a.body)
}
