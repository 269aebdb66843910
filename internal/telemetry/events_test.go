package telemetry

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

func TestEventMetrics(t *testing.T) {
	m := NewMetrics(nil)
	e := m.Events()
	e.EventReceived()
	e.EventReceived()
	e.EventEnded("Success", 20*time.Millisecond)
	e.EventEnded("Retry", time.Minute)
	e.EventDelivered(millicent.ToWebhook, false)
	e.EventDelivered(millicent.ToQueue, true)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"millicent_async_received_total 2\n",
		`millicent_async_outcomes_total{condition="Success"} 1`,
		`millicent_async_outcomes_total{condition="Retry"} 1`,
		`millicent_async_deliveries_total{kind="webhook",result="failure"} 1`,
		`millicent_async_deliveries_total{kind="queue",result="success"} 1`,
		`millicent_async_event_age_seconds_bucket{le="0.025"} 1`,
		"millicent_async_event_age_seconds_count 2\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing", want)
		}
	}
}
