package process

import (
	"testing"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/egress"
)

// What an invocation sent is paid for at its end, if its budgets have to; whoever
// was asked before is not asked any more.
func TestSentBytesArePaidFor(t *testing.T) {
	u := &uplink{traffic: new(egress.Traffic)}
	asked := int64(0)
	pay := func(n int64) bool { asked += n; return asked <= 1500 }
	for _, c := range []struct {
		name        string
		pay         func(int64) bool
		sends, asks int64
	}{
		{"without a budget", nil, 10, 0},
		{"with one", pay, 1000, 1000},
		{"with nothing sent", pay, 0, 0},
		{"with too little left", pay, 1000, 1000}, // it was sent: in Init, say
		{"without a budget again", nil, 1000, 0},
	} {
		u.invoking(&millicent.Invocation{ID: c.name, Pay: c.pay})
		before, told := u.sent(), asked
		u.traffic.Sent.Add(c.sends)
		if got := u.paid(before) - before; got != c.sends || asked-told != c.asks {
			t.Errorf("%s: %d bytes are told of, %d asked for; want %d, %d", c.name, got, asked-told, c.sends, c.asks)
		}
	}
}
