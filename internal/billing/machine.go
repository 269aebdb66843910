package billing

import (
	"math/big"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millicent-run/millicent"
)

// A Machine is hardware of one's own, from which prices follow:
//
//	month   = PerMonth + Watts ÷ 1000 × PUE × 730 h × PerKWh
//	GB·s    = month × MemoryShare ÷ (MemoryGB × 730 h × Utilisation)
//	CPU·s   = month × (1 − MemoryShare) ÷ (Cores × 730 h × Utilisation)
//
// A price is rounded half up once, at the end. The model is that of the total
// cost of ownership in Barroso, Hölzle and Ranganathan, "The Datacenter as a
// Computer" (3rd edition, 2018), chapter 6: what buying and keeping the machine
// costs, spread over the months that it lives, plus energy, which the power
// usage effectiveness (PUE) multiplies; and that idle capacity has to be paid
// for by the part of it that is used. That the cost is split between memory
// and cores by a fixed share is ours: it lets functions pay for memory that
// they hold and for CPU that they use.
type Machine struct {
	PerMonth    millicent.Money // price ÷ months of life, and what keeping it costs
	Watts       int64           // on average
	PUE         int64           // percent: 100 for no losses
	PerKWh      millicent.Money
	MemoryGB    int64
	Cores       int64
	MemoryShare int64 // percent of the cost that memory bears
	Utilisation int64 // percent of memory and cores that is in use on average
}

func (b *Book) readMachine(n *yaml.Node) error {
	m := &Machine{PUE: 100, MemoryShare: 50}
	b.Machine = m
	set := func(to *int64) func(int64) { return func(v int64) { *to = v } }
	return mapping(n, fields{
		"per_month":            amount(&m.PerMonth, 1000*maxPrice),
		"watts":                number(set(&m.Watts), 0, 1e6),
		"pue_percent":          number(set(&m.PUE), 100, 1000),
		"per_kwh":              amount(&m.PerKWh, maxPrice),
		"memory_gb":            number(set(&m.MemoryGB), 1, 1e6),
		"cores":                number(set(&m.Cores), 1, 1e5),
		"memory_share_percent": number(set(&m.MemoryShare), 0, 100),
		"utilisation_percent":  number(set(&m.Utilisation), 1, 100),
	}, "per_month", "watts", "per_kwh", "memory_gb", "cores", "utilisation_percent")
}

// prices returns the prices of a GB-second and of a CPU-second.
func (m *Machine) prices() (gbSecond, cpuSecond millicent.Money) {
	hours, seconds := int64(month/time.Hour), int64(month/time.Second)
	energy := ratio(int64(m.PerKWh), 1000*100)
	for _, factor := range []int64{m.Watts, m.PUE, hours} {
		energy.Mul(energy, ratio(factor, 1))
	}
	cost := energy.Add(energy, ratio(int64(m.PerMonth), 1))
	price := func(share, capacity int64) millicent.Money {
		part := new(big.Rat).Mul(cost, ratio(share, 100))
		part.Quo(part, ratio(capacity, 1))
		part.Quo(part, ratio(seconds, 1))
		return rounded(part.Quo(part, ratio(m.Utilisation, 100)))
	}
	return price(m.MemoryShare, m.MemoryGB), price(100-m.MemoryShare, m.Cores)
}

func ratio(a, b int64) *big.Rat { return big.NewRat(a, b) }

// rounded returns what is nearest to r, half up; at most maxPrice.
func rounded(r *big.Rat) millicent.Money {
	doubled := new(big.Int).Add(new(big.Int).Lsh(r.Num(), 1), r.Denom())
	n := doubled.Quo(doubled, new(big.Int).Lsh(r.Denom(), 1))
	if !n.IsInt64() || millicent.Money(n.Int64()) > maxPrice {
		return maxPrice
	}
	return millicent.Money(n.Int64())
}
