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

func TestParseMemTotal(t *testing.T) {
	if got := parseMemTotal("MemFree: 12 kB\nMemTotal:       16384000 kB\nBuffers: 1 kB\n"); got != 16000 {
		t.Errorf("got %d MB, want 16000", got)
	}
	if machineMemoryMB() < 64 {
		t.Errorf("got %d MB for this machine", machineMemoryMB())
	}
}
