package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
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

// metered compares a server that records usage with one that does not, which
// differ in nothing else. Both are started anew a few times, since two processes
// of the same program are not alike either.
func (b *bench) metered(ctx context.Context, f function) error {
	f.memoryMB = wholeCore
	var board scoreboard
	d := duel{fours: b.size.fours, warmUp: b.size.warmUp, runIn: b.size.runIn, turn: b.size.turn}
	for range b.size.duels {
		if err := b.duelOfMetering(ctx, f, d, &board); err != nil {
			return err
		}
	}
	label := strings.ToUpper(f.name[:1]) + f.name[1:]
	rates, times, gaps := board.rateRatios(), board.timeRatios(), board.costGaps()
	add := func(name, unit string, all []float64, e estimate, goal *target, note string) {
		b.rec.add(figure{
			Name: label + ": " + name, Unit: unit, Value: number(e.mid), Spread: number(summarise(all).mad), N: len(all),
			Target: goal, Bare: unknown, Note: fmt.Sprintf("95 %% confidence %s to %s%s", digits(e.low), digits(e.high), note),
		})
	}
	add("warm invocations/s, of those without metering", "%", rates, around(rates), atLeast(97),
		fmt.Sprintf("; medians %s/s with, %s/s without", digits(median(board.rates[1])), digits(median(board.rates[0]))))
	add("the same, had the machine been as fast with as without", "%", rates, board.atSameSpeed(rates), nil,
		fmt.Sprintf("; the load took %s µs for a request with, %s without", digits(median(board.loads[1])), digits(median(board.loads[0]))))
	plain := around(times)
	add("warm invocations by processor time, likewise", "%", times, board.atSameSpeed(times), atLeast(97),
		fmt.Sprintf("; of the server, the function and the load together, medians %s µs each with, %s without; as it was %s, %s to %s",
			digits(median(board.wholes[1])), digits(median(board.wholes[0])), digits(plain.mid), digits(plain.low), digits(plain.high)))
	add("the server's processor time of metering, each invocation", "µs", gaps, around(gaps), nil,
		fmt.Sprintf("; medians %s with, %s without", digits(median(board.costs[1])), digits(median(board.costs[0]))))
	return nil
}

func (b *bench) duelOfMetering(ctx context.Context, f function, d duel, board *scoreboard) (err error) {
	var two [2]contestant
	for i, flag := range []string{"--metering=false", "--metering=true"} {
		s, err := b.startServer(ctx, flag)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		names, err := s.deploy(ctx, f, 1)
		if err != nil {
			return err
		}
		two[i] = contestant{name: f.name + " " + flag, addr: s.addr, event: s.event(names[0], "", "{}"), pid: s.pid()}
	}
	return d.fight(ctx, two[0], two[1], throughputConns, board)
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
