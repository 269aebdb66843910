package main

import (
	"fmt"
	"math"
)

// The verdicts upon a figure.
const (
	pass     = "pass"
	miss     = "miss"
	informal = ""          // there is no target
	notBuilt = "not built" // the server says that it cannot do this yet
	skipped  = "skipped"   // the machine or the command line has not what it needs
	failed   = "failed"    // it could not be measured

	peerFailed = "peer failed" // it is a peer that could not be measured
)

// A target is the bound that a figure has to keep.
type target struct {
	Bound   float64 `json:"bound"`
	AtLeast bool    `json:"atLeast,omitempty"` // otherwise at most
}

func atMost(bound float64) *target  { return &target{Bound: bound} }
func atLeast(bound float64) *target { return &target{Bound: bound, AtLeast: true} }

func (t *target) String() string {
	if t.AtLeast {
		return "≥ " + digits(t.Bound)
	}
	return "≤ " + digits(t.Bound)
}

func (t *target) verdict(value float64) string {
	switch {
	case t == nil:
		return informal
	case math.IsNaN(value):
		return failed
	case t.AtLeast && value >= t.Bound, !t.AtLeast && value <= t.Bound:
		return pass
	}
	return miss
}

// A figure is one number of a run, with what it has to be and what the bare
// net/http handler made of the same.
type figure struct {
	Scenario string  `json:"scenario"`
	Name     string  `json:"name"`
	Unit     string  `json:"unit,omitempty"`
	Value    number  `json:"value"`
	Spread   number  `json:"spread"` // median absolute deviation, of rounds or samples
	N        int     `json:"n"`      // samples
	Target   *target `json:"target,omitempty"`
	Verdict  string  `json:"verdict,omitempty"`
	Bare     number  `json:"bare"` // in Unit
	Note     string  `json:"note,omitempty"`
}

// ratio is how many times the bare handler's figure this one is.
func (f figure) ratio() float64 {
	if f.Bare == 0 {
		return math.NaN()
	}
	return float64(f.Value) / float64(f.Bare)
}

// A number may be unknown, which is NaN here and null in JSON.
type number float64

var unknown = number(math.NaN())

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return fmt.Appendf(nil, "%.6g", float64(n)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = unknown
		return nil
	}
	_, err := fmt.Sscan(string(b), (*float64)(n))
	return err
}

func (n number) String() string { return digits(float64(n)) }

// digits writes a number with as many digits as anyone reads.
func digits(v float64) string {
	abs := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return "–"
	case abs >= 1000:
		whole := int64(math.Round(v))
		return fmt.Sprintf("%d,%03d", whole/1000, abs64(whole)%1000)
	case abs >= 100, v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	case abs >= 0.01:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

func abs64(v int64) int64 { return max(v, -v) }
