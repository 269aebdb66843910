package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// metering measures what the ledger of usage costs warm invocations, and how
// much of it can be written.
func (b *bench) metering(ctx context.Context) error {
	for _, f := range []function{b.functions.python, b.functions.node} {
		if err := b.metered(ctx, f); err != nil {
			return err
		}
	}
	return b.ledgerRate(ctx)
}

// metered compares a server that records usage with one that does not, round
// by round.
func (b *bench) metered(ctx context.Context, f function) (err error) {
	f.memoryMB = wholeCore
	var all []contestant
	for _, flag := range []string{"--metering=false", "--metering=true"} {
		s, err := b.startServer(ctx, flag)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		names, err := s.deploy(ctx, f, 1)
		if err != nil {
			return err
		}
		all = append(all, contestant{name: f.name + " " + flag, addr: s.addr, event: s.event(names[0], "", "{}")})
	}
	r, err := newRace(ctx, all, throughputConns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	rate := func(_ int, us []float64, took time.Duration) []float64 {
		return []float64{float64(len(us)) / took.Seconds()}
	}
	if err := r.run(ctx, b.size.pairs, b.size.pair, rate); err != nil {
		return err
	}
	without, with := r.results[0].medians(), r.results[1].medians()
	var ratios []float64
	for i := range with {
		ratios = append(ratios, 100*with[i]/without[i])
	}
	s := summarise(ratios)
	b.rec.add(figure{
		Name: f.name + ": warm invocations/s, of those without metering", Unit: "%", Value: number(s.p50), Spread: number(s.mad), N: s.n,
		Target: atLeast(97), Bare: unknown,
		Note: fmt.Sprintf("in pairs of %v: %s/s with, %s/s without", b.size.pair, digits(median(with)), digits(median(without))),
	})
	return nil
}

var recordsPerSecond = regexp.MustCompile(`([0-9.]+) records/s`)

// ledgerRate runs the ledger's own benchmark. It needs the module's sources.
func (b *bench) ledgerRate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkDurable$",
		"-benchtime", b.size.ledger.String(), "github.com/millicent-run/millicent/internal/meter")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmark of the ledger: %w\n%s", err, out)
	}
	m := recordsPerSecond.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("benchmark of the ledger: no figure in %q", out)
	}
	rate, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return err
	}
	b.rec.add(figure{
		Name: "usage records on disk", Unit: "/s", Value: number(rate), Spread: unknown, N: 1, Target: atLeast(100_000), Bare: unknown,
		Note: "by the meter alone, from 8 goroutines, each burst of 16,000 waited for",
	})
	return nil
}
