package server

import (
	"testing"

	"github.com/millicent-run/millicent"
)

func version(number, revision string) *millicent.Version {
	return &millicent.Version{Tenant: "t", Function: "f", Number: number, Revision: revision}
}

func TestCurrent(t *testing.T) {
	before := &millicent.Function{Tenant: "t", Name: "f", Draft: version("$LATEST", "r1"), Published: []int{1, 2}}
	for name, c := range map[string]struct {
		change func(*millicent.Function) *millicent.Function
		v      *millicent.Version
		want   bool
	}{
		"nothing, draft":      {func(f *millicent.Function) *millicent.Function { return f }, version("$LATEST", "r1"), true},
		"nothing, published":  {func(f *millicent.Function) *millicent.Function { return f }, version("2", "r0"), true},
		"new code, draft":     {func(f *millicent.Function) *millicent.Function { f.Draft.Revision = "r2"; return f }, version("$LATEST", "r1"), false},
		"new code, published": {func(f *millicent.Function) *millicent.Function { f.Draft.Revision = "r2"; return f }, version("1", "r0"), true},
		"version deleted":     {func(f *millicent.Function) *millicent.Function { f.Published = []int{2}; return f }, version("1", "r0"), false},
		"function deleted":    {func(*millicent.Function) *millicent.Function { return nil }, version("1", "r0"), false},
		"egress, draft":       {func(f *millicent.Function) *millicent.Function { f.Egress = []string{"a"}; return f }, version("$LATEST", "r1"), false},
		"egress, published":   {func(f *millicent.Function) *millicent.Function { f.Egress = []string{"a"}; return f }, version("1", "r0"), false},
		"tags":                {func(f *millicent.Function) *millicent.Function { f.Tags = map[string]string{"a": "b"}; return f }, version("$LATEST", "r1"), true},
	} {
		if got := current(c.v, before, c.change(before.Clone())); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

type fakeRetirer struct{ calls int }

func (r *fakeRetirer) Retire(string, string, func(*millicent.Version) bool) { r.calls++ }

func TestRetireNew(t *testing.T) {
	r := &fakeRetirer{}
	f := &millicent.Function{Tenant: "t", Name: "f", Draft: version("$LATEST", "r1")}
	retire(r, nil, f)
	if r.calls != 0 {
		t.Error("a new function has nothing to retire")
	}
	retire(r, f, nil)
	if r.calls != 1 {
		t.Error("a deleted function's environments stay")
	}
}

func TestReservations(t *testing.T) {
	three, five := 3, 5
	functions := []*millicent.Function{{Tenant: "t", Reserved: &three}, {Tenant: "t"}, {Tenant: "t", Reserved: &five}}
	provisioned := &millicent.Function{Tenant: "t", Provisioned: map[string]*millicent.Provisioned{"1": {Concurrency: 4}}}
	asked := 0
	r := &reservations{functions: func(tenant string) []*millicent.Function {
		asked++
		return functions
	}}
	if got := r.of("t"); got != 8 {
		t.Errorf("sum %d, want 8", got)
	}
	if r.of("t"); asked != 1 {
		t.Errorf("counted %d times without a change", asked)
	}
	r.changed(functions[1], functions[1]) // of something else
	if r.of("t"); asked != 1 {
		t.Errorf("counted %d times", asked)
	}
	before := functions[2]
	functions = functions[:2]
	r.changed(before, nil)
	if got := r.of("t"); got != 3 {
		t.Errorf("after a deletion: %d, want 3", got)
	}
	r.changed(functions[1], provisioned)
	functions[1] = provisioned
	if got := r.of("t"); got != 7 {
		t.Errorf("with 4 provisioned: %d, want 7", got)
	}
}

// TestReservationsOvertaken counts while a change comes in: the count must
// not be kept.
func TestReservationsOvertaken(t *testing.T) {
	one := 1
	f := &millicent.Function{Tenant: "t", Reserved: &one}
	var r *reservations
	first := true
	r = &reservations{functions: func(string) []*millicent.Function {
		if first {
			first = false
			r.changed(nil, f)
			return nil // as it was before the change
		}
		return []*millicent.Function{f}
	}}
	r.of("t")
	if got := r.of("t"); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}
