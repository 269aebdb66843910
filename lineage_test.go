package millicent

import (
	"fmt"
	"testing"
)

const lineageTenant = "000000000000"

// runs returns how many invocations run of a chain that goes around functions.
func runs(functions ...string) int {
	l := Lineage{Root: "root"}
	for n := 0; ; n++ {
		f := functions[n%len(functions)]
		if l.Loops(lineageTenant, f) {
			return n
		}
		l = l.Next(lineageTenant, f, "id")
	}
}

func TestLoopsEnd(t *testing.T) {
	var wide []string // more than a Lineage remembers
	for i := range 3 * maxVisited {
		wide = append(wide, fmt.Sprint("f", i))
	}
	for _, tt := range []struct {
		name      string
		functions []string
		want      int
	}{
		{"one function", []string{"a"}, MaxVisits},
		{"two functions", []string{"a", "b"}, 2 * MaxVisits},
		{"one more often", []string{"a", "b", "a", "c"}, 2 * MaxVisits},
		{"as many as are remembered", wide[:maxVisited], MaxHops},
		{"more than are remembered", wide, MaxHops},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := runs(tt.functions...); got != tt.want {
				t.Errorf("%d invocations run, want %d", got, tt.want)
			}
		})
	}
}

func TestLineageIsOfATenant(t *testing.T) {
	l := Lineage{Root: "root"}
	for range MaxVisits {
		l = l.Next(lineageTenant, "a", "id")
	}
	if !l.Loops(lineageTenant, "a") || l.Loops("111111111111", "a") || l.Loops(lineageTenant, "b") {
		t.Errorf("%+v", l)
	}
}

func TestNextLeavesItsLineageAlone(t *testing.T) {
	l := Lineage{Root: "root"}.Next(lineageTenant, "a", "id").Next(lineageTenant, "b", "id")
	a, b := l.Next(lineageTenant, "a", "id"), l.Next(lineageTenant, "c", "id")
	if l.Hops != 2 || len(l.Visited) != 2 || l.Visited[0].Times != 1 || a.Visited[1].Times != 2 || b.Visited[2].Function != "c" {
		t.Errorf("%+v, then %+v and %+v", l, a, b)
	}
}
