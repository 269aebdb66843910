package billing

import (
	"math"
	"time"

	"github.com/millicent-run/millicent"
)

// An Item is something that has a price.
type Item int

// The items of a price book, in the order of an invoice.
const (
	Requests      Item = iota // invocations
	Compute                   // MB-milliseconds of billed handler time
	Init                      // MB-milliseconds of billed Init time
	CPU                       // microseconds of all cores
	Egress                    // bytes
	Provisioned               // MB-milliseconds kept ready
	Storage                   // MB-seconds, rounded half up of a record's byte-seconds
	QueueRequests             // requests to queues

	NumItems = iota
)

// month is the month of storage prices and of machines: 730 hours, as clouds
// count it.
const month = 730 * time.Hour

// measures says of each item how it is called in price books, in which unit it
// is counted, and how many of these the unit has that its price is for. MB and
// GB are 2²⁰ and 2³⁰ bytes.
var measures = [NumItems]struct {
	name    string
	unit    string
	per     int64
	perUnit string
}{
	Requests:      {"request", "requests", 1, "request"},
	Compute:       {"gb_second", "MB-ms", 1024 * 1000, "GB-second"},
	Init:          {"init_gb_second", "MB-ms", 1024 * 1000, "GB-second"},
	CPU:           {"cpu_second", "us", 1e6, "CPU-second"},
	Egress:        {"egress_gb", "bytes", 1 << 30, "GB"},
	Provisioned:   {"provisioned_gb_second", "MB-ms", 1024 * 1000, "GB-second"},
	Storage:       {"storage_gb_month", "MB-s", 1024 * int64(month/time.Second), "GB-month"},
	QueueRequests: {"queue_request", "requests", 1, "request"},
}

// String returns the item's name, as in price books: "gb_second".
func (i Item) String() string { return measures[i].name }

// Unit returns the unit in which the item is counted.
func (i Item) Unit() string { return measures[i].unit }

// Per returns how many of Unit the item's price is for, and what so many are
// called: 1,024,000 MB-ms are a GB-second.
func (i Item) Per() (int64, string) { return measures[i].per, measures[i].perUnit }

// Quantities are how much of each item was used. Those of many records add up
// exactly, in any order; a sum that an int64 cannot hold stays at its most.
type Quantities [NumItems]int64

// Add adds o to q.
func (q *Quantities) Add(o Quantities) {
	for i := range q {
		q[i] = addUp(q[i], o[i])
	}
}

// addUp returns a + b, for numbers that are not negative.
func addUp(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// multiply returns a × b, for numbers that are not negative.
func multiply(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

// mbPerCore is the memory that comes with one core.
const mbPerCore = 1769

// Measure returns the quantities of a record. What the platform measured and
// the configuration rules out counts as what the configuration allows: no
// function pays for more CPU than its memory size gives it, or one core, while
// it was billed. Negative measurements count as none.
func Measure(rec *millicent.UsageRecord) Quantities {
	var q Quantities
	switch rec.Kind {
	case millicent.UsageInvocation:
		billed, init := ceilMs(rec.Billed), ceilMs(rec.Init)
		billed -= max(0, init-ceilMs(MostInit)) // of an Init that ended just in time
		init = max(0, min(billed, init, ceilMs(MostInit)))
		memory := atLeast0(rec.MemoryMB)
		q[Requests] = 1
		q[Init] = multiply(init, memory)
		q[Compute] = multiply(max(0, billed-init), memory)
		q[CPU] = min(max(0, rec.CPU.Microseconds()), mostCPU(billed, memory))
		q[Egress] = max(0, rec.Egress)
	case millicent.UsageProvisioned:
		q[Provisioned] = max(0, rec.Quantity)
	case millicent.UsageStorage:
		const mb = 1 << 20
		q[Storage] = addUp(max(0, rec.Quantity), mb/2) / mb
	case millicent.UsageQueue:
		q[QueueRequests] = max(0, rec.Quantity)
	}
	return q
}

func atLeast0(n int) int64 { return max(0, int64(n)) }

// ceilMs returns the milliseconds of d, rounded up; 0 for a negative d.
func ceilMs(d time.Duration) int64 {
	return max(0, int64((d+time.Millisecond-1)/time.Millisecond))
}

// mostCPU returns the microseconds of CPU that a memory size gives in so many
// milliseconds.
func mostCPU(ms, memoryMB int64) int64 {
	return multiply(multiply(ms, 1000), max(memoryMB, mbPerCore)) / mbPerCore
}
