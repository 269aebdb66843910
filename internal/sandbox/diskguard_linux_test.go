package sandbox

import "testing"

func TestBlame(t *testing.T) {
	const gib = 1 << 30
	small, large, none := &Sandbox{id: "small"}, &Sandbox{id: "large"}, ""
	uses := []diskUse{{small, 20 * mib}, {large, 30 * mib}, {&Sandbox{id: "idle"}, mib}}
	for _, c := range []struct {
		name        string
		free, total int64
		uses        []diskUse
		want        string
	}{
		{"much is free", 50 * gib, 100 * gib, uses, none},
		{"as much as must be", gib, 100 * gib, uses, none},
		{"too little", gib - 1, 100 * gib, uses, "large"},
		{"full", 0, 100 * gib, uses, "large"},
		{"of a small disk", 99 * mib, 2000 * mib, uses, "large"},
		{"as much as must be of a small disk", 100 * mib, 2000 * mib, uses, none},
		{"others filled it", 0, 100 * gib, uses[2:], none},
		{"no sandboxes", 0, 100 * gib, nil, none},
	} {
		got := none
		if u := blame(c.free, c.total, c.uses); u != nil {
			got = u.sandbox.id
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
