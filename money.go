package millicent

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Money is an amount in 10⁻¹² of a currency's unit: a millicent is 10,000,000
// of it. What an int64 holds is 9.2 million units; what would be more saturates
// at [MaxMoney], so that no sum turns negative and no cap is passed by it. What
// many of them add up to is a [MoneySum].
type Money int64

// Amounts of a currency's unit.
const (
	Millicent Money = 10_000_000
	Cent            = 1000 * Millicent
	Unit            = 100 * Cent

	MaxMoney Money = math.MaxInt64
)

// moneyDigits is how many decimal places Money has; amounts with more digits
// before them than maxMoneyDigits are not read.
const (
	moneyDigits    = 12
	maxMoneyDigits = 40
)

// Add returns m + n, or what is nearest to it.
func (m Money) Add(n Money) Money {
	sum := m + n
	switch {
	case m > 0 && n > 0 && sum < 0:
		return MaxMoney
	case m < 0 && n < 0 && sum >= 0:
		return -MaxMoney
	}
	return sum
}

// Times returns m × quantity ÷ per, rounded half up, for amounts and quantities
// that are not negative; per is at least 1. What does not fit is MaxMoney.
func (m Money) Times(quantity, per int64) Money { return m.Of(quantity, per).Money() }

// String returns the exact amount in the currency's unit, with no more decimal
// places than it needs: "0.0000002".
func (m Money) String() string {
	sign := ""
	n := uint64(m)
	if m < 0 {
		sign, n = "-", -n
	}
	return sign + decimal(fmt.Sprintf("%d.%012d", n/uint64(Unit), n%uint64(Unit)))
}

// decimal returns a decimal fraction without what it does not need.
func decimal(text string) string { return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") }

// Millicents returns the amount for people: in millicents, rounded half away
// from zero, without decimal places.
func (m Money) Millicents() string {
	half := Millicent / 2
	if m < 0 {
		half = -half
	}
	return strconv.FormatInt(int64(m.Add(half)/Millicent), 10)
}

var errMoney = errors.New("not an amount: want digits with at most 12 decimal places, such as 0.0000166667")

// ParseMoney reads an amount in the currency's unit, as String writes it. It
// rounds nothing: what has too many decimal places or does not fit is an error.
func ParseMoney(text string) (Money, error) {
	digits, err := moneyDigitsOf(text)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || Money(n) < -MaxMoney {
		return 0, fmt.Errorf("%.64q does not fit: the most is %v", text, MaxMoney)
	}
	return Money(n), nil
}

// moneyDigitsOf returns an amount's digits in 10⁻¹² of the unit, with its sign.
func moneyDigitsOf(text string) (string, error) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || len(fraction) > moneyDigits || len(whole) > maxMoneyDigits || !isDigits(whole+fraction) {
		return "", fmt.Errorf("%.64q is %w", text, errMoney)
	}
	digits = whole + fraction + strings.Repeat("0", moneyDigits-len(fraction))
	if negative {
		digits = "-" + digits
	}
	return digits, nil
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// MarshalText implements encoding.TextMarshaler: JSON has amounts as strings,
// since its numbers are floats to many readers.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Money) UnmarshalText(text []byte) error {
	n, err := ParseMoney(string(text))
	if err != nil {
		return err
	}
	*m = n
	return nil
}
