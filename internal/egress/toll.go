package egress

import (
	"errors"
	"sync"
)

// ahead is how much is paid for at a time, where the budgets cover it.
const ahead = 256 << 10

// errUnpaid is that of a connection whose next bytes nobody pays for.
var errUnpaid = errors.New("no budget covers what is to be sent")

// A toll has what a sandbox sends paid for before it is sent, in invocations
// whose budgets say so. The zero value lets everything pass.
type toll struct {
	mu      sync.Mutex
	pay     func(bytes int64) bool // nil: nobody has to
	paid    int64                  // bytes, by this invocation
	granted int64                  // bytes that may pass, of all that the sandbox ever sent
	passed  int64                  // bytes that did
}

// begin says who pays from now on. The sandbox has sent total bytes so far, of
// which some may wait to pass: those are of before.
func (t *toll) begin(pay func(bytes int64) bool, total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pay, t.paid, t.granted = pay, 0, max(t.passed, total)
}

// pass reports whether bytes may be sent.
func (t *toll) pass(n int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if need := t.passed + n - t.granted; t.pay != nil && need > 0 {
		more := max(need, ahead)
		if !t.pay(more) {
			if more = need; !t.pay(more) {
				return false
			}
		}
		t.paid += more
		t.granted += more
	}
	t.passed += n
	return true
}

// settle pays for what an invocation has sent and was not paid for yet. The
// sandbox has sent total bytes so far, of which some may wait to pass. It is
// false where nobody pays: what waits must not pass.
func (t *toll) settle(sent, total int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if need := sent - t.paid; t.pay != nil && need > 0 && !t.pay(need) {
		t.granted = t.passed
		return false
	}
	t.granted = max(t.passed, total)
	return true
}

// Begin begins an invocation: pay is asked before its bytes are sent, and
// reports whether they are paid for; nil lets all pass.
func (t *Traffic) Begin(pay func(bytes int64) bool) { t.toll.begin(pay, t.Total()) }

// Settle has all paid for that an invocation has sent, which is what the sandbox
// did after a total. Where nobody pays for what the kernel has taken of that and
// has not sent, the connections end, and it is not counted any more. It returns
// the total that is paid for.
func (t *Traffic) Settle(before int64) (total int64) {
	total = t.Total()
	if t.toll.settle(total-before, total) {
		return total
	}
	t.mu.Lock()
	for c := range t.open {
		reset(c)
		delete(t.open, c)
	}
	t.mu.Unlock()
	return t.Total()
}
