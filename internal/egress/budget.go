package egress

import (
	"sync"
	"time"
)

// maxBudget is how many events a budget allows at once; it grows by one a
// second up to that.
const maxBudget = 10

// A budget limits how often something happens. Its zero value is full.
type budget struct {
	mu    sync.Mutex // guards what follows
	spent float64
	at    time.Time
}

// spend reports whether the thing may happen now, and counts it then.
func (b *budget) spend(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-now.Sub(b.at).Seconds())
	b.at = now
	if b.spent+1 > maxBudget {
		return false
	}
	b.spent++
	return true
}
