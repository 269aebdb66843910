package bootstrap

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// testReconnects: a connection that breaks while the process waits is made anew.
func testReconnects(t *testing.T, p program) {
	if overLink {
		return
	}
	f := start(t, p)
	if got := f.respond("1"); got != "1" {
		t.Errorf("got %s, want 1", got)
	}
	f.idle(2)
	f.api.CloseClientConnections()
	f.idle(1)
	if got := f.respond("2"); got != "2" {
		t.Errorf("after the break: got %s, want 2", got)
	}
}

// testLargePayloads: bodies of several megabytes pass both ways.
func testLargePayloads(t *testing.T, p program) {
	f := start(t, p)
	for _, size := range []int{0, 1, 4 << 10, 64<<10 - 2, 64 << 10, 1 << 20, 6<<20 - 2} {
		want := `"` + strings.Repeat("x", size) + `"`
		if got := f.respond(want); got != want {
			t.Errorf("%d bytes: got %d", len(want), len(got))
		}
	}
}

// testRefusedResponse: whatever the platform says to a response, the next
// invocation is served.
func testRefusedResponse(t *testing.T, p program) {
	if overLink {
		return
	}
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			f := start(t, p)
			f.api.setStatus(status)
			f.invoke("1")
			f.api.setStatus(http.StatusAccepted)
			if got := f.respond("2"); got != "2" {
				t.Errorf("got %s, want 2", got)
			}
		})
	}
}

// testKeepsNothing: memory does not grow with the number of invocations.
func testKeepsNothing(t *testing.T, p program) {
	f := start(t, p)
	body := `"` + strings.Repeat("x", 100<<10) + `"`
	for range 300 {
		f.respond(body)
	}
	before := residentKB(t, f.cmd.Process.Pid)
	for range 600 {
		f.respond(body)
	}
	// Kept payloads would be 60 MB or more; collectors take some freedom.
	if grown := residentKB(t, f.cmd.Process.Pid) - before; grown > 24<<10 {
		t.Errorf("grew by %d KB over 600 invocations", grown)
	}
}

// testEndsWithThePlatform: without a Runtime API the process ends.
func testEndsWithThePlatform(t *testing.T, p program) {
	f := start(t, p)
	f.idle(1)
	f.api.hangUp()
	if code := f.exit(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}
