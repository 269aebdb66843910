package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// A recorder keeps what a run measures, and prints it as it comes.
type recorder struct {
	out      io.Writer
	scenario string
	figures  []figure
	curves   []distribution
}

// A distribution is the quantiles of a series, for plots.
type distribution struct {
	Scenario string   `json:"scenario"`
	Name     string   `json:"name"`
	Unit     string   `json:"unit"`
	N        int      `json:"n"`
	Points   []number `json:"quantiles"` // in even steps from 0 to 1
}

const curveSteps = 200

// errNotBuilt is a scenario that the server says it cannot serve yet.
var errNotBuilt = errors.New("the server does not offer this yet")

// begin starts a scenario.
func (r *recorder) begin(s scenario) {
	r.scenario = s.name
	fmt.Fprintf(r.out, "\n%s: %s\n", s.name, s.about)
}

// add records a figure and gives it its verdict.
func (r *recorder) add(f figure) {
	f.Scenario = r.scenario
	if f.Verdict == "" {
		f.Verdict = f.Target.verdict(float64(f.Value))
	}
	r.figures = append(r.figures, f)
	fmt.Fprintln(r.out, line(f))
}

// fail records that a figure could not be measured, and why.
func (r *recorder) fail(name string, t *target, err error) {
	verdict := failed
	if errors.Is(err, errNotBuilt) {
		verdict = notBuilt
	}
	note, _, _ := strings.Cut(err.Error(), "\n")
	r.add(figure{Name: name, Value: unknown, Spread: unknown, Bare: unknown, Target: t, Verdict: verdict, Note: note})
	if note != err.Error() {
		fmt.Fprintf(r.out, "%s\n", err)
	}
}

// peerFailed records that a peer could not be measured, which is no fault of
// the run.
func (r *recorder) peerFailed(name string, err error) {
	note, _, _ := strings.Cut(err.Error(), "\n")
	r.add(figure{Name: name, Value: unknown, Spread: unknown, Bare: unknown, Verdict: peerFailed, Note: note})
}

// keep records a series for the plots.
func (r *recorder) keep(name, unit string, samples []float64) {
	d := distribution{Scenario: r.scenario, Name: name, Unit: unit, N: len(samples)}
	for _, v := range curve(samples, curveSteps) {
		d.Points = append(d.Points, number(v))
	}
	r.curves = append(r.curves, d)
}

// line is a figure on a terminal.
func line(f figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-44s %9s %-4s", f.Name, f.Value, f.Unit)
	if f.Target != nil {
		fmt.Fprintf(&b, " %-9s", f.Target)
	} else {
		fmt.Fprintf(&b, " %-9s", "")
	}
	fmt.Fprintf(&b, " %-9s", f.Verdict)
	if f.Spread == f.Spread { // not NaN
		fmt.Fprintf(&b, " ±%s", f.Spread)
	}
	if f.N > 0 {
		fmt.Fprintf(&b, " n=%d", f.N)
	}
	if ratio := f.ratio(); ratio == ratio { // not NaN
		fmt.Fprintf(&b, " %s× bare", digits(ratio))
	}
	if f.Note != "" {
		fmt.Fprintf(&b, "  (%s)", f.Note)
	}
	return strings.TrimRight(b.String(), " ")
}
