package millicent

import (
	"fmt"
	"math/big"
	"math/bits"
)

// A MoneySum is what amounts of [Money] add up to, of however many and in any
// order: 128 bits, where those of Money end at 9.2 million units. Sums of the
// same amount are ==. The zero value is nothing.
type MoneySum struct {
	hi int64 // in 2⁶⁴ of Money
	lo uint64
}

// Sum returns m as a sum.
func (m Money) Sum() MoneySum { return MoneySum{int64(m) >> 63, uint64(m)} }

// Add returns s + n.
func (s MoneySum) Add(n MoneySum) MoneySum {
	lo, carry := bits.Add64(s.lo, n.lo, 0)
	return MoneySum{s.hi + n.hi + int64(carry), lo}
}

// Sub returns s - n.
func (s MoneySum) Sub(n MoneySum) MoneySum {
	lo, borrow := bits.Sub64(s.lo, n.lo, 0)
	return MoneySum{s.hi - n.hi - int64(borrow), lo}
}

// Neg returns -s.
func (s MoneySum) Neg() MoneySum { return MoneySum{}.Sub(s) }

// Compare returns -1, 0 or 1 as s is less than n, the same, or more.
func (s MoneySum) Compare(n MoneySum) int {
	switch {
	case s == n:
		return 0
	case s.hi < n.hi || s.hi == n.hi && s.lo < n.lo:
		return -1
	}
	return 1
}

// Equal reports whether s and n are the same, as == does.
func (s MoneySum) Equal(n MoneySum) bool { return s == n }

// Sign returns -1, 0 or 1 as s is negative, nothing, or more.
func (s MoneySum) Sign() int { return s.Compare(MoneySum{}) }

// Money returns the amount that is nearest to s: MaxMoney for what is more.
func (s MoneySum) Money() Money {
	m := Money(s.lo)
	switch {
	case m.Sum() == s && m >= -MaxMoney:
		return m
	case s.hi < 0:
		return -MaxMoney
	}
	return MaxMoney
}

// Split returns s, from 0 to below 2⁶³⁺ⁿ, as high × 2ⁿ + low, for n below 63:
// what sums of integers are kept as where those have 64 bits.
func (s MoneySum) Split(n uint) (high, low int64) {
	return int64(uint64(s.hi)<<(64-n) | s.lo>>n), int64(s.lo & (1<<n - 1))
}

// JoinMoney is the inverse of Split, for parts that are not negative, of which
// low may have grown beyond 2ⁿ.
func JoinMoney(high, low int64, n uint) MoneySum {
	return MoneySum{high >> (64 - n), uint64(high) << n}.Add(Money(low).Sum())
}

// Of returns what a quantity costs, with m as the price of so many: m ×
// quantity ÷ per, rounded half up, for what is not negative; per is at least 1.
func (m Money) Of(quantity, per int64) MoneySum {
	if m <= 0 || quantity <= 0 {
		return MoneySum{}
	}
	hi, lo := bits.Mul64(uint64(m), uint64(quantity))
	lo, carry := bits.Add64(lo, uint64(per)/2, 0)
	hi += carry
	upper, rest := hi/uint64(per), hi%uint64(per)
	lower, _ := bits.Div64(rest, lo, uint64(per))
	return MoneySum{int64(upper), lower}
}

func (s MoneySum) big() *big.Int {
	n := big.NewInt(s.hi)
	return n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(s.lo))
}

// Float returns s in 10⁻¹² of the currency's unit, as exact as a float is.
func (s MoneySum) Float() float64 {
	f, _ := new(big.Float).SetInt(s.big()).Float64()
	return f
}

// String returns the exact amount in the currency's unit, as that of Money
// does.
func (s MoneySum) String() string {
	n := s.big()
	sign := ""
	if n.Sign() < 0 {
		sign = "-"
		n.Neg(n)
	}
	whole, rest := n.QuoRem(n, big.NewInt(int64(Unit)), new(big.Int))
	return sign + decimal(fmt.Sprintf("%d.%012d", whole, rest))
}

// MarshalText implements encoding.TextMarshaler, as Money does.
func (s MoneySum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Like ParseMoney it rounds
// nothing.
func (s *MoneySum) UnmarshalText(text []byte) error {
	digits, err := moneyDigitsOf(string(text))
	if err != nil {
		return err
	}
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok || n.BitLen() > 126 {
		return fmt.Errorf("%.64q does not fit", text)
	}
	lo := new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1)) // of two's complement
	*s = MoneySum{new(big.Int).Rsh(n, 64).Int64(), lo.Uint64()}
	return nil
}
