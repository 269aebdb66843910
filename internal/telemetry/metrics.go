package telemetry

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/millicent-run/millicent"
)

// maxFunctionLabels bounds how many functions have series of their own; the
// others share otherFunctions, which is no function's name.
const (
	maxFunctionLabels = 2000
	otherFunctions    = "(other)"
)

// What becomes of invocations that no function saw to their end, as label
// values beside those of millicent.Outcome.
const (
	outcomeThrottled     = "throttled"
	outcomeLoop          = "recursive_loop"
	outcomePlatformError = "platform_error"
)

// Metrics counts what the platform does, for Prometheus. It is safe for
// concurrent use.
type Metrics struct {
	registry    *prometheus.Registry
	invocations *prometheus.CounterVec
	throttles   *prometheus.CounterVec
	coldStarts  *prometheus.CounterVec
	warmStarts  *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	init        *prometheus.HistogramVec
	starts      startMetrics

	mu     sync.RWMutex
	labels map[string]struct{} // functions that have their own
	usual  map[string]*usual   // of functions that have their own
}

// usual is what most invocations count: those that met an environment that was
// there, and succeeded. To look it up anew took longer than to count.
type usual struct {
	invocations, warmStarts prometheus.Counter
	duration                prometheus.Observer
}

// NewMetrics returns Metrics that ask load, which may be nil, at each scrape.
func NewMetrics(load func() Load) *Metrics {
	function := []string{"function"}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		invocations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millicent_invocations_total",
			Help: "Invocations by function and outcome.",
		}, []string{"function", "outcome"}),
		throttles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millicent_throttles_total",
			Help: "Throttled invocations by function and reason.",
		}, []string{"function", "reason"}),
		coldStarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millicent_cold_starts_total",
			Help: "Invocations that started their environment.",
		}, function),
		warmStarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millicent_warm_starts_total",
			Help: "Invocations that met an environment that was there.",
		}, function),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "millicent_invocation_duration_seconds",
			Help:    "Time from handing over the event to the result.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .1, .25, 1, 5, 30, 300},
		}, function),
		init: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "millicent_init_duration_seconds",
			Help:    "Time of the Init phase that an invocation waited for.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, function),
		labels: make(map[string]struct{}),
		usual:  make(map[string]*usual),
	}
	m.registry.MustRegister(m.invocations, m.throttles, m.coldStarts, m.warmStarts, m.duration, m.init,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.starts = newStartMetrics(m.registry)
	if load != nil {
		m.registry.MustRegister(loadCollector(load))
	}
	return m
}

// Invoked counts an invocation at its end; res is nil when the platform
// refused or failed, and err then says why. It satisfies invoke.Observer.
func (m *Metrics) Invoked(inv *millicent.Invocation, res *millicent.Result, err error) {
	m.starts.observe(inv, res)
	if res != nil && !res.Usage.Cold && res.Outcome() == millicent.OutcomeSuccess {
		u := m.usually(inv.Function)
		u.invocations.Inc()
		u.duration.Observe(res.Usage.Duration.Seconds())
		u.warmStarts.Inc()
		return
	}
	function := m.label(inv.Function)
	m.invocations.WithLabelValues(function, outcome(res, err)).Inc()
	if res == nil {
		if reason, ok := throttle(err); ok {
			m.throttles.WithLabelValues(function, reason).Inc()
		}
		return
	}
	m.duration.WithLabelValues(function).Observe(res.Usage.Duration.Seconds())
	if !res.Usage.Cold {
		m.warmStarts.WithLabelValues(function).Inc()
		return
	}
	m.coldStarts.WithLabelValues(function).Inc()
	m.init.WithLabelValues(function).Observe(res.Usage.Init.Seconds())
}

// usually returns what most invocations of a function count.
func (m *Metrics) usually(function string) *usual {
	m.mu.RLock()
	u := m.usual[function]
	m.mu.RUnlock()
	if u != nil {
		return u
	}
	label := m.label(function)
	u = &usual{
		invocations: m.invocations.WithLabelValues(label, string(millicent.OutcomeSuccess)),
		warmStarts:  m.warmStarts.WithLabelValues(label),
		duration:    m.duration.WithLabelValues(label),
	}
	if label == function {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.usual[strings.Clone(label)] = u
	}
	return u
}

// Also has further metrics told. Call it once for each.
func (m *Metrics) Also(c prometheus.Collector) { m.registry.MustRegister(c) }

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// label returns the label value of a function.
func (m *Metrics) label(function string) string {
	m.mu.RLock()
	_, ok := m.labels[function]
	full := len(m.labels) >= maxFunctionLabels
	m.mu.RUnlock()
	switch {
	case ok:
		return function
	case full:
		return otherFunctions
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.labels) >= maxFunctionLabels {
		return otherFunctions
	}
	m.labels[function] = struct{}{}
	return function
}

// outcome returns how an invocation ended, as a label value.
func outcome(res *millicent.Result, err error) string {
	if res == nil {
		if _, ok := throttle(err); ok {
			return outcomeThrottled
		}
		if millicent.ErrorCode(err) == millicent.CodeRecursive {
			return outcomeLoop
		}
		return outcomePlatformError
	}
	return string(res.Outcome())
}

// throttle returns the reason if err is a throttle.
func throttle(err error) (reason string, ok bool) {
	var e *millicent.Error
	if !errors.As(err, &e) || e.Code != millicent.CodeThrottled {
		return "", false
	}
	switch reason = e.Detail["Reason"]; reason {
	case millicent.ReasonConcurrency, millicent.ReasonReservedConcurrency:
		return reason, true
	}
	return "Other", true
}
