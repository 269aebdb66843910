package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	warmUpCalls     = 100 // before the first round
	throughputConns = 8
)

// A contestant answers events; contestants are measured in turns.
type contestant struct {
	name   string
	addr   string
	event  []byte
	target *target
	check  func(answer) error // nil for answer.succeeded
	pid    int                // of its server; zero where what that takes is not asked
	peer   bool               // is not ours: its failures are a note
}

// A race is the rounds of several contestants.
type race struct {
	contestants []contestant
	loaders     []*loader
	results     []series // latencies in µs, or requests a second
	failures    []error  // why a contestant is out
	bills       []bill
}

// newRace connects conns times to each contestant and warms it up.
func newRace(ctx context.Context, contestants []contestant, conns int) (*race, error) {
	r := &race{
		contestants: contestants,
		results:     make([]series, len(contestants)),
		failures:    make([]error, len(contestants)),
		bills:       make([]bill, len(contestants)),
	}
	for i, c := range contestants {
		l, err := newLoader(c.addr, conns)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.loaders = append(r.loaders, l)
		left := warmUpCalls * conns
		_, err = r.rush(ctx, i, func() bool { left--; return left >= 0 })
		if r.failures[i] = err; err != nil && !c.peer {
			return nil, errors.Join(fmt.Errorf("%s: %w", c.name, err), r.close())
		}
	}
	return r, nil
}

