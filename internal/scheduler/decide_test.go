package scheduler

import (
	"slices"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

func TestRefusal(t *testing.T) {
	n := func(n int) *int { return &n }
	tests := []struct {
		name             string
		active           int
		reserved         *int
		unreserved, pool int
		want             string
	}{
		{"first", 0, nil, 0, 10, ""},
		{"last of the pool", 3, nil, 9, 10, ""},
		{"pool used up", 0, nil, 10, 10, millicent.ReasonConcurrency},
		{"everything reserved", 0, nil, 0, 0, millicent.ReasonConcurrency},
		{"more reserved than there is", 0, nil, 0, -5, millicent.ReasonConcurrency},
		{"within the reservation", 1, n(2), 99, 10, ""},
		{"reservation used up", 2, n(2), 0, 10, millicent.ReasonReservedConcurrency},
		{"reservation lowered meanwhile", 5, n(2), 0, 10, millicent.ReasonReservedConcurrency},
		{"reserved zero", 0, n(0), 0, 10, millicent.ReasonReservedConcurrency},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := refusal(tt.active, tt.reserved, tt.unreserved, tt.pool); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	limit := room{4, 1000}
	tests := []struct {
		name                       string
		need, used, closing, ahead room
		idle                       []room
		want                       move
		victims                    int
	}{
		{name: "empty machine", need: room{1, 1000}, want: moveLaunch},
		{name: "fits to the megabyte", need: room{1, 400}, used: room{3, 600}, want: moveLaunch},
		{name: "a megabyte too much", need: room{1, 401}, used: room{3, 600}, want: moveFull},
		{name: "one environment too many", need: room{1, 1}, used: room{4, 4}, want: moveFull},
		{
			name: "the idle need not go when it fits", need: room{1, 400}, used: room{3, 600},
			idle: []room{{1, 200}}, want: moveLaunch,
		},
		{
			name: "evicts one for its place", need: room{1, 1}, used: room{4, 40},
			idle: []room{{1, 10}, {1, 10}}, want: moveEvict, victims: 1,
		},
		{
			name: "evicts as many as it takes", need: room{1, 500}, used: room{3, 900},
			idle: []room{{1, 200}, {1, 200}, {1, 200}}, want: moveEvict, victims: 2,
		},
		{
			name: "evicts none when all would not do", need: room{1, 900}, used: room{3, 900},
			idle: []room{{1, 200}, {1, 200}}, want: moveFull,
		},
		{
			name: "what is closing will do", need: room{1, 100}, used: room{4, 400}, closing: room{1, 100},
			idle: []room{{1, 100}}, want: moveAwait,
		},
		{
			name: "what is closing is promised already", need: room{1, 100}, used: room{4, 400},
			closing: room{1, 100}, ahead: room{1, 100}, idle: []room{{1, 100}}, want: moveEvict, victims: 1,
		},
		{
			name: "does not overtake who waits for more", need: room{1, 100}, used: room{2, 900},
			closing: room{1, 450}, ahead: room{1, 400}, want: moveAwait,
		},
		{
			name: "closing helps but is not enough", need: room{1, 500}, used: room{3, 900},
			closing: room{1, 200}, idle: []room{{1, 200}, {1, 200}}, want: moveEvict, victims: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, victims := place(tt.need, tt.used, limit, tt.closing, tt.ahead, slices.Values(tt.idle))
			if got != tt.want || victims != tt.victims {
				t.Errorf("got %v with %d victims, want %v with %d", got, victims, tt.want, tt.victims)
			}
		})
	}
}

func TestDemand(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name string
		of   demand
		want bool
	}{
		{"nobody waits", demand{busy: 3, start: 100 * ms}, false},
		{"first environment", demand{waiting: 1, start: 100 * ms}, true},
		{"first environment, whatever a lease takes", demand{waiting: 1, lease: ms, start: time.Minute}, true},
		{"one is coming", demand{waiting: 1, launching: 1, waited: time.Hour, start: 100 * ms}, false},
		{"busy for much less than a start", demand{waiting: 5, busy: 1, lease: 10 * ms, start: 100 * ms}, false},
		{"busy for much longer than a start", demand{waiting: 1, busy: 1, lease: time.Second, start: 100 * ms}, true},
		{"many busy for long: one will be free", demand{waiting: 1, busy: 10, lease: time.Second, start: 100 * ms}, false},
		{"a line that is done in twice a start", demand{waiting: 20, busy: 1, lease: 10 * ms, start: 100 * ms}, false},
		{"a line one longer", demand{waiting: 21, busy: 1, lease: 10 * ms, start: 100 * ms}, true},
		{"what is launching serves and goes on", demand{waiting: 31, busy: 1, launching: 1, lease: 10 * ms, start: 100 * ms}, false},
		{"and no more than that", demand{waiting: 32, busy: 1, launching: 1, lease: 10 * ms, start: 100 * ms}, true},
		{"has waited as long as a start", demand{waiting: 1, busy: 9, lease: ms, start: 100 * ms, waited: 100 * ms}, true},
		{"has not quite", demand{waiting: 1, busy: 9, lease: ms, start: 100 * ms, waited: 100*ms - 1}, false},
		{"a line that does not end", demand{waiting: 1, busy: 1, lease: ms, typical: ms, start: 100 * ms, cores: 2, lined: 400 * ms}, true},
		{"that has not lasted so long", demand{waiting: 1, busy: 1, lease: ms, typical: ms, start: 100 * ms, cores: 2, lined: 400*ms - 1}, false},
		{"for which one is coming", demand{waiting: 2, busy: 1, launching: 1, lease: ms, typical: ms, start: 100 * ms, cores: 2, lined: 400 * ms}, false},
		{"brief ones that keep the cores busy", demand{waiting: 5, busy: 3, lease: ms, typical: ms, start: 100 * ms, cores: 2, lined: time.Hour, waited: 100 * ms}, false},
		{"these for long", demand{waiting: 5, busy: 3, lease: ms, typical: ms, start: 100 * ms, cores: 2, waited: 800 * ms}, true},
		{"others, whatever the cores", demand{waiting: 5, busy: 3, lease: 13 * ms, typical: 13 * ms, start: 100 * ms, cores: 2, lined: 400 * ms}, true},
		{"unknown leases, the second caller", demand{waiting: 2, launching: 1, start: 100 * ms}, false},
		{"unknown leases, the third", demand{waiting: 3, launching: 1, start: 100 * ms}, true},
		{"light ones", demand{waiting: 1, busy: 9, lease: ms / 10, typical: ms / 10, start: 100 * ms, light: true, cores: 2}, true},
		{"light ones, and one is coming", demand{waiting: 1, launching: 1, busy: 9, start: 100 * ms, light: true, cores: 2}, false},
		{"enough light ones", demand{waiting: 9, busy: 16, lease: ms / 10, typical: ms / 10, start: 100 * ms, light: true, cores: 2, waited: 99 * ms, lined: time.Hour}, false},
		{"these for long", demand{waiting: 9, busy: 16, lease: ms / 10, typical: ms / 10, start: 100 * ms, light: true, cores: 2, waited: 100 * ms}, true},
		{"light ones that are not brief", demand{waiting: 1, busy: 16, lease: ms, typical: ms, start: 100 * ms, light: true, cores: 2}, true},
		{"a start of no time", demand{waiting: 1, busy: 9, lease: 1, start: 1}, true},
	}
	for _, tt := range tests {
		if got := tt.of.launches(); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestSeniority(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name          string
		first, second time.Duration
	}{
		{"the older", seniority(2*ms, 0), seniority(ms, 0)},
		{"the one without environments, however young", seniority(0, 0), seniority(time.Hour, 1)},
		{"the one with fewer environments", seniority(0, 2), seniority(time.Second, 30)},
		{"the much older, in spite of its environments", seniority(time.Second, 3), seniority(0, 1)},
	}
	for _, tt := range tests {
		if tt.first <= tt.second {
			t.Errorf("%s is not first", tt.name)
		}
	}
}

func TestYields(t *testing.T) {
	const s, wait = time.Second, 5 * time.Second
	tests := []struct {
		name              string
		own, others       int
		waited, queueWait time.Duration
		want              bool
	}{
		{"of many to one without", 10, 0, yieldTime, wait, true},
		{"too early", 10, 0, yieldTime - 1, wait, false},
		{"of many to one with fewer", 10, 8, yieldTime, wait, true},
		{"no swapping", 10, 9, time.Hour, wait, false},
		{"not to one with more", 1, 2, time.Hour, wait, false},
		{"the only one waits longer", 1, 0, yieldTime, wait, false},
		{"the only one, in the end", 1, 0, 2 * yieldTime, wait, true},
		{"in good time before the throttle", 1, 0, s / 2, s, true},
	}
	for _, tt := range tests {
		if got := yields(tt.own, tt.others, tt.waited, tt.queueWait); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestPatience(t *testing.T) {
	tests := []struct {
		why       reason
		queueWait time.Duration
		want      time.Duration
	}{
		{forLaunch, time.Second, -1},
		{forLease, time.Second, -1},
		{forSlot, time.Second, longestWait},
		{forClosing, 2 * longestWait, 2 * longestWait},
		{forRoom, time.Second, time.Second},
		{forRoom, 0, 0},
	}
	for _, tt := range tests {
		if got := patience(tt.why, tt.queueWait); got != tt.want {
			t.Errorf("reason %d, %v: got %v, want %v", tt.why, tt.queueWait, got, tt.want)
		}
	}
}

func TestTellNow(t *testing.T) {
	tests := []struct {
		waiting, busy, launching int
		want                     bool
	}{
		{1, 0, 0, true},
		{1, 1, 0, false},
		{1, 0, 1, false},
		{3, 1, 1, true},
	}
	for _, tt := range tests {
		if got := tellNow(tt.waiting, tt.busy, tt.launching); got != tt.want {
			t.Errorf("%d wait, %d busy, %d launching: got %t", tt.waiting, tt.busy, tt.launching, got)
		}
	}
}

func TestExpiry(t *testing.T) {
	now := time.Unix(1000, 0)
	tests := []struct {
		name string
		idle time.Duration
		want time.Duration
	}{
		{"just now", 0, time.Minute},
		{"half", 30 * time.Second, 30 * time.Second},
		{"to the moment", time.Minute, 0},
		{"overdue", 2 * time.Minute, -time.Minute},
	}
	for _, tt := range tests {
		if got := expiry(now.Add(-tt.idle), now, time.Minute); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
