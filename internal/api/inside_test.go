package api

import (
	"testing"

	"github.com/millicent-run/millicent"
)

// TestFunctionsLeaveRoom: what one function sends keeps neither another
// function nor a caller outside from calling.
func TestFunctionsLeaveRoom(t *testing.T) {
	f := newFixture(false)
	from := func(function, body string) int {
		r := newRequest("POST", invokePath, body)
		if function != "" {
			r = r.WithContext(millicent.WithCaller(r.Context(), millicent.Caller{Tenant: testAccount, Function: function}))
		}
		resp, _ := f.do(t, f, r)
		return resp.StatusCode
	}
	hoard, done := f.inside.of(millicent.Caller{Tenant: testAccount, Function: "hoarder"})
	if !hoard.take(maxFunctionBodies-3) || hoard.take(4) || !hoard.take(3) {
		t.Error("a function's part is not what it is")
	}
	for function, want := range map[string]int{"hoarder": 429, "another": 200, "": 200} {
		if got := from(function, "1234"); got != want {
			t.Errorf("a call of %q: got %d, want %d", function, got, want)
		}
	}
	hoard.give(maxFunctionBodies)
	done()
	if got := from("hoarder", "1234"); got != 200 {
		t.Errorf("when it has given back: got %d", got)
	}
	if n := len(f.inside.part); n > 0 || f.inside.whole.used.Load() != 0 {
		t.Errorf("%d parts are left, %d bytes", n, f.inside.whole.used.Load())
	}
	if !f.inside.whole.take(maxInsideBodies) {
		t.Fatal("the whole is not what it is")
	}
	for function, want := range map[string]int{"another": 429, "": 200} {
		if got := from(function, "1234"); got != want {
			t.Errorf("when all functions together have taken it all, a call of %q: got %d, want %d", function, got, want)
		}
	}
}
