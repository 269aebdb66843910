package process

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

const (
	registerPath  = "/2020-01-01/extension/register"
	nextEventPath = "/2020-01-01/extension/event/next"
)

func TestInternalExtensionRegisters(t *testing.T) {
	a := newAPITest(t)
	r := a.do("POST", registerPath, `{"events":[]}`, "Lambda-Extension-Name", "GoLangEnableSIGTERM")
	want(t, r, 200, `{"functionName":"hello","functionVersion":"$LATEST","handler":"app.handler"}`)
	if r.header.Get("Lambda-Extension-Identifier") == "" {
		t.Error("got no identifier")
	}
	if !a.session.hasExtensions() {
		t.Error("the session knows of none")
	}
	r = a.do("POST", registerPath, `{"events":null}`, "Lambda-Extension-Name", "other", "Lambda-Extension-Accept-Feature", "accountId")
	want(t, r, 200, `{"functionName":"hello","functionVersion":"$LATEST","handler":"app.handler","accountId":"000000000000"}`)
}

func TestExtensionsThatMayNotRegisterAreRefused(t *testing.T) {
	a := newAPITest(t)
	check := func(r reply, kind string) {
		t.Helper()
		if r.Status != 403 || !strings.Contains(r.Body, `"errorType":"`+kind+`"`) {
			t.Errorf("got %d %s, want 403 %s", r.Status, r.Body, kind)
		}
	}
	check(a.do("POST", registerPath, `{}`), "Extension.InvalidExtensionName")
	check(a.do("POST", registerPath, `{"events"`, "Lambda-Extension-Name", "x"), "InvalidRequestFormat")
	check(a.do("POST", registerPath, `{"events":["SHUTDOWN"]}`, "Lambda-Extension-Name", "x"), "Extension.InvalidEventType")
	for i := range maxExtensions {
		if r := a.do("POST", registerPath, `{}`, "Lambda-Extension-Name", string(rune('a'+i))); r.Status != 200 {
			t.Fatalf("got %d %s", r.Status, r.Body)
		}
	}
	check(a.do("POST", registerPath, `{}`, "Lambda-Extension-Name", "a"), "Extension.InvalidExtensionState")
	check(a.do("POST", registerPath, `{}`, "Lambda-Extension-Name", "z"), "Extension.TooManyExtensions")
	check(a.do("GET", nextEventPath, ""), "Extension.MissingExtensionIdentifier")
	check(a.do("GET", nextEventPath, "", "Lambda-Extension-Identifier", "x"), "Extension.InvalidExtensionIdentifier")
	check(a.do("GET", nextEventPath, "", "Lambda-Extension-Identifier", "7c3a7a8e-6d5c-4f5e-9a52-0d9f6d3c2b1a"), "Extension.UnknownExtensionIdentifier")

	b := newAPITest(t)
	b.running("id-1")
	check(b.do("POST", registerPath, `{}`, "Lambda-Extension-Name", "late"), "Extension.RegistrationClosed")
}

func TestExtensionIsToldOfInvocations(t *testing.T) {
	a := newAPITest(t)
	id := a.do("POST", registerPath, `{"events":["INVOKE"]}`, "Lambda-Extension-Name", "x").header.Get("Lambda-Extension-Identifier")
	event, next := make(chan reply, 1), make(chan reply, 1)
	go func() { next <- a.next() }()
	go func() { event <- a.do("GET", nextEventPath, "", "Lambda-Extension-Identifier", id) }()
	a.offer(&millicent.Invocation{ID: "id-1", ARN: "arn", TraceID: "Root=1"})
	r := <-event
	want(t, r, 200, `{"eventType":"INVOKE","deadlineMs":1700000000123,"requestId":"id-1","invokedFunctionArn":"arn","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1"}}`)
	if r.header.Get("Lambda-Extension-Event-Identifier") == "" {
		t.Error("the event has no identifier")
	}
	<-next
}

func TestInitLastsUntilExtensionsAreReady(t *testing.T) {
	a := newAPITest(t)
	id := a.do("POST", registerPath, `{}`, "Lambda-Extension-Name", "x").header.Get("Lambda-Extension-Identifier")
	event, next := make(chan reply, 1), make(chan reply, 1)
	go func() { next <- a.next() }()
	ready := a.session.watch((*session).ready).met
	select {
	case <-ready:
	case <-time.After(testWait):
		t.Fatal("the runtime is not ready")
	}
	if a.session.offer(newTurn(&millicent.Invocation{ID: "early"}, time.Now())) {
		t.Error("an event was taken before the extension was ready")
	}
	go func() { event <- a.do("GET", nextEventPath, "", "Lambda-Extension-Identifier", id) }()
	a.offer(&millicent.Invocation{ID: "id-1"})
	<-next
	select {
	case r := <-event:
		t.Errorf("an extension without events got %s", r.Body)
	default:
	}
	a.session.mu.Lock()
	a.session.extensions[id].pending = &turn{} // lets the waiting request end
	a.session.announce()
	a.session.mu.Unlock()
	<-event
}

func FuzzExtensionRegistration(f *testing.F) {
	f.Add(`{"events":["INVOKE"]}`)
	f.Add(`{"events":["SHUTDOWN"]}`)
	f.Add(`[`)
	f.Fuzz(func(t *testing.T, body string) {
		x, kind, _ := newExtension("x", strings.NewReader(body))
		if (x == nil) == (kind == "") {
			t.Errorf("got %v and error type %q", x, kind)
		}
		if x != nil && x.invoke && !strings.Contains(body, `INVOKE`) && json.Valid([]byte(body)) && !strings.Contains(body, `\u`) {
			t.Error("an event came from nowhere")
		}
	})
}
