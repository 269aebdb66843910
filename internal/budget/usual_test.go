package budget

import (
	"fmt"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// A pause, and what is usual, outlive the server, however long it is away.
func TestPausesSurvive(t *testing.T) {
	st := newState(t)
	who := millicent.Identity{Tenant: account1}
	now := time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)
	number := uint64(0)
	busy := func(s *Service, calls int) {
		for range calls {
			number++
			s.Count(&millicent.UsageRecord{
				Kind: millicent.UsageInvocation, Tenant: account1, Function: "hello", Start: now, Billed: time.Second, MemoryMB: 1024, Number: number,
			})
		}
	}
	f := &millicent.Function{Tenant: account1, Name: "hello", Draft: &millicent.Version{MemoryMB: 128, Timeout: time.Second}}
	runs := func(s *Service) error {
		settle, err := s.Reserve(&millicent.Invocation{Tenant: account1, Function: "hello"}, f, f.Draft)
		if err == nil {
			settle(nil)
		}
		return err
	}
	s, end := st.open(t, now)
	mustSet(t, s, who, millicent.Budget{Tenant: account1, Per: millicent.PerMonth, Amount: millicent.Unit, Breaker: true})
	const stormy = 4000 // calls for a 20th of the budget
	busy(s, stormy)
	wantRefusal(t, runs(s), "tenant/month")
	before := s.Storms("")
	end()

	now = now.Add(stormPause - time.Second)
	s, end = st.open(t, now)
	wantRefusal(t, runs(s), "tenant/month")
	if after := s.Storms(""); fmt.Sprint(after) != fmt.Sprint(before) || len(after) != 1 {
		t.Errorf("before the restart %v, after it %v", before, after)
	}
	if err := s.Resume(who, account1, "hello"); err != nil {
		t.Error(err)
	}
	end()

	now = now.Add(24 * time.Hour)
	s, end = st.open(t, now)
	if err := runs(s); err != nil {
		t.Error("a pause that was ended is back:", err)
	}
	busy(s, stormy)
	if err := runs(s); err != nil {
		t.Error("what was found usual is paused after a restart:", err)
	}
	end()

	st.usual = []byte(`{"format": 2}`)
	s, end = st.open(t, now)
	busy(s, stormy)
	wantRefusal(t, runs(s), "tenant/month")
	end()
}

// More functions than are watched end no pause.
func TestFlowsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.set(millicent.Budget{Per: millicent.PerMonth, Amount: millicent.Unit, Breaker: true})
	count := func(function string, quantity time.Duration) {
		w.gate.Count(&millicent.UsageRecord{
			Kind: millicent.UsageInvocation, Tenant: account1, Function: function, Start: time.Now(), Billed: quantity, MemoryMB: 1024,
		})
	}
	count("storm", 2*time.Hour)
	for i := range maxFlows + 10 {
		count(fmt.Sprint("f", i), time.Millisecond)
	}
	if s := w.gate.Storms(account1); len(s) != 1 || s[0].Function != "storm" {
		t.Errorf("the storms are %v", s)
	}
	if n := len(w.gate.tenant(account1).flows); n > maxFlows {
		t.Errorf("%d functions are watched", n)
	}
}
