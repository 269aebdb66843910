package millicent_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

func TestParseAllowance(t *testing.T) {
	for text, want := range map[string]struct {
		amount millicent.Money
		per    millicent.Period
	}{
		"5 cents/day":                  {5 * millicent.Cent, millicent.PerDay},
		"5 cents / day":                {5 * millicent.Cent, millicent.PerDay},
		"0.05":                         {5 * millicent.Cent, millicent.InAll},
		"0.05/hour":                    {5 * millicent.Cent, millicent.PerHour},
		"20 millicents":                {20 * millicent.Millicent, millicent.InAll},
		"1 millicent per month":        {millicent.Millicent, millicent.PerMonth},
		"0.5 cents/total":              {millicent.Cent / 2, millicent.InAll},
		" 1.5 cent per  day ":          {3 * millicent.Cent / 2, millicent.PerDay},
		"0.0000001 millicents per day": {1, millicent.PerDay},
	} {
		amount, per, err := millicent.ParseAllowance(text)
		if err != nil || amount != want.amount || per != want.per {
			t.Errorf("%q: got %v per %v, %v; want %v per %v", text, amount, per, err, want.amount, want.per)
		}
	}
	for text, want := range map[string]string{
		"":                               "not an amount",
		"five cents":                     "not an amount",
		"5 euros":                        `"euros" is no unit of money`,
		"5 cents/week":                   `"week" is no period`,
		"5 cents a day":                  `"cents a day" is no unit`,
		"0.000000000001 cents":           "too many decimal places",
		"5/":                             "no unit of money",
		"99999999999999 cents":           "does not fit",
		"0.00000001 millicents":          "too many decimal places",
		"5 cents/day/day":                "no unit of money",
		"5 " + strings.Repeat("x", 1000): "no unit",
	} {
		if _, _, err := millicent.ParseAllowance(text); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzParseAllowance(f *testing.F) {
	for _, text := range []string{"5 cents/day", "0.05", "20 millicents", "1 per month", "-1", "/", " per "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, per, err := millicent.ParseAllowance(text)
		if err != nil {
			return
		}
		again, perAgain, err := millicent.ParseAllowance(amount.String() + "/" + string(per))
		if err != nil || again != amount || perAgain != per {
			t.Errorf("%q is %v per %v, and that is %v per %v, %v", text, amount, per, again, perAgain, err)
		}
	})
}

// TestPeriodBounds: each time is in its period, periods do not overlap and
// leave no gap, also where clocks are put forward at midnight.
func TestPeriodBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Africa/Cairo", "Pacific/Apia", "Asia/Beirut"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			at := time.Unix(random.Int64N(2_000_000_000), random.Int64N(1e9))
			for _, p := range []millicent.Period{millicent.PerHour, millicent.PerDay, millicent.PerMonth} {
				from, to := p.Bounds(at, zone)
				if from.After(at) || !to.After(at) {
					t.Fatalf("%s of %s: %v to %v does not hold %v", p, name, from, to, at)
				}
				for _, edge := range []time.Time{from, to.Add(-1)} {
					if f, e := p.Bounds(edge, zone); !f.Equal(from) || !e.Equal(to) {
						t.Fatalf("%s of %s: %v is in %v to %v, not in %v to %v", p, name, edge, f, e, from, to)
					}
				}
			}
		}
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	from, to := millicent.PerDay.Bounds(time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC), berlin)
	if to.Sub(from) != 23*time.Hour || !from.Equal(time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("the day of the clock change is %v to %v", from, to)
	}
	if from, to := millicent.InAll.Bounds(from, berlin); !from.IsZero() || !to.IsZero() {
		t.Errorf("in all is %v to %v", from, to)
	}
}

func TestBudgetScopes(t *testing.T) {
	rec := &millicent.UsageRecord{Function: "f", Alias: "live", Key: "K", Tags: map[string]string{"team": "red", "empty": ""}}
	for _, c := range []struct {
		scope  millicent.BudgetScope
		id     string
		covers bool
	}{
		{millicent.BudgetScope{}, "tenant/day", true},
		{millicent.BudgetScope{Function: "f"}, "function/f/day", true},
		{millicent.BudgetScope{Function: "g"}, "function/g/day", false},
		{millicent.BudgetScope{Function: "f", Alias: "live"}, "alias/f:live/day", true},
		{millicent.BudgetScope{Function: "f", Alias: "test"}, "alias/f:test/day", false},
		{millicent.BudgetScope{Tag: "team", Value: "red"}, "tag/team=red/day", true},
		{millicent.BudgetScope{Tag: "team", Value: "blue"}, "tag/team=blue/day", false},
		{millicent.BudgetScope{Tag: "empty"}, "tag/empty=/day", true},
		{millicent.BudgetScope{Tag: "none"}, "tag/none=/day", false},
		{millicent.BudgetScope{Key: "K"}, "key/K/day", true},
		{millicent.BudgetScope{Key: "L"}, "key/L/day", false},
	} {
		b := millicent.Budget{Scope: c.scope, Per: millicent.PerDay}
		if b.ID() != c.id || c.scope.Covers(rec) != c.covers {
			t.Errorf("%+v: ID %s, covers %v; want %s, %v", c.scope, b.ID(), c.scope.Covers(rec), c.id, c.covers)
		}
	}
	b := millicent.Budget{Owner: millicent.OwnedByOperator, Per: millicent.InAll}
	if b.ID() != "operator/tenant/total" {
		t.Errorf("an operator's budget is %s", b.ID())
	}
}

func TestPercent(t *testing.T) {
	b := &millicent.Budget{Amount: 3}
	for amount, want := range map[millicent.Money]int{0: 0, -1: 0, 1: 33, 2: 66, 3: 100, 4: 133} {
		if got := b.Percent(amount); got != want {
			t.Errorf("%d of 3: got %d %%, want %d", amount, got, want)
		}
	}
	b.Amount = millicent.MaxMoney
	if got := b.Percent(millicent.MaxMoney - 1); got != 99 {
		t.Errorf("one less than all is %d %%", got)
	}
}
