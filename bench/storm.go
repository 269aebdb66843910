package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	burstCalls     = 100
	burstTarget    = 1.5 // seconds
	sustainedConns = 8
	sustainedRate  = 250 // starts a second

	// sustainedKeepAlive is short, since the functions take turns within few
	// seconds; one that is still there answers warm and is no start.
	sustainedKeepAlive = 500 * time.Millisecond

	settleTime = 60 * time.Second
)

// burst calls a hundred functions that never ran, all at once: a third in
// each language. The figure is the time from the first request to the last
// answer.
func (b *bench) burst(ctx context.Context) (err error) {
	s, err := b.startServer(ctx, "--keep-alive", keepAlive.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var walls, bare []float64
	for round := range b.size.bursts {
		var events [][]byte
		for i, f := range b.functions.all() {
			f.name = fmt.Sprintf("%s-%d", f.name, round)
			names, err := s.deploy(ctx, f, (burstCalls+2-i)/3)
			if err != nil {
				return err
			}
			for _, name := range names {
				events = append(events, s.event(name, "", "{}"))
			}
		}
		wall, err := volley(ctx, s.addr, events)
		if err != nil {
			return err
		}
		walls = append(walls, wall)
		for i := range events {
			events[i] = post(b.bare.addr, "/", "{}")
		}
		if wall, err = volley(ctx, b.bare.addr, events); err != nil {
			return err
		}
		bare = append(bare, wall)
	}
	w := summarise(walls)
	b.rec.add(figure{
		Name: fmt.Sprintf("%d first calls, until the last answer", burstCalls), Unit: "s",
		Value: number(w.p50), Spread: number(w.mad), N: w.n, Target: atMost(burstTarget), Bare: number(median(bare)),
		Note: fmt.Sprintf("slowest round %s s", digits(w.max)),
	})
	return nil
}

// volley sends each request on a connection of its own, all at once, and
// returns the seconds until all are answered.
func volley(ctx context.Context, addr string, events [][]byte) (seconds float64, err error) {
	l, err := newLoader(addr, len(events))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	sent := make([]bool, len(events))
	var failure error
	begin := time.Now()
	err = l.run(ctx, func(conn int) []byte {
		if sent[conn] {
			return nil
		}
		sent[conn] = true
		return events[conn]
	}, func(_ int, a answer, _ time.Duration) {
		if err := a.succeeded(); err != nil {
			failure = err
		}
		seconds = time.Since(begin).Seconds()
	})
	return seconds, errors.Join(err, failure)
}

// sustained starts functions as fast as the server does for some time, and
// looks at what is left of that afterwards.
func (b *bench) sustained(ctx context.Context) (err error) {
	s, err := b.startServer(ctx, "--keep-alive", sustainedKeepAlive.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	f := b.functions.python
	names, err := s.deploy(ctx, f, b.size.sustainedFunctions)
	if err != nil {
		return err
	}
	l, err := newLoader(s.addr, sustainedConns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, name := range names[len(names)-sustainedConns:] {
		if _, _, err := l.once(ctx, s.event(name, "", "{}")); err != nil {
			return err
		}
	}
	if err := sleep(ctx, 4*sustainedKeepAlive); err != nil {
		return err
	}
	base, err := s.footprint(ctx)
	if err != nil {
		return err
	}
	got, err := s.startsFor(ctx, l, names, b.size.sustained)
	if err != nil {
		return err
	}
	left, err := s.settle(ctx, base, settleTime)
	if err != nil {
		return err
	}
	bare, err := b.bareRate(ctx, sustainedConns, b.size.round)
	if err != nil {
		return err
	}
	note := fmt.Sprintf("%v, %d functions, p50 %s ms, p99 %s ms", b.size.sustained, len(names), digits(got.latency.p50), digits(got.latency.p99))
	if got.warm > 0 {
		note += fmt.Sprintf("; %d more answers were warm", got.warm)
	}
	rate := summarise(got.perSecond)
	b.rec.add(figure{
		Name: "Python starts a second", Unit: "/s", Value: number(rate.p50), Spread: number(rate.mad), N: got.latency.n,
		Target: atLeast(sustainedRate), Bare: number(bare), Note: note,
	})
	b.rec.add(figure{
		Name: "failed starts", Value: number(got.failures), N: got.latency.n + got.failures, Spread: unknown,
		Target: atMost(0), Bare: unknown, Note: got.failure,
	})
	b.rec.add(figure{
		Name: "left behind: processes, mounts, cgroups, files", Value: number(left.beyond(base)), Spread: unknown,
		Target: atMost(0), Bare: unknown, Note: fmt.Sprintf("before %+v, after %+v", base, left),
	})
	return nil
}

// starts is what a time of starting came to.
type starts struct {
	perSecond      []float64 // for each whole second
	latency        summary   // in ms
	warm, failures int
	failure        string // the last
}

func (s *server) startsFor(ctx context.Context, l *loader, names []string, d time.Duration) (got starts, err error) {
	events := make([][]byte, len(names))
	for i, name := range names {
		events[i] = s.event(name, "", "{}")
	}
	got.perSecond = make([]float64, int(d.Seconds()))
	var latency []float64
	begin := time.Now()
	turn := 0
	err = l.run(ctx, func(int) []byte {
		if time.Since(begin) >= d {
			return nil
		}
		turn++
		return events[turn%len(events)]
	}, func(_ int, a answer, took time.Duration) {
		switch err := a.succeeded(); {
		case err != nil:
			got.failures++
			got.failure = err.Error()
		case !a.first():
			got.warm++
		default:
			latency = append(latency, milliseconds(took))
			if second := int(time.Since(begin).Seconds()); second < len(got.perSecond) {
				got.perSecond[second]++
			}
		}
	})
	got.latency = summarise(latency)
	return got, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
