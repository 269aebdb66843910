package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millicent-run/millicent"
)

// EventMetrics counts what becomes of Event invocations. It satisfies
// async.Observer.
type EventMetrics struct {
	received   prometheus.Counter
	ended      *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	age        prometheus.Histogram
}

// Events returns the metrics of Event invocations. Call it once.
func (m *Metrics) Events() *EventMetrics {
	e := &EventMetrics{
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millicent_async_received_total",
			Help: "Event invocations that were accepted.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millicent_async_outcomes_total",
			Help: "Ends of Event invocations by condition, and attempts that were put off (Retry, Throttle).",
		}, []string{"condition"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millicent_async_deliveries_total",
			Help: "Records of Event invocations sent to destinations, by kind and result.",
		}, []string{"kind", "result"}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "millicent_async_event_age_seconds",
			Help:    "Age of Event invocations at their ends, and when attempts were put off.",
			Buckets: []float64{.005, .01, .025, .1, .5, 1, 5, 30, 120, 600, 3600, 21600},
		}),
	}
	m.registry.MustRegister(e.received, e.ended, e.deliveries, e.age)
	return e
}

// EventReceived counts an event that was accepted.
func (e *EventMetrics) EventReceived() { e.received.Inc() }

// EventEnded counts an end, or an attempt that was put off.
func (e *EventMetrics) EventEnded(condition string, age time.Duration) {
	e.ended.WithLabelValues(condition).Inc()
	e.age.Observe(age.Seconds())
}

// EventDelivered counts a record that was sent, or could not be.
func (e *EventMetrics) EventDelivered(to millicent.DestinationKind, ok bool) {
	result := "success"
	if !ok {
		result = "failure"
	}
	e.deliveries.WithLabelValues(string(to), result).Inc()
}
