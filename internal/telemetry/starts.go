package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millicent-run/millicent"
)

// startMetrics counts and times the starts that invocations waited for. Its
// labels are bounded: causes, origins and runtimes are the platform's own.
type startMetrics struct {
	starts *prometheus.CounterVec
	phases *prometheus.HistogramVec
	waits  *prometheus.HistogramVec
}

var startBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}

func newStartMetrics(r *prometheus.Registry) startMetrics {
	m := startMetrics{
		starts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millicent_starts_total",
			Help: "Starts that invocations waited for, by why, from what, and of which runtime.",
		}, []string{"cause", "from", "runtime"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "millicent_start_phase_duration_seconds",
			Help:    "Time of the phases of starts; total is all of them but first_byte.",
			Buckets: startBuckets,
		}, []string{"phase", "cause", "runtime"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "millicent_queue_wait_seconds",
			Help:    "Time that invocations waited for an environment, by what they waited for; those that met an idle one are not in it.",
			Buckets: startBuckets,
		}, []string{"reason"}),
	}
	r.MustRegister(m.starts, m.phases, m.waits)
	return m
}

// observe counts what an invocation waited for.
func (m *startMetrics) observe(inv *millicent.Invocation, res *millicent.Result) {
	if inv.Wait.For != "" {
		m.waits.WithLabelValues(string(inv.Wait.For)).Observe(inv.Wait.Time.Seconds())
	}
	if res == nil || res.Start == nil {
		return
	}
	r := res.Start
	cause := string(r.Cause)
	if cause == "" {
		cause = "unknown"
	}
	m.starts.WithLabelValues(cause, r.From, r.Runtime).Inc()
	for _, phase := range []struct {
		name string
		took time.Duration
	}{
		{"acquire", r.Acquire},
		{"attach", r.Attach},
		{"boot", r.Boot},
		{"init", r.Init},
		{"first_byte", r.FirstByte},
		{"total", r.Total()},
	} {
		m.phases.WithLabelValues(phase.name, cause, r.Runtime).Observe(phase.took.Seconds())
	}
}

// Waits is how many invocations wait for an environment, by what they wait
// for. Its fields are those of the scheduler's Waits, which converts to it.
type Waits struct {
	Launch int // that is in progress
	Lease  int // to end, which will be sooner than a launch
	Slot   int // for a launch, of which enough are in progress
	Room   int // on this machine
}

var queueDesc = prometheus.NewDesc("millicent_queue_length",
	"Invocations that wait for an environment now, by what they wait for.", []string{"reason"}, nil)

// A waitsCollector makes gauges of who waits at each scrape.
type waitsCollector func() Waits

// CountWaits has waits asked at each scrape. Call it once.
func (m *Metrics) CountWaits(waits func() Waits) { m.registry.MustRegister(waitsCollector(waits)) }

// Describe implements prometheus.Collector.
func (c waitsCollector) Describe(descs chan<- *prometheus.Desc) { descs <- queueDesc }

// Collect implements prometheus.Collector.
func (c waitsCollector) Collect(metrics chan<- prometheus.Metric) {
	w := c()
	for reason, n := range map[millicent.WaitReason]int{
		millicent.WaitStart: w.Launch, millicent.WaitBusy: w.Lease, millicent.WaitSlot: w.Slot, millicent.WaitRoom: w.Room,
	} {
		metrics <- prometheus.MustNewConstMetric(queueDesc, prometheus.GaugeValue, float64(n), string(reason))
	}
}
