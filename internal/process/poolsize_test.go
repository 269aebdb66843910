package process

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var poolNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// ago returns n starts, that long ago and as far apart.
func ago(age time.Duration, n int, apart time.Duration) (l []time.Time) {
	for i := range n {
		l = append(l, poolNow.Add(-age).Add(time.Duration(i-n+1)*apart))
	}
	return l
}

func TestDemandsSize(t *testing.T) {
	for _, tt := range []struct {
		name string
		d    demand
		want int
	}{
		{"nothing", demand{}, 0},
		{"expected", demand{expected: true}, 1},
		{"one start", demand{starts: ago(time.Second, 1, 0)}, 2},
		{"expected and one start", demand{expected: true, starts: ago(time.Second, 1, 0)}, 2},
		{"one start long ago", demand{starts: ago(9*time.Minute, 1, 0)}, 2},
		{"one start too long ago", demand{starts: ago(10*time.Minute, 1, 0)}, 0},
		{"one after another", demand{starts: ago(0, 100, 2*time.Second)}, 2},
		{"ten at once", demand{starts: ago(time.Second, 10, 0)}, 13},
		{"ten within a second", demand{starts: ago(time.Second, 10, 100*time.Millisecond)}, 13},
		{"ten within three seconds", demand{starts: ago(time.Second, 10, 300*time.Millisecond)}, 5},
		{"ten at once, a minute ago", demand{starts: ago(time.Minute, 10, 0)}, 13},
		{"ten at once, 5½ minutes ago", demand{starts: ago(330*time.Second, 10, 0)}, 7},
		{"ten at once, 9 minutes ago", demand{starts: ago(9*time.Minute, 10, 0)}, 2},
		{"a burst, then one", demand{starts: append(ago(2*time.Minute, 20, 0), poolNow)}, 23},
		{"a hundred a second", demand{starts: ago(0, 1000, 10*time.Millisecond)}, 127},
		{"the clock went back", demand{starts: ago(-time.Hour, 4, 0)}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.d.size(poolNow); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestPoolSizes(t *testing.T) {
	const mb = 1 << 20
	burst := func(kind string, n int, memory int64) demand {
		return demand{kind: kind, starts: ago(0, n, 0), memory: memory}
	}
	for _, tt := range []struct {
		name  string
		list  []demand
		limit poolLimit
		want  map[string]int
	}{
		{"none", nil, poolLimit{10, 100 * mb}, map[string]int{}},
		{"as asked for", []demand{burst("a", 4, mb), burst("b", 8, mb)}, poolLimit{10, 100 * mb}, map[string]int{"a": 5, "b": 10}},
		{"bounded in number", []demand{burst("a", 4, mb), burst("b", 80, mb)}, poolLimit{10, 100 * mb}, map[string]int{"a": 5, "b": 10}},
		{"bounded in memory", []demand{burst("a", 4, 10*mb), burst("b", 8, 10*mb)}, poolLimit{10, 100 * mb}, map[string]int{"a": 5, "b": 5}},
		{"the last gives way first", []demand{burst("a", 4, 10*mb), burst("b", 4, 10*mb)}, poolLimit{10, 90 * mb}, map[string]int{"a": 5, "b": 4}},
		{"no memory at all", []demand{burst("a", 4, mb)}, poolLimit{10, 0}, map[string]int{"a": 0}},
		{"no memory taken", []demand{burst("a", 4, 0)}, poolLimit{10, -1}, map[string]int{"a": 0}},
		{"too large for one", []demand{burst("a", 1, 200*mb), burst("b", 1, mb)}, poolLimit{10, 100 * mb}, map[string]int{"a": 0, "b": 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, poolSizes(tt.list, tt.limit, poolNow)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
