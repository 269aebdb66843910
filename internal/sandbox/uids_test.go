package sandbox

import "testing"

func TestUIDs(t *testing.T) {
	u := newUIDs(100, 3)
	seen := map[int]bool{}
	for range 3 {
		uid, err := u.take()
		if err != nil || uid < 100 || uid > 102 || seen[uid] {
			t.Fatalf("got %d, %v after %v", uid, err, seen)
		}
		seen[uid] = true
	}
	if uid, err := u.take(); err == nil {
		t.Errorf("a fourth of three: %d", uid)
	}
	u.give(101)
	if uid, err := u.take(); err != nil || uid != 101 {
		t.Errorf("the one given back: got %d, %v", uid, err)
	}
	if u := newUIDs(0, 0); u.base != defaultUIDBase || u.count != defaultUIDCount {
		t.Errorf("defaults %d, %d", u.base, u.count)
	}
}
