package millicent_test

import (
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/millicent-run/millicent"
)

// bigSum returns a sum as a big.Int, by its text.
func bigSum(t *testing.T, s millicent.MoneySum) *big.Int {
	t.Helper()
	r, ok := new(big.Rat).SetString(s.String())
	if !ok {
		t.Fatalf("%q is no number", s)
	}
	r.Mul(r, new(big.Rat).SetInt64(int64(millicent.Unit)))
	if !r.IsInt() {
		t.Fatalf("%q has too many decimal places", s)
	}
	return r.Num()
}

// TestMoneySum holds sums of any size against those of math/big.
func TestMoneySum(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	number := func() millicent.Money { return millicent.Money((r.Int64() >> r.IntN(63)) * (1 - 2*r.Int64N(2))) }
	for range 300 {
		var sum millicent.MoneySum
		want := new(big.Int)
		for range 1 + r.IntN(100) {
			m := number()
			if r.IntN(2) == 0 {
				sum, want = sum.Add(m.Sum()), want.Add(want, big.NewInt(int64(m)))
			} else {
				sum, want = sum.Sub(m.Sum()), want.Sub(want, big.NewInt(int64(m)))
			}
			if got := bigSum(t, sum); got.Cmp(want) != 0 {
				t.Fatalf("got %v, want %v", got, want)
			}
			if got := bigSum(t, sum.Neg()); got.Neg(got).Cmp(want) != 0 || sum.Sign() != want.Sign() {
				t.Fatalf("of %v: %v, sign %d", want, got, sum.Sign())
			}
			if got := sum.Compare(m.Sum()); got != want.Cmp(big.NewInt(int64(m))) {
				t.Fatalf("%v and %v: %d", want, m, got)
			}
			nearest := want
			for _, bound := range []millicent.Money{millicent.MaxMoney, -millicent.MaxMoney} {
				if b := big.NewInt(int64(bound)); want.CmpAbs(b) > 0 && want.Sign() == b.Sign() {
					nearest = b
				}
			}
			if got := sum.Money(); int64(got) != nearest.Int64() {
				t.Fatalf("%v is %d, want %v", want, got, nearest)
			}
		}
		text, err := json.Marshal(sum)
		var again millicent.MoneySum
		if err := json.Unmarshal(text, &again); err != nil || again != sum {
			t.Fatalf("%s is %v, %v", text, again, err)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMoneySumParts: what was split adds up, also when the parts of many were
// added up first.
func TestMoneySumParts(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 2))
	for range 1000 {
		n := uint(30 + r.IntN(10))
		var want millicent.MoneySum
		var high, low int64
		for range 1 + r.IntN(50) {
			s := millicent.Money(r.Int64()>>r.IntN(63)).Of(r.Int64()>>r.IntN(63), 1<<40)
			h, l := s.Split(n)
			if got := millicent.JoinMoney(h, l, n); got != s || l >= 1<<n {
				t.Fatalf("%v is %d and %d, which are %v", s, h, l, got)
			}
			want, high, low = want.Add(s), high+h, low+l
		}
		if got := millicent.JoinMoney(high, low, n); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// TestMoneyOf holds prices of quantities against math/big.
func TestMoneyOf(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 3))
	number := func() int64 { return r.Int64() >> r.IntN(63) }
	for range 10_000 {
		m, q, per := number(), number(), max(number(), 1)
		want := new(big.Int).Mul(big.NewInt(m), big.NewInt(q))
		want.Add(want, big.NewInt(per/2)).Div(want, big.NewInt(per))
		if got := bigSum(t, millicent.Money(m).Of(q, per)); got.Cmp(want) != 0 {
			t.Fatalf("%d × %d ÷ %d = %v, want %v", m, q, per, got, want)
		}
	}
}

func FuzzMoneySumText(f *testing.F) {
	f.Add("-92233720368547758079.854775807")
	f.Fuzz(func(t *testing.T, text string) {
		var s, again millicent.MoneySum
		if err := s.UnmarshalText([]byte(text)); err != nil {
			return
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q is %v; that is %v, %v", text, s, again, err)
		}
	})
}
