package async

import (
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

func TestDecide(t *testing.T) {
	standard := terms{2, 6 * time.Hour}
	for _, c := range []struct {
		name    string
		outcome outcome
		p       queue.Progress
		age     time.Duration
		terms   terms
		want    verdict
	}{
		{"success", succeeded, queue.Progress{}, 0, standard, verdict{conditionSuccess, 0, queue.Progress{Attempts: 1}}},
		{"success at the third attempt", succeeded, queue.Progress{Attempts: 2}, 4 * time.Minute, standard, verdict{conditionSuccess, 0, queue.Progress{Attempts: 3}}},
		{"success that came late", succeeded, queue.Progress{}, 7 * time.Hour, standard, verdict{conditionSuccess, 0, queue.Progress{Attempts: 1}}},
		{"first failure", failed, queue.Progress{}, time.Second, standard, verdict{"", time.Minute, queue.Progress{Attempts: 1}}},
		{"failure after throttles", failed, queue.Progress{Throttles: 7}, time.Second, standard, verdict{"", time.Minute, queue.Progress{Attempts: 1}}},
		{"second failure", failed, queue.Progress{Attempts: 1}, time.Minute, standard, verdict{"", 2 * time.Minute, queue.Progress{Attempts: 2}}},
		{"third failure", failed, queue.Progress{Attempts: 2}, 4 * time.Minute, standard, verdict{conditionExhausted, 0, queue.Progress{Attempts: 3}}},
		{"no retries", failed, queue.Progress{}, 0, terms{0, time.Hour}, verdict{conditionExhausted, 0, queue.Progress{Attempts: 1}}},
		{"retries that have become fewer", failed, queue.Progress{Attempts: 2}, 0, terms{1, time.Hour}, verdict{conditionExhausted, 0, queue.Progress{Attempts: 3}}},
		{"exhausted goes before too old", failed, queue.Progress{}, 2 * time.Hour, terms{0, time.Hour}, verdict{conditionExhausted, 0, queue.Progress{Attempts: 1}}},
		{"no time for a retry", failed, queue.Progress{}, time.Second, terms{2, time.Minute}, verdict{conditionAge, 0, queue.Progress{Attempts: 1}}},
		{"just time for a retry", failed, queue.Progress{}, 0, terms{2, time.Minute}, verdict{"", time.Minute, queue.Progress{Attempts: 1}}},
		{"throttle", refused, queue.Progress{Attempts: 1}, 0, standard, verdict{"", time.Second, queue.Progress{Attempts: 1, Throttles: 1}}},
		{"fourth throttle", refused, queue.Progress{Throttles: 3}, 0, standard, verdict{"", 8 * time.Second, queue.Progress{Throttles: 4}}},
		{"hundredth throttle", refused, queue.Progress{Throttles: 99}, time.Hour, standard, verdict{"", 5 * time.Minute, queue.Progress{Throttles: 100}}},
		{"last throttle", refused, queue.Progress{Throttles: 99}, 6*time.Hour - time.Second, standard, verdict{"", time.Second, queue.Progress{Throttles: 100}}},
		{"throttled for too long", refused, queue.Progress{Throttles: 99}, 6 * time.Hour, standard, verdict{conditionAge, 0, queue.Progress{Throttles: 99}}},
		{"off", off, queue.Progress{}, 0, standard, verdict{conditionOff, 0, queue.Progress{}}},
		{"off for long", off, queue.Progress{Attempts: 1}, 9 * time.Hour, standard, verdict{conditionOff, 0, queue.Progress{Attempts: 1}}},
		{"loop", looped, queue.Progress{}, 0, standard, verdict{conditionLoop, 0, queue.Progress{}}},
		{"no such version", missing, queue.Progress{}, 0, standard, verdict{conditionMissing, 0, queue.Progress{}}},
		{"refused by a budget for good", unaffordable, queue.Progress{Attempts: 1}, 0, standard, verdict{conditionBudget, 0, queue.Progress{Attempts: 1}}},
		{"too old", tooOld, queue.Progress{}, 7 * time.Hour, standard, verdict{conditionAge, 0, queue.Progress{}}},
		{"update", changing, queue.Progress{Attempts: 1, Throttles: 2}, 0, standard, verdict{"", changePause, queue.Progress{Attempts: 1, Throttles: 2}}},
		{"nothing runs", unavailable, queue.Progress{Attempts: 1}, 0, standard, verdict{"", serverPause, queue.Progress{Attempts: 1}}},
		{"stop", stopping, queue.Progress{Attempts: 1, Throttles: 2}, 0, standard, verdict{"", 0, queue.Progress{Attempts: 1, Throttles: 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := decide(c.outcome, c.p, c.age, c.terms); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTerms(t *testing.T) {
	zero := 0
	for _, c := range []struct {
		config *millicent.EventConfig
		want   terms
	}{
		{nil, terms{2, 6 * time.Hour}},
		{&millicent.EventConfig{}, terms{2, 6 * time.Hour}},
		{&millicent.EventConfig{Retries: &zero, MaxAge: time.Minute}, terms{0, time.Minute}},
	} {
		if got := termsOf(c.config); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.config, got, c.want)
		}
	}
}
