package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLedgerPowerLoss cuts the power under load, and drops what was not
// synced: each acknowledged event has its record once, and of what was answered
// at once no record is lost but the newest.
func TestLedgerPowerLoss(t *testing.T) {
	rounds := crashRounds(t, "MILLICENT_POWERLOSS_ROUNDS", 1)
	p := plugIn(t)
	s := upOn(t, p.dir)
	l := prepareLedgerLoad(s)
	lost, longest := 0, time.Duration(0)
	for range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { l.work(ctx) })
		}
		time.Sleep(time.Second) // when does not matter
		p.cut(s)
		cancel()
		all.Wait()
		s.start()
		if out := s.mustCLI("ledger", "verify"); !strings.Contains(out, "as they were written") {
			t.Fatal(out)
		}
		n, oldest := l.forget(s.ledger(), p.last)
		lost, longest = lost+n, max(longest, oldest)
	}
	l.check(l.await())
	t.Logf("%d cuts, %d calls acknowledged; %d records of calls that were answered at most %v before are lost", rounds, len(l.acked)+lost, lost, longest)
}

// forget drops calls that were answered at once and that a ledger has no record
// of. It returns how many these are, and how long before the cut the oldest of
// them was answered.
func (l *ledgerLoad) forget(lines []ledgerLine, cut time.Time) (lost int, longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	have, caused := map[string]bool{}, map[string]bool{}
	for _, line := range lines {
		have[line.Usage.ID], caused[line.Usage.Parent] = true, true
	}
	for id, call := range l.acked {
		switch {
		case call.event:
		case !have[id]:
			lost++
			longest = max(longest, cut.Sub(call.at))
			delete(l.acked, id)
		case call.calls && !caused[id]:
			l.s.t.Errorf("%s is in the ledger, and not the call that it made before", id)
		}
	}
	return lost, longest
}
