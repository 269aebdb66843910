package millicent

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProvisions(t *testing.T) {
	when := time.Unix(1_700_000_000, 0)
	of := func(n int, leaving bool) Provision { return Provision{n, when, leaving} }
	for name, c := range map[string]struct {
		alias *Alias
		want  map[string]Provision
	}{
		"one version":  {&Alias{Version: "1"}, map[string]Provision{"1": of(10, false)}},
		"two versions": {&Alias{Version: "1", Weights: map[string]float64{"2": 0.25}}, map[string]Provision{"1": of(8, false), "2": of(3, false)}},
		"none of it":   {&Alias{Version: "1", Weights: map[string]float64{"2": 0}}, map[string]Provision{"1": of(10, false)}},
		"all of it":    {&Alias{Version: "1", Weights: map[string]float64{"2": 1}}, map[string]Provision{"2": of(10, false)}},
		"on its way": {&Alias{Version: "2", Weights: map[string]float64{"1": 1}, Moving: true},
			map[string]Provision{"2": of(10, false), "1": of(10, true)}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &Function{
				Aliases:     map[string]*Alias{"live": c.alias},
				Provisioned: map[string]*Provisioned{"live": {10, when}, "7": {2, when}},
			}
			c.want["7"] = of(2, false)
			if diff := cmp.Diff(c.want, f.Provisions()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := f.Claimed(); got != 12 {
				t.Errorf("it claims %d", got)
			}
			f.Reserved = new(20)
			if got := f.Claimed(); got != 20 {
				t.Errorf("it claims %d of what is reserved for it", got)
			}
		})
	}
}

func TestAliasMoves(t *testing.T) {
	a := &Alias{Version: "1"}
	for _, step := range []struct {
		to     string
		want   Alias
		serves string
	}{
		{"2", Alias{Version: "2", Weights: map[string]float64{"1": 1}, Moving: true}, "1"},
		{"3", Alias{Version: "3", Weights: map[string]float64{"1": 1}, Moving: true}, "1"},
		{"", Alias{Version: "3"}, "3"},
		{"2", Alias{Version: "2", Weights: map[string]float64{"3": 1}, Moving: true}, "3"},
		{"3", Alias{Version: "3"}, "3"},
	} {
		if step.to == "" {
			a.Arrive()
		} else {
			a.MoveTo(step.to)
		}
		if diff := cmp.Diff(step.want, *a); diff != "" {
			t.Errorf("to %q (-want +got):\n%s", step.to, diff)
		}
		if got := a.Pick(0.999); got != step.serves {
			t.Errorf("to %q: version %s serves, want %s", step.to, got, step.serves)
		}
	}
}
