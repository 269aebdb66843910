package meter

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millicent-run/millicent"
)

// maxSeries bounds how many functions have series of their own; those beyond
// share otherFunctions, which is no function's name.
const (
	maxSeries      = 2000
	otherFunctions = "(other)"
)

// A series is what a function's series are of.
type series struct{ tenant, function string }

// An invoked is the sums of records of invocations, whole numbers in the ledger's
// own units.
type invoked struct {
	invocations, billed, memory, cpu, in, out, egress int64
}

func (s *invoked) add(o *invoked) {
	s.invocations += o.invocations
	s.billed += o.billed
	s.memory += o.memory
	s.cpu += o.cpu
	s.in, s.out, s.egress = s.in+o.in, s.out+o.out, s.egress+o.egress
}

// sums are of some records: of invocations by series, of other kinds how much it
// was of each. The zero value is that of none.
type sums struct {
	of       map[series]*invoked
	quantity map[millicent.UsageKind]int64

	latest series // of the record before: mostly that of the next
	there  *invoked
}

// add adds a record.
func (s *sums) add(r *millicent.UsageRecord) {
	if r.Kind != millicent.UsageInvocation {
		if s.quantity == nil {
			s.quantity = map[millicent.UsageKind]int64{}
		}
		s.quantity[r.Kind] += r.Quantity
		return
	}
	if s.there == nil || r.Function != s.latest.function || r.Tenant != s.latest.tenant {
		if s.of == nil {
			s.of = map[series]*invoked{}
		}
		s.latest = series{r.Tenant, r.Function}
		if s.there = s.of[s.latest]; s.there == nil {
			s.there = &invoked{}
			s.of[s.latest] = s.there
		}
	}
	billed := r.Billed.Milliseconds()
	s.there.add(&invoked{
		invocations: 1, billed: billed, memory: billed * int64(r.MemoryMB), cpu: r.CPU.Microseconds(),
		in: r.In, out: r.Out, egress: r.Egress,
	})
}

// totals are the sums of what this Meter has brought into the ledger. The zero
// value is ready.
type totals struct {
	mu       sync.Mutex
	of       map[series]*invoked
	quantity map[millicent.UsageKind]int64 // of records of other kinds
}

// add adds the sums of records that are in the ledger.
func (t *totals) add(s *sums) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of, t.quantity = map[series]*invoked{}, map[millicent.UsageKind]int64{}
	}
	for key, some := range s.of {
		t.series(key).add(some)
	}
	for kind, n := range s.quantity {
		t.quantity[kind] += n
	}
}

// series returns the sums of a function, or of those that share them. The lock is
// held.
func (t *totals) series(key series) *invoked {
	s := t.of[key]
	if s == nil && len(t.of) >= maxSeries {
		key = series{function: otherFunctions}
		s = t.of[key]
	}
	if s == nil {
		s = &invoked{}
		t.of[key] = s
	}
	return s
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("millicent_usage_"+name, help+" What is in the ledger, to the unit, since the server started.", labels, nil)
}

var (
	invocationsDesc = describe("invocations_total", "Invocations that are billed.", "tenant", "function")
	billedDesc      = describe("billed_milliseconds_total", "Billed time.", "tenant", "function")
	memoryDesc      = describe("megabyte_milliseconds_total", "Billed time by configured memory.", "tenant", "function")
	cpuDesc         = describe("cpu_microseconds_total", "Processor time.", "tenant", "function")
	bytesDesc       = describe("bytes_total", "Bytes of events (in), of answers (out), and to elsewhere (egress).", "tenant", "function", "direction")
	quantityDesc    = describe("other_quantity_total", "Usage other than invocations, in the unit of its kind.", "kind")
	recordsDesc     = prometheus.NewDesc("millicent_usage_records", "Records in the ledger.", nil, nil)
	backlogDesc     = prometheus.NewDesc("millicent_usage_backlog_bytes", "Records in the journal that the ledger has not taken yet.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *Meter) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		invocationsDesc, billedDesc, memoryDesc, cpuDesc, bytesDesc, quantityDesc, recordsDesc, backlogDesc,
	} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Meter) Collect(metrics chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	t := &m.totals
	t.mu.Lock()
	for key, s := range t.of {
		counter(invocationsDesc, s.invocations, key.tenant, key.function)
		counter(billedDesc, s.billed, key.tenant, key.function)
		counter(memoryDesc, s.memory, key.tenant, key.function)
		counter(cpuDesc, s.cpu, key.tenant, key.function)
		counter(bytesDesc, s.in, key.tenant, key.function, "in")
		counter(bytesDesc, s.out, key.tenant, key.function, "out")
		counter(bytesDesc, s.egress, key.tenant, key.function, "egress")
	}
	for kind, n := range t.quantity {
		counter(quantityDesc, n, string(kind))
	}
	t.mu.Unlock()
	m.mu.Lock()
	records, backlog := m.head.Records, m.backlog
	m.mu.Unlock()
	metrics <- prometheus.MustNewConstMetric(recordsDesc, prometheus.GaugeValue, float64(records))
	metrics <- prometheus.MustNewConstMetric(backlogDesc, prometheus.GaugeValue, float64(backlog))
}
