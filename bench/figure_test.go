package main

import (
	"encoding/json"
	"math"
	"testing"
)

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		target *target
		value  float64
		want   string
	}{
		"none":          {nil, 3, informal},
		"at most":       {atMost(3), 3, pass},
		"above":         {atMost(3), 3.01, miss},
		"at least":      {atLeast(250), 250, pass},
		"below":         {atLeast(250), 249, miss},
		"unknown":       {atMost(3), math.NaN(), failed},
		"at most zero":  {atMost(0), 0, pass},
		"one leftover":  {atMost(0), 1, miss},
		"no such bound": {nil, math.NaN(), informal},
	} {
		if got := c.target.verdict(c.value); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 15: "15", 1.5: "1.50", 0.094: "0.09", 0.0056: "0.0056", 12.34: "12.3", 535.4: "535",
		999.9: "1000", 4961: "4,961", 52856.4: "52,856", 18000: "18,000", -2.5: "-2.50", -1234: "-1,234",
	} {
		if got := digits(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
	if got := digits(math.NaN()); got != "–" {
		t.Errorf("unknown: got %s", got)
	}
}

func TestNumberInJSON(t *testing.T) {
	for _, n := range []number{0, 1.5, 52856, unknown, number(math.Inf(1))} {
		b, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		var got number
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		lost := math.IsInf(float64(n), 0) || math.IsNaN(float64(n))
		if got != n && !(lost && math.IsNaN(float64(got))) {
			t.Errorf("%v became %s and then %v", float64(n), b, float64(got))
		}
	}
}

func TestRatio(t *testing.T) {
	if got := (figure{Value: 6, Bare: 2}).ratio(); got != 3 {
		t.Errorf("got %v, want 3", got)
	}
	for _, bare := range []number{0, unknown} {
		if got := (figure{Value: 6, Bare: bare}).ratio(); !math.IsNaN(got) {
			t.Errorf("against %v: got %v", bare, got)
		}
	}
}
