package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// acceptedEvent is the size of the events of the scenario async, in bytes.
const acceptedEvent = 1 << 10

// accepted returns nil for the answer to an event that was accepted.
func (a answer) accepted() error {
	if a.status != http.StatusAccepted {
		return fmt.Errorf("status %d: %.300s", a.status, a.body)
	}
	return nil
}

// asEvent makes a call of the invocation type Event.
func asEvent(call []byte) []byte {
	return []byte(strings.Replace(string(call), "\r\n", "\r\nX-Amz-Invocation-Type: Event\r\n", 1))
}

// async measures how fast events are accepted: an answer comes when the event
// is on disk. The events run meanwhile, one at a time.
func (b *bench) async(ctx context.Context) error {
	for _, run := range []struct {
		conns     int
		rate, p50 *target
	}{
		{16, atLeast(4000), atMost(5)},
		{256, atLeast(15_000), nil},
	} {
		if err := b.asyncRun(ctx, run.conns, run.rate, run.p50); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) asyncRun(ctx context.Context, conns int, rate, p50 *target) (err error) {
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	f := b.functions.node
	f.memoryMB = wholeCore
	names, err := s.deploy(ctx, f, 1)
	if err != nil {
		return err
	}
	one := map[string]int{"ReservedConcurrentExecutions": 1}
	if err := s.call(ctx, http.MethodPut, "/2017-10-31/functions/"+names[0]+"/concurrency", one, new(map[string]int)); err != nil {
		return err
	}
	event := `{"pad":"` + strings.Repeat("x", acceptedEvent-10) + `"}`
	r, err := newRace(ctx, []contestant{
		{name: bareName, addr: b.bare.addr, event: post(b.bare.addr, "/", event)},
		{name: "events", addr: s.addr, event: asEvent(s.event(names[0], "", event)), check: answer.accepted},
	}, conns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	var latency []float64 // ms
	err = r.run(ctx, b.size.rounds, b.size.round, func(i int, us []float64, took time.Duration) []float64 {
		if i == 1 {
			for _, t := range us {
				latency = append(latency, t/1e3)
			}
		}
		return []float64{float64(len(us)) / took.Seconds()}
	})
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d callers, 1 KB", conns)
	accepted, took := summarise(r.results[1].all()), summarise(latency)
	b.rec.add(figure{
		Name: name, Unit: "/s", Value: number(accepted.p50), Spread: number(accepted.mad), N: accepted.n,
		Target: rate, Bare: number(median(r.results[0].all())),
	})
	b.rec.add(figure{
		Name: name + ": p50", Unit: "ms", Value: number(took.p50), Spread: number(took.mad), N: took.n, Target: p50,
		Note: fmt.Sprintf("p90 %s, p99 %s", digits(took.p90), digits(took.p99)),
	})
	return nil
}
