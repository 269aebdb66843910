package millicent_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/millicent-run/millicent"
)

func TestMoneyText(t *testing.T) {
	for text, want := range map[string]millicent.Money{
		"0":                     0,
		"0.0000002":             200_000,
		"0.0000166667":          16_666_700,
		"1":                     millicent.Unit,
		"-1.5":                  -millicent.Unit - 50*millicent.Cent,
		"9223372.036854775807":  millicent.MaxMoney,
		"0.000000000001":        1,
		"-0.000000000001":       -1,
		"-9223372.036854775807": -millicent.MaxMoney,
	} {
		got, err := millicent.ParseMoney(text)
		if err != nil || got != want {
			t.Errorf("ParseMoney(%q) = %d, %v; want %d", text, got, err, want)
		}
		if got := want.String(); got != text {
			t.Errorf("String of %d = %q, want %q", want, got, text)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "1e3", "+1", "--1", "1,5", "0.0000000000001", "9223372.036854775808", " 1", "1_000"} {
		if got, err := millicent.ParseMoney(text); err == nil {
			t.Errorf("ParseMoney(%q) = %d, want an error", text, got)
		}
	}
}

func TestMillicents(t *testing.T) {
	for m, want := range map[millicent.Money]string{
		0: "0", millicent.Millicent: "1", millicent.Cent: "1000", millicent.Millicent/2 - 1: "0",
		millicent.Millicent / 2: "1", -millicent.Millicent / 2: "-1", millicent.MaxMoney: "922337203685",
	} {
		if got := m.Millicents(); got != want {
			t.Errorf("Millicents of %v = %s, want %s", m, got, want)
		}
	}
}

// TestMoneyArithmetic holds the integer arithmetic against that of math/big.
func TestMoneyArithmetic(t *testing.T) {
	most := big.NewInt(math.MaxInt64)
	number := func() int64 { return rand.Int64() >> rand.IntN(63) }
	for range 10_000 {
		m, n, q, per := number(), number(), number(), max(number(), 1)
		sum := new(big.Int).Add(big.NewInt(m), big.NewInt(n))
		if sum.Cmp(most) > 0 {
			sum = most
		}
		if got := millicent.Money(m).Add(millicent.Money(n)); int64(got) != sum.Int64() {
			t.Fatalf("%d + %d = %d, want %v", m, n, got, sum)
		}
		if got := millicent.Money(-m).Add(millicent.Money(-n)); int64(got) != -sum.Int64() {
			t.Fatalf("-%d - %d = %d, want -%v", m, n, got, sum)
		}
		product := new(big.Int).Mul(big.NewInt(m), big.NewInt(q))
		product.Add(product, big.NewInt(per/2)).Div(product, big.NewInt(per))
		if product.Cmp(most) > 0 {
			product = most
		}
		if got := millicent.Money(m).Times(q, per); int64(got) != product.Int64() {
			t.Fatalf("%d × %d / %d = %d, want %v", m, q, per, got, product)
		}
	}
}

func FuzzParseMoney(f *testing.F) {
	f.Add("0.0000166667")
	f.Add("-9223372.036854775807")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := millicent.ParseMoney(text)
		if err != nil {
			return
		}
		again, err := millicent.ParseMoney(m.String())
		if err != nil || again != m {
			t.Errorf("%q is %d; as %q it is %d, %v", text, m, m.String(), again, err)
		}
	})
}
