package scheduler

import (
	"math"
	"testing"
)

func TestForEnvironments(t *testing.T) {
	for totalMB, want := range map[int64]int{
		64_000: 57_600, // but a tenth
		4_096:  3_584,  // but 512
		1_024:  512,
		512:    256, // half at least
		0:      math.MaxInt,
	} {
		if got := (Memory{Total: totalMB << 20}).forEnvironments(); got != want {
			t.Errorf("%d MB: got %d, want %d", totalMB, got, want)
		}
	}
}

func TestRelief(t *testing.T) {
	for _, tt := range []struct {
		memory Memory
		want   relief
	}{
		{Memory{}, reliefNone},
		{Memory{1000, 500}, reliefNone},
		{Memory{1000, 100}, reliefNone},
		{Memory{1000, 99}, reliefGiveBack},
		{Memory{1000, 50}, reliefGiveBack},
		{Memory{1000, 49}, reliefEvict},
		{Memory{1000, 0}, reliefEvict},
	} {
		if got := tt.memory.relief(); got != tt.want {
			t.Errorf("%+v: got %v, want %v", tt.memory, got, tt.want)
		}
	}
}

func TestReliefEvictions(t *testing.T) {
	for idle, want := range map[int]int{0: 0, 1: 1, 3: 3, 4: 4, 39: 4, 50: 5, 10_000: 1000} {
		if got := reliefEvictions(idle); got != want {
			t.Errorf("%d idle: got %d, want %d", idle, got, want)
		}
	}
}
