package egress

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	var b budget
	now := time.Unix(1e9, 0)
	count := func(tries int) (n int) {
		for range tries {
			if b.spend(now) {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		wait time.Duration
		want int
	}{{0, maxBudget}, {0, 0}, {900 * time.Millisecond, 0}, {100 * time.Millisecond, 1}, {3 * time.Second, 3}, {time.Hour, maxBudget}} {
		now = now.Add(step.wait)
		if got := count(2 * maxBudget); got != step.want {
			t.Errorf("after %s: %d, want %d", step.wait, got, step.want)
		}
	}
}

func TestConnLimit(t *testing.T) {
	for files, want := range map[uint64]int64{
		0: 1, 256: 21, 1024: 85, 4096: 341, 20_000: 1666, 524_288: maxAllConns, 1 << 63: maxAllConns,
	} {
		if got := connLimit(files); got != want {
			t.Errorf("%d descriptors: %d connections, want %d", files, got, want)
		}
	}
}