func (r *race) close() error {
	var errs []error
	for _, l := range r.loaders {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// rush loads a contestant as long as more says, and returns the latencies in
// microseconds. An answer that is not a success ends it with an error.
func (r *race) rush(ctx context.Context, i int, more func() bool) (us []float64, err error) {
	var failure error
	err = r.loaders[i].run(ctx, func(int) []byte {
		if failure != nil || !more() {
			return nil
		}
		return r.contestants[i].event
	}, func(_ int, a answer, took time.Duration) {
		check := answer.succeeded
		if r.contestants[i].check != nil {
			check = r.contestants[i].check
		}
		if err := check(a); err != nil {
			failure = err
		}
		us = append(us, float64(took)/1e3)
	})
	return us, errors.Join(err, failure)
}

// A keeper makes a round's result of the latencies that contestant i had in
// it.
type keeper func(i int, us []float64, took time.Duration) []float64

// run has rounds of the given length, with a different contestant first in
// each; keep makes a round's result of its latencies.
func (r *race) run(ctx context.Context, rounds int, length time.Duration, keep keeper) error {
	for round := range rounds {
		for k := range r.contestants {
			i := (round + k) % len(r.contestants)
			if r.failures[i] != nil {
				continue
			}
			us, took, err := r.round(ctx, i, length)
			if err == nil {
				r.results[i].add(keep(i, us, took))
				continue
			}
			if !r.contestants[i].peer || ctx.Err() != nil {
				return fmt.Errorf("%s: %w", r.contestants[i].name, err)
			}
			r.failures[i] = err
		}
	}
	return nil
}

// round loads a contestant for a while.
func (r *race) round(ctx context.Context, i int, length time.Duration) (us []float64, took time.Duration, err error) {
	c := r.contestants[i]
	var before bill
	if c.pid != 0 {
		if before, err = billOf(c.pid); err != nil {
			return nil, 0, err
		}
	}
	begin := time.Now()
	us, err = r.rush(ctx, i, func() bool { return time.Since(begin) < length })
	took = time.Since(begin)
	if err != nil || c.pid == 0 {
		return us, took, err
	}
	after, err := billOf(c.pid)
	r.bills[i].add(before, after, len(us))
	return us, took, err
}

// bareContestant is the first of every race.
func (b *bench) bareContestant() contestant {
	return contestant{name: bareName, addr: b.bare.addr, event: post(b.bare.addr, "/", "{}"), pid: b.bare.pid()}
}

// races runs all races of a scenario and hands each to record: one of ours
// with the peers that can run beside each other, and one for each other peer.
// The bare handler is the first contestant in all of them.
func (b *bench) races(ctx context.Context, targets map[string]*target, conns int, keep keeper, record func(*race)) (err error) {
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	all := []contestant{b.bareContestant()}
	for i, f := range b.functions.all() {
		f.memoryMB = wholeCore
		names, err := s.deploy(ctx, f, 1)
		if err != nil {
			return err
		}
		label := []string{"Python", "Node", "Go"}[i]
		all = append(all, contestant{name: label, addr: s.addr, event: s.event(names[0], "", "{}"), target: targets[label], pid: s.pid()})
	}
	var together, alone []peer
	for _, p := range b.peers {
		if p.alone {
			alone = append(alone, p)
		} else {
			together = append(together, p)
		}
	}
	if err := b.race(ctx, all, together, conns, keep, record); err != nil {
		return err
	}
	for _, p := range alone {
		if err := b.race(ctx, all[:1:1], []peer{p}, conns, keep, record); err != nil {
			return err
		}
	}
	return nil
}

// race runs one race of contestants that are there and peers to be started.
func (b *bench) race(ctx context.Context, all []contestant, peers []peer, conns int, keep keeper, record func(*race)) (err error) {
	for _, p := range peers {
		running, err := p.start(ctx, b)
		if err != nil {
			b.rec.peerFailed(p.name, err)
			continue
		}
		defer func() { _ = running.stop() }() // a peer's failure to stop is none of ours
		all = append(all, contestant{name: p.name, addr: running.addr, event: post(running.addr, p.path, "{}"), peer: true})
	}
	r, err := newRace(ctx, all, conns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.run(ctx, b.size.rounds, b.size.round, keep); err != nil {
		return err
	}
	record(r)
	return nil
}

// warm measures the latency of one caller.
func (b *bench) warm(ctx context.Context) error {
	targets := map[string]*target{"Python": atMost(110), "Node": atMost(110), "Go": atMost(180)}
	latency := func(_ int, us []float64, _ time.Duration) []float64 { return us }
	return b.races(ctx, targets, 1, latency, func(r *race) {
		bare := median(r.results[0].medians())
		for i, c := range r.contestants {
			if r.failures[i] != nil {
				b.rec.peerFailed(c.name+": p50", r.failures[i])
				continue
			}
			s, rounds := summarise(r.results[i].all()), summarise(r.results[i].medians())
			b.rec.add(figure{
				Name: c.name + ": p50", Unit: "µs", Value: number(rounds.p50), Spread: number(rounds.mad), N: s.n,
				Bare: number(bare), Note: fmt.Sprintf("min %s, p90 %s, p99 %s", digits(s.min), digits(s.p90), digits(s.p99)),
			})
			b.rec.keep(c.name, "µs", r.results[i].all())
			if c.target == nil {
				continue
			}
			over := summarise(r.results[i].over(&r.results[0]))
			b.rec.add(figure{
				Name: c.name + ": p50 above bare net/http", Unit: "µs", Value: number(over.p50), Spread: number(over.mad), N: over.n,
				Target: c.target, Bare: number(bare), Note: "of each round's medians",
			})
		}
	})
}

// throughput measures requests a second.
func (b *bench) throughput(ctx context.Context) error {
	targets := map[string]*target{"Python": atLeast(18_000), "Node": atLeast(18_000)}
	var latency [][]float64
	rate := func(i int, us []float64, took time.Duration) []float64 {
		for len(latency) <= i {
			latency = append(latency, nil)
		}
		latency[i] = append(latency[i], us...)
		return []float64{float64(len(us)) / took.Seconds()}
	}
	return b.races(ctx, targets, throughputConns, rate, func(r *race) {
		bare := median(r.results[0].all())
		for i, c := range r.contestants {
			if r.failures[i] != nil {
				b.rec.peerFailed(c.name, r.failures[i])
				continue
			}
			s, took := summarise(r.results[i].all()), summarise(latency[i])
			b.rec.add(figure{
				Name: c.name, Unit: "/s", Value: number(s.p50), Spread: number(s.mad), N: s.n,
				Target: c.target, Bare: number(bare),
				Note: strings.TrimSuffix(fmt.Sprintf("latency p50 %s µs, p99 %s µs; %s", digits(took.p50), digits(took.p99), r.bills[i]), "; "),
			})
		}
		latency = nil
	})
}

// bareRate returns how many requests a second the bare handler answers.
func (b *bench) bareRate(ctx context.Context, conns int, d time.Duration) (rate float64, err error) {
	r, err := newRace(ctx, []contestant{b.bareContestant()}, conns)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	err = r.run(ctx, 1, d, func(_ int, us []float64, took time.Duration) []float64 {
		return []float64{float64(len(us)) / took.Seconds()}
	})
	return median(r.results[0].all()), err
}
