package billing

import (
	"math/bits"
	"strconv"
	"strings"
)

// Decimal returns n ÷ per as a decimal of at most so many places, rounded half
// up, with no more than it needs; n is not negative, per at least 1.
func Decimal(n, per int64, places int) string {
	whole, rest := uint64(n)/uint64(per), uint64(n)%uint64(per)
	digits := make([]byte, places)
	for i := range digits {
		hi, lo := bits.Mul64(rest, 10)
		var q uint64
		q, rest = bits.Div64(hi, lo, uint64(per))
		digits[i] = '0' + byte(q)
	}
	if rest >= uint64(per)-rest { // half or more is left
		whole += carry(digits)
	}
	text := strconv.FormatUint(whole, 10) + "." + string(digits)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// carry adds one to the last of some decimal places, and returns what goes
// beyond the first.
func carry(digits []byte) uint64 {
	for i := len(digits) - 1; i >= 0; i-- {
		if digits[i] < '9' {
			digits[i]++
			return 0
		}
		digits[i] = '0'
	}
	return 1
}
