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
	granted int64                  // bytes that may pass, of all
	passed  int64                  // bytes that did
}

// begin says who pays from now on. Of the bytes before, some wait to pass.
func (t *toll) begin(pay func(bytes int64) bool, waiting int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pay, t.paid, t.granted = pay, 0, t.passed+waiting
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

// settle pays for what an invocation has sent, of which some waits to pass, and
// was not paid for yet. It is false where nobody pays: what waits must not pass.
func (t *toll) settle(sent, waiting int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if need := sent - t.paid; t.pay != nil && need > 0 && !t.pay(need) {
		t.granted = t.passed
		return false
	}
	t.granted = t.passed + waiting
	return true
}

// Begin begins an invocation: pay is asked before its bytes are sent, and
// reports whether they are paid for; nil lets all pass.
func (t *Traffic) Begin(pay func(bytes int64) bool) { t.toll.begin(pay, t.Total()-t.Sent.Load()) }

// Settle has all paid for that an invocation has sent: so many bytes. Where
// nobody pays for what the kernel has taken of that and has not sent, the
// connections end, and it is not counted any more.
func (t *Traffic) Settle(sent int64) {
	if t.toll.settle(sent, t.Total()-t.Sent.Load()) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.open {
		reset(c)
		delete(t.open, c)
	}
}
